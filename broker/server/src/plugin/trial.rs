//! A component at work without a broker: its exchanges, its bindings, its transform.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use amphora_core::binding::{Binding, Destination};
use amphora_core::definition::ExchangeDefinition;
use amphora_core::exchange::ExchangeType;
use amphora_core::hook::{ExchangeHook, HookError, Hooks, Origin, PackedBatch, TransformHook};
use amphora_plugin_host::{Grant, Host, HostSettings, LoadError, PluginSpec, Standalone};
use amphora_protocol::wire::types::{QueueName, ShortString};
use anyhow::{Context, ensure};

use super::build::cache;
use super::cases::{CaseMessage, Cases, DeclaredBinding, DeclaredExchange};

/// What the plugin is called, and its type of exchange: nobody else is there.
const NAME: &str = "tried";
const TYPE: &str = "x-tried";

/// A component that is loaded by itself.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) host: Host,
    pub(super) supplies_exchanges: bool,
    pub(super) transforms: bool,
}

/// An exchange of the component's type.
#[derive(Debug)]
pub(super) struct TriedExchange {
    pub(super) hook: Arc<dyn ExchangeHook>,
    definition: ExchangeDefinition,
    destinations: BTreeMap<u32, String>,
}

impl Trial {
    /// Loads a component with these grants and this configuration.
    ///
    /// # Errors
    /// The file cannot be read, or the broker would not load it.
    pub(super) fn load(
        file: &Path,
        grants: BTreeSet<Grant>,
        config: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let component = std::fs::read(file).with_context(|| file.display().to_string())?;
        let host = host()?;
        let kinds = host
            .inspect(&component)
            .with_context(|| file.display().to_string())?
            .kinds;
        let spec = PluginSpec {
            exchange_type: kinds.exchange().then(|| TYPE.to_owned()),
            grants,
            config,
            ..PluginSpec::new(NAME)
        };
        host.load(spec, &component).map_err(|error| {
            let hint = match error {
                LoadError::Ungranted(_) => {
                    "; `grants` in the file of cases says what it gets here, and in its section of the broker's configuration what it gets there"
                }
                _ => "",
            };
            anyhow::anyhow!("{}: {error}{hint}", file.display())
        })?;
        Ok(Self {
            host,
            supplies_exchanges: kinds.exchange(),
            transforms: kinds.transform,
        })
    }

    /// Loads a component as its cases say.
    ///
    /// # Errors
    /// As [`Trial::load`].
    pub(super) fn for_cases(file: &Path, cases: &Cases) -> anyhow::Result<Self> {
        let grants = cases.grants.iter().map(|name| name.parse());
        let grants = grants.collect::<Result<BTreeSet<Grant>, _>>()?;
        let trial = Self::load(file, grants, cases.config.clone())?;
        if cases.exchanges.is_empty() {
            ensure!(
                trial.transforms,
                "the component is no transform, and there is no [[exchange]]"
            );
        } else {
            ensure!(
                trial.supplies_exchanges,
                "the component supplies no type of exchange, but there is an [[exchange]]"
            );
        }
        Ok(trial)
    }

    /// Declares an exchange without its bindings.
    ///
    /// # Errors
    /// The plugin refuses it, or fails.
    pub(super) fn declare(&self, declared: &DeclaredExchange) -> Result<TriedExchange, HookError> {
        let DeclaredExchange {
            vhost,
            name,
            arguments,
            ..
        } = declared;
        self.host.check_exchange(TYPE, vhost, name, arguments)?;
        let definition = ExchangeDefinition {
            name: name.clone(),
            exchange_type: ExchangeType::Plugin(ShortString::cut(TYPE)),
            durable: false,
            auto_delete: false,
            internal: false,
            arguments: arguments.clone(),
            declared_by: Box::default(),
        };
        Ok(TriedExchange {
            hook: self.host.exchange(TYPE, vhost, &definition),
            definition,
            destinations: BTreeMap::new(),
        })
    }

    /// Binds a queue to an exchange.
    ///
    /// # Errors
    /// The plugin refuses it, or fails.
    pub(super) fn bind(
        &self,
        vhost: &str,
        exchange: &mut TriedExchange,
        declared: &DeclaredBinding,
    ) -> Result<(), HookError> {
        let DeclaredBinding {
            destination,
            routing_key,
            arguments,
            ..
        } = declared;
        let queue = QueueName::from(ShortString::cut(destination));
        let binding = Arc::new(Binding {
            source: exchange.definition.name.clone(),
            destination: Destination::Queue(queue),
            routing_key: routing_key.clone(),
            arguments: arguments.clone().into(),
        });
        let (name, arguments) = (&exchange.definition.name, &exchange.definition.arguments);
        self.host
            .check_binding(TYPE, vhost, name, arguments, &binding)?;
        let id = u32::try_from(exchange.destinations.len()).unwrap_or(u32::MAX);
        exchange.hook.bind(id, &binding);
        exchange.destinations.insert(id, destination.clone());
        Ok(())
    }

    /// The component's transform, attached to something.
    pub(super) fn transform(&self) -> Arc<dyn TransformHook> {
        self.host.transform(NAME, None)
    }
}

impl TriedExchange {
    /// The destinations of a message.
    ///
    /// # Errors
    /// The plugin fails.
    pub(super) fn route(&self, message: &Origin<'_>) -> anyhow::Result<BTreeSet<String>> {
        let needs = self.hook.needs()?;
        let mut batch = PackedBatch::default();
        batch.push(&needs, message)?;
        let mut answer = Vec::new();
        self.hook.route(&batch, &mut answer)?;
        let bindings = answer.iter().skip(1);
        let destinations = bindings.filter_map(|id| self.destinations.get(id).cloned());
        Ok(destinations.collect())
    }
}

/// A host without a broker, which asks the component about each message. What it compiles it keeps for the next time, if there is a place.
pub(super) fn host() -> anyhow::Result<Host> {
    let settings = HostSettings {
        cache_folder: cache().ok().map(|cache| cache.join("compiled")),
        forgets_answers: true,
    };
    Ok(Host::new(settings, Arc::new(Standalone::default()))?)
}

/// A case's message as a plugin sees it; `properties` is its content header.
pub(super) fn origin<'a>(message: &'a CaseMessage, properties: &'a [u8]) -> Origin<'a> {
    Origin {
        vhost: &message.vhost,
        exchange: &message.exchange,
        routing_key: &message.routing_key,
        user: &message.user,
        time_ms: message.time_ms,
        properties,
        body: &message.body,
    }
}
