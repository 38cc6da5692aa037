//! Plugins, as the data path sees them: which transforms a message passes, and where it goes when one gives it up.

mod commands;
mod configured;
mod environment;
mod expiry;
mod listing;
mod losses;
mod needed;
mod registry;
mod stored;
mod transform_argument;
mod uploads;

use std::path::PathBuf;
use std::sync::Arc;

use amphora_core::definition::ExchangeDefinition;
use amphora_core::hook::{HookError, OnError, TRANSFORM, TransformHook};
use amphora_core::policy::Applied;
use amphora_plugin_host::Host;
use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use parking_lot::{Mutex, RwLock};

pub(super) use self::environment::{Surroundings, kv_entry, run};
use self::losses::Losses;
use self::registry::Registry;
pub(crate) use self::registry::Upload;
pub(super) use self::registry::uploaded;
pub(super) use self::stored::hold;
use self::transform_argument::transforms;
use super::vhost::Handle;
use crate::config::{Attachment, Plugin};

/// The key of policies that is as [`TRANSFORM`].
const TRANSFORM_KEY: &str = "transform";

/// What the log says of dead letters that are lost.
const NO_DEAD_LETTER_EXCHANGE: &str = "dead letters of the plugin are lost: the dead-letter-exchange that its attachment, its section of the configuration or the queue names is missing or leads to no queue, or none of them names one";

/// All plugins of the broker.
#[derive(Debug)]
pub(crate) struct Plugins {
    pub(super) host: Host,
    surroundings: Arc<Surroundings>,
    registry: RwLock<Registry>,
    losses: Losses,
    /// Where uploaded components are kept.
    folder: PathBuf,
    /// One change at a time: a load may take seconds, and the next one builds on its outcome.
    changing: Mutex<()>,
}

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) exchange: ExchangeName,
    /// In place of the message's own.
    pub(crate) routing_key: Option<RoutingKey>,
}

/// Transforms that a message passes one after the other.
#[derive(Debug)]
pub(super) struct Chain(pub(super) Vec<Attached>);

/// One transform where it is attached.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) hook: Arc<dyn TransformHook>,
    pub(super) dead_letter: Option<DeadLetter>,
}

impl DeadLetter {
    fn new(exchange: Option<&ExchangeName>, routing_key: Option<&RoutingKey>) -> Option<Self> {
        Some(Self {
            exchange: exchange?.clone(),
            routing_key: routing_key.cloned(),
        })
    }

    fn of(plugin: &Plugin) -> Option<Self> {
        let Plugin {
            dead_letter_exchange,
            dead_letter_routing_key,
            ..
        } = plugin;
        Self::new(
            dead_letter_exchange.as_ref(),
            dead_letter_routing_key.as_ref(),
        )
    }
}

impl Plugins {
    pub(super) fn new(host: Host, surroundings: Arc<Surroundings>, folder: PathBuf) -> Self {
        Self {
            host,
            surroundings,
            registry: RwLock::default(),
            losses: Losses::new(NO_DEAD_LETTER_EXCHANGE),
            folder,
            changing: Mutex::default(),
        }
    }

    /// The transforms of an exchange: those that its declaration names, else those that its policies name, then those that are attached, in
    /// the order of the file.
    pub(super) fn for_exchange(
        &self,
        vhost: &str,
        exchange: &ExchangeDefinition,
        policies: Option<&Arc<Applied>>,
    ) -> Option<Arc<Chain>> {
        self.chain(&exchange.arguments, policies, |attachment| {
            attachment.covers_exchange(vhost, &exchange.name)
        })
    }

    /// The transforms of a queue, likewise.
    pub(super) fn for_queue(&self, vhost: &str, queue: &Handle) -> Option<Arc<Chain>> {
        let policies = &queue.effective().policies;
        self.chain(
            &queue.definition.arguments,
            policies.as_ref(),
            |attachment| attachment.covers_queue(vhost, &queue.name),
        )
    }

    fn chain(
        &self,
        arguments: &FieldTable,
        policies: Option<&Arc<Applied>>,
        covers: impl Fn(&Attachment) -> bool,
    ) -> Option<Arc<Chain>> {
        let registry = self.registry.read();
        // What was accepted at declaration is not refused later.
        let named = match (arguments.get(TRANSFORM), policies) {
            (None, Some(policies)) => transforms(policies.definition(), TRANSFORM_KEY),
            _ => transforms(arguments, TRANSFORM),
        };
        let named = named.unwrap_or_default();
        let named = named.iter().map(|plugin| Attached {
            // Also while it is not loaded, what the operator says counts.
            hook: self.host.transform(plugin, registry.on_error(plugin)),
            dead_letter: registry.settings(plugin).and_then(DeadLetter::of),
        });
        let covering = registry.attachments.iter().filter(|each| covers(each));
        let ruled = covering.map(|attachment| {
            let own = DeadLetter::new(
                attachment.dead_letter_exchange.as_ref(),
                attachment.dead_letter_routing_key.as_ref(),
            );
            let plugin = registry.settings(&attachment.plugin);
            Attached {
                hook: self.host.transform(
                    &attachment.plugin,
                    attachment
                        .on_error
                        .or(registry.on_error(&attachment.plugin)),
                ),
                dead_letter: own.or_else(|| plugin.and_then(DeadLetter::of)),
            }
        });
        let attached: Vec<Attached> = named.chain(ruled).collect();
        (!attached.is_empty()).then(|| Arc::new(Chain(attached)))
    }

    /// Refuses the argument `x-transform` if it is malformed, or names a plugin that nobody knows, or one without a transform.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED`
    pub(super) fn check_transforms(&self, arguments: &FieldTable) -> Result<(), ChannelException> {
        let named =
            transforms(arguments, TRANSFORM).map_err(ChannelException::precondition_failed)?;
        self.check_named(&named).map_err(|reason| {
            ChannelException::precondition_failed(format!("{reason} for arg '{TRANSFORM}'"))
        })
    }

    /// Refuses a policy whose `transform` is malformed, or names a plugin that nobody knows, or one without a transform.
    pub(super) fn check_policy(&self, definition: &FieldTable) -> Result<(), String> {
        let named = transforms(definition, TRANSFORM_KEY)?;
        self.check_named(&named)
            .map_err(|reason| format!("{reason} for '{TRANSFORM_KEY}'"))
    }

    /// Refuses a plugin that nobody knows, or that transforms nothing. One that is not loaded may turn out to be such a one.
    fn check_named(&self, named: &[String]) -> Result<(), String> {
        for name in named {
            if self.registry.read().settings(name).is_none() {
                return Err(format!("unknown plugin '{name}'"));
            }
            let snapshot = self.host.snapshot(name);
            let current = snapshot.and_then(|snapshot| snapshot.version);
            if current.is_some_and(|version| !version.kinds.transform) {
                return Err(format!(
                    "plugin '{name}' supplies a type of exchange and no transform"
                ));
            }
        }
        Ok(())
    }

    /// Stores what plugins stored on this thread since [`hold`].
    pub(super) fn let_go(&self) {
        self.surroundings.let_go();
    }

    /// A dead letter of the plugin, or of the one for the type of exchange, has nowhere to go.
    pub(super) fn lose(&self, plugin: &str, reason: &str) {
        let registry = self.registry.read();
        let settings = registry.named(plugin);
        let name = settings.map_or(plugin, |settings| &*settings.name);
        self.losses.add(name, 1, reason);
    }

    /// Where messages go that the plugin, or the one for the type of exchange, gives up.
    pub(super) fn dead_letter(&self, plugin: &str) -> Option<DeadLetter> {
        let registry = self.registry.read();
        registry.named(plugin).and_then(DeadLetter::of)
    }

    /// What happens to a message after this error of a type of exchange. What the operator says counts also while the plugin is not
    /// loaded; `otherwise` is for one that nobody knows.
    pub(super) fn on_error(&self, error: &HookError, otherwise: OnError) -> OnError {
        let registry = self.registry.read();
        registry
            .named(&error.plugin)
            .map_or(otherwise, |settings| settings.on_error)
    }
}
