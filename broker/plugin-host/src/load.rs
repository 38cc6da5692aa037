//! Bringing versions of plugins into force, and taking them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amphora_core::exchange::{ExchangeType as BuiltIn, PLUGIN_TYPE_PREFIX};
use amphora_core::hook::{Needs, OnError};

use crate::code::{Code, Compiled};
use crate::error::LoadError;
use crate::exchange::ExchangeType;
use crate::fault::one_line;
use crate::host::Host;
use crate::instance::{Failure, Instance};
use crate::lane::Lane;
use crate::pace::Pace;
use crate::plugin::{Control, Plugin, Version, unique};
use crate::running::{Refusal, Running};
use crate::snapshot::Snapshot;
use crate::spec::{MEMORY_MAX, NAME_MAX, PluginSpec, TYPE_NAME_MAX};
use crate::verdicts::Verdicts;
use crate::worker;

/// Bytes of what a plugin calls itself and its version that are kept.
const DESCRIBED_MAX: usize = 256;

/// How long one call may be allowed to run, at most: a thread that serves clients stands still meanwhile.
const DEADLINE_MAX: Duration = Duration::from_secs(10);

/// Loads a component. The type of exchange may pass to it from the plugin `giver`.
pub(crate) fn load(
    host: &Host,
    spec: PluginSpec,
    component: &[u8],
    giver: Option<&str>,
) -> Result<Snapshot, LoadError> {
    check_spec(&spec)?;
    let plugin = host.plugin(&spec.name);
    let mut control = plugin.control.lock();
    let loaded = check_claim(host, &plugin, &spec, giver)
        .and_then(|()| prepare(host, &plugin, spec, component))
        .and_then(|version| put_into_force(host, &plugin, &mut control, version, giver));
    conclude(host, &plugin, loaded)
}

pub(crate) fn rollback(host: &Host, name: &str) -> Result<Snapshot, LoadError> {
    let plugin = host.known(name)?;
    let mut control = plugin.control.lock();
    let previous = control.previous.clone();
    let loaded = previous
        .ok_or_else(|| LoadError::Nothing(format!("plugin '{name}' has no earlier version")))
        .and_then(|version| {
            check_claim(host, &plugin, &version.spec, None)?;
            try_exchanges(host, &plugin, &version)?;
            put_into_force(host, &plugin, &mut control, version, None)
        });
    conclude(host, &plugin, loaded)
}

pub(crate) fn unload(host: &Host, name: &str) -> Result<Snapshot, LoadError> {
    let plugin = host.known(name)?;
    let mut control = plugin.control.lock();
    let before = plugin.current.swap(None);
    if let Some(before) = before {
        if let Some(exchange_type) = type_of(host, &before) {
            give_up(&exchange_type, &plugin);
        }
        note_previous(&plugin, &mut control, before);
        changed(&plugin);
        tracing::info!(plugin = name, "the plugin is unloaded");
    }
    {
        let mut notes = plugin.notes.lock();
        notes.last_error = None;
        notes.load_failed = false;
    }
    drop(control);
    Ok(host.snapshot_of(&plugin))
}

/// Notes how an attempt ended.
fn conclude(
    host: &Host,
    plugin: &Arc<Plugin>,
    loaded: Result<(), LoadError>,
) -> Result<Snapshot, LoadError> {
    match &loaded {
        Ok(()) => {
            let mut notes = plugin.notes.lock();
            notes.last_error = None;
            notes.load_failed = false;
            plugin.counters.loads.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => {
            plugin.note_error(error.to_string());
            plugin.notes.lock().load_failed = true;
            plugin.counters.failed_loads.fetch_add(1, Ordering::Relaxed);
        }
    }
    let snapshot = host.snapshot_of(plugin);
    match loaded {
        Ok(()) => {
            if let Some(version) = &snapshot.version {
                tracing::info!(
                    plugin = &*plugin.name,
                    "{} {} is in force",
                    one_line(&version.described_name),
                    one_line(&version.version)
                );
            }
            Ok(snapshot)
        }
        Err(error) => {
            let stays = if snapshot.version.is_some() {
                "; the version before stays in force"
            } else {
                ""
            };
            tracing::error!(
                plugin = &*plugin.name,
                "the plugin is not loaded: {}{stays}",
                one_line(&error.to_string())
            );
            Err(error)
        }
    }
}

/// Compiles and tries a component.
fn prepare(
    host: &Host,
    plugin: &Arc<Plugin>,
    spec: PluginSpec,
    component: &[u8],
) -> Result<Arc<Version>, LoadError> {
    let world = &host.world;
    let compiled = Compiled::new(&world.engine, world.cache.as_ref(), component)?;
    check_kind(&spec, &compiled)?;
    let code = Code::link(&world.engine, compiled, &spec)?;
    let spec = Arc::new(spec);
    let started = worker::with_room(|| Instance::start(&code, plugin.state(&spec), spec.deadline));
    let mut instance = started.map_err(|failure| trial(plugin, "it does not start", failure))?;
    let description = instance
        .describe()
        .map_err(|failure| trial(plugin, "it does not describe itself", failure))?;
    let needs = Needs::from(description.needs);
    needs.check()?;
    let version = Arc::new(Version {
        number: unique(),
        spec,
        code,
        described_name: cut(description.name),
        release: cut(description.version),
        fingerprint: needs.fingerprint(),
        needs: Arc::new(needs),
        loaded_ms: AtomicU64::new(0),
        pace: Pace::default(),
        lane: Lane::default(),
        verdicts: Verdicts::default(),
    });
    let running = Running::new(&version, instance);
    tell_all(host, plugin, &version, running)?;
    Ok(version)
}

/// Tells an instance of a version, that routes nothing, of all exchanges that it will have to route for.
fn try_exchanges(
    host: &Host,
    plugin: &Arc<Plugin>,
    version: &Arc<Version>,
) -> Result<(), LoadError> {
    let running = worker::with_room(|| Running::start(plugin, version));
    let running = running.map_err(|failure| trial(plugin, "it does not start", failure))?;
    tell_all(host, plugin, version, running)
}

fn tell_all(
    host: &Host,
    plugin: &Plugin,
    version: &Arc<Version>,
    mut running: Running,
) -> Result<(), LoadError> {
    let Some(exchange_type) = type_of(host, version) else {
        return Ok(());
    };
    // What is in force stays rather than that a binding matches nothing. Where nothing is in force, one binding must not stop all others.
    let refusal = if plugin.current.load().is_some() {
        Refusal::Fail
    } else {
        Refusal::Skip
    };
    for exchange in exchange_type.exchanges() {
        running.tell(&exchange, refusal).map_err(|failure| {
            let (name, vhost) = (&exchange.name, &exchange.vhost);
            let step = format!("it does not take exchange '{name}' in vhost '{vhost}'");
            trial(plugin, &step, failure)
        })?;
    }
    Ok(())
}

fn put_into_force(
    host: &Host,
    plugin: &Arc<Plugin>,
    control: &mut Control,
    version: Arc<Version>,
    giver: Option<&str>,
) -> Result<(), LoadError> {
    let now_ms = host.world.environment.now_ms();
    version.loaded_ms.store(now_ms, Ordering::Relaxed);
    let exchange_type = type_of(host, &version);
    // What another plugin supplies passes over when this one can be called.
    let passes = exchange_type
        .as_ref()
        .filter(|exchange_type| is_given(exchange_type, giver));
    if let Some(exchange_type) = &exchange_type
        && passes.is_none()
    {
        claim(exchange_type, plugin)?;
    }
    version.lane.open();
    let number = version.number;
    let before = plugin.current.swap(Some(version));
    plugin.health.begin(number);
    if let Some(exchange_type) = passes {
        exchange_type.plugin.store(Some(Arc::clone(plugin)));
    }
    if let Some(before) = before {
        if let Some(left) = type_of(host, &before)
            && exchange_type.is_none_or(|exchange_type| !Arc::ptr_eq(&exchange_type, &left))
        {
            give_up(&left, plugin);
        }
        note_previous(plugin, control, before);
    }
    changed(plugin);
    Ok(())
}

fn note_previous(plugin: &Plugin, control: &mut Control, before: Arc<Version>) {
    before.lane.close();
    before.verdicts.clear();
    plugin.notes.lock().previous = Some(before.snapshot());
    control.previous = Some(before);
}

fn changed(plugin: &Plugin) {
    worker::changed();
    plugin.world.environment.plugin_changed(&plugin.name);
}

fn type_of(host: &Host, version: &Version) -> Option<Arc<ExchangeType>> {
    let name = version.spec.exchange_type.as_ref()?;
    Some(host.exchange_type(name))
}

/// Lets a plugin supply a type, unless another one does.
fn claim(exchange_type: &ExchangeType, plugin: &Arc<Plugin>) -> Result<(), LoadError> {
    let before = exchange_type.plugin.rcu(|current| match current {
        Some(current) => Some(Arc::clone(current)),
        None => Some(Arc::clone(plugin)),
    });
    match before {
        Some(owner) if !Arc::ptr_eq(&owner, plugin) => Err(claimed(exchange_type, &owner)),
        Some(_) | None => Ok(()),
    }
}

/// Nobody supplies the type any more, if it was this plugin.
fn give_up(exchange_type: &ExchangeType, plugin: &Arc<Plugin>) {
    exchange_type.plugin.rcu(|current| {
        let current = current.as_ref();
        current.filter(|owner| !Arc::ptr_eq(owner, plugin)).cloned()
    });
}

/// Whether the type is supplied by the plugin that gives it away.
fn is_given(exchange_type: &ExchangeType, giver: Option<&str>) -> bool {
    let owner = exchange_type.plugin.load();
    let owner = owner.as_ref().map(|owner| &*owner.name);
    giver.is_some() && owner == giver
}

fn check_claim(
    host: &Host,
    plugin: &Arc<Plugin>,
    spec: &PluginSpec,
    giver: Option<&str>,
) -> Result<(), LoadError> {
    let Some(name) = &spec.exchange_type else {
        return Ok(());
    };
    let exchange_type = host.exchange_type(name);
    match exchange_type.plugin.load_full() {
        Some(owner) if !Arc::ptr_eq(&owner, plugin) && giver != Some(&*owner.name) => {
            Err(claimed(&exchange_type, &owner))
        }
        Some(_) | None => Ok(()),
    }
}

fn claimed(exchange_type: &ExchangeType, owner: &Plugin) -> LoadError {
    LoadError::Spec(format!(
        "exchange type '{}' is supplied by plugin '{}' already",
        exchange_type.name, owner.name
    ))
}

fn check_kind(spec: &PluginSpec, compiled: &Compiled) -> Result<(), LoadError> {
    let kinds = compiled.kinds;
    match &spec.exchange_type {
        Some(name) if !kinds.exchange() => Err(LoadError::Exports(format!(
            "the component supplies no type of exchange, and is to supply '{name}'"
        ))),
        None if !kinds.transform => Err(LoadError::Spec(
            "the component supplies a type of exchange, and nobody says how it is called: exchange-type is missing".to_owned(),
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_spec(spec: &PluginSpec) -> Result<(), LoadError> {
    let name = &spec.name;
    let text = if name.is_empty() || name.len() > NAME_MAX {
        format!(
            "a plugin's name has 1 to {NAME_MAX} bytes, and '{name}' has {}",
            name.len()
        )
    } else if spec.deadline.is_zero() || spec.deadline > DEADLINE_MAX {
        format!(
            "deadline is {} ms, and more than nothing and at most {} ms are allowed",
            spec.deadline.as_millis(),
            DEADLINE_MAX.as_millis()
        )
    } else if spec.memory_max == 0 || spec.memory_max > MEMORY_MAX {
        format!(
            "memory is {} bytes, and more than nothing and at most {MEMORY_MAX} are allowed",
            spec.memory_max
        )
    } else if let Some(exchange_type) = &spec.exchange_type {
        if BuiltIn::built_in(exchange_type).is_some() {
            format!(
                "exchange-type is '{exchange_type}', which is one of the broker's own types: it needs another name"
            )
        } else if !exchange_type.starts_with(PLUGIN_TYPE_PREFIX)
            || exchange_type.len() > TYPE_NAME_MAX
        {
            format!(
                "exchange-type is '{exchange_type}', and has to begin with '{PLUGIN_TYPE_PREFIX}' and to have at most {TYPE_NAME_MAX} bytes"
            )
        } else if spec.on_error == OnError::Pass {
            "on-error is 'pass', and an exchange cannot do that: it is reject, drop, dead-letter or alternate-exchange"
                .to_owned()
        } else {
            return Ok(());
        }
    } else if spec.on_error == OnError::AlternateExchange {
        "on-error is 'alternate-exchange', which is for types of exchange only".to_owned()
    } else {
        return Ok(());
    };
    Err(LoadError::Spec(text))
}

/// A failure while a component was tried.
pub(crate) fn trial(plugin: &Plugin, step: &str, failure: Failure) -> LoadError {
    LoadError::Trial {
        step: step.to_owned(),
        error: plugin.error(failure.fault, failure.text),
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(DESCRIBED_MAX));
    text
}
