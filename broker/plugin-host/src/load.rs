//! Bringing versions of plugins into force, and taking them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amphora_core::exchange::{ExchangeType as BuiltIn, PLUGIN_TYPE_PREFIX};
use amphora_core::hook::{Needs, OnError};

use crate::code::{Code, Compiled};
use crate::depended::{check_roles, exchanges_of};
use crate::error::{LoadError, NotLoaded};
use crate::fault::one_line;
use crate::force::{Change, check_claim, put_into_force, take_out_of_force, type_of};
use crate::host::Host;
use crate::instance::{Failure, Instance};
use crate::lane::Lane;
use crate::pace::Pace;
use crate::plugin::{Plugin, Version, unique};
use crate::running::{Refusal, Running};
use crate::snapshot::Snapshot;
use crate::spec::{MEMORY_MAX, NAME_MAX, PluginSpec, TYPE_NAME_MAX};
use crate::verdicts::Verdicts;
use crate::worker;

/// Bytes of what a plugin calls itself and its version that are kept.
const DESCRIBED_MAX: usize = 256;

/// How long one call may be allowed to run, at most: a thread that serves clients stands still meanwhile.
const DEADLINE_MAX: Duration = Duration::from_secs(10);

/// One of the plugins that are loaded together.
#[derive(Debug)]
pub struct Loading<'a> {
    /// What the operator says of it.
    pub spec: PluginSpec,
    /// Its component.
    pub component: &'a [u8],
    /// A plugin that is not among them, and gives its type of exchange to this one.
    pub giver: Option<&'a str>,
}

/// Loads plugins: all of them, or none. Types of exchange may pass among them, and from their givers.
pub(crate) fn load(host: &Host, mut set: Vec<Loading<'_>>) -> Result<Vec<Snapshot>, NotLoaded> {
    // Whoever else loads several locks them in the same order.
    set.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
    check_set(&set)?;
    let plugins: Vec<_> = set.iter().map(|one| host.plugin(&one.spec.name)).collect();
    let mut controls: Vec<_> = plugins.iter().map(|plugin| plugin.control.lock()).collect();
    let names = set.iter().map(|one| one.spec.name.clone());
    let givers = set.iter().filter_map(|one| one.giver.map(str::to_owned));
    let givers: Vec<String> = names.chain(givers).collect();
    let loaded = prepare_all(host, &plugins, set, &givers).and_then(|versions| {
        let parts = plugins.iter().zip(&mut controls).zip(versions);
        let changes = parts.map(|((plugin, control), version)| Change {
            plugin,
            control,
            version,
        });
        put_into_force(host, changes.collect(), &givers)
    });
    match loaded {
        Ok(()) => Ok(plugins
            .iter()
            .map(|plugin| note_loaded(host, plugin))
            .collect()),
        Err((failed, error)) => {
            note_failed(&failed, &error);
            let not_loaded = NotLoaded {
                plugin: failed.name.to_string(),
                error,
            };
            for other in plugins.iter().filter(|other| !Arc::ptr_eq(other, &failed)) {
                other.note_error(not_loaded.told_of(&other.name));
            }
            Err(not_loaded)
        }
    }
}

/// Refuses what could be loaded by nobody.
fn check_set(set: &[Loading<'_>]) -> Result<(), NotLoaded> {
    let not_loaded = |one: &Loading<'_>, error| NotLoaded {
        plugin: one.spec.name.clone(),
        error,
    };
    for (index, one) in set.iter().enumerate() {
        check_spec(&one.spec).map_err(|error| not_loaded(one, error))?;
        let (name, supplied) = (&one.spec.name, &one.spec.exchange_type);
        let rival = set[..index].iter().find(|other| {
            other.spec.name == *name || supplied.is_some() && other.spec.exchange_type == *supplied
        });
        if let Some(rival) = rival {
            let text = format!(
                "plugin '{}' has the same name or exchange-type",
                rival.spec.name
            );
            return Err(not_loaded(one, LoadError::Spec(text)));
        }
    }
    Ok(())
}

/// Compiles and tries each. Nothing changes.
fn prepare_all(
    host: &Host,
    plugins: &[Arc<Plugin>],
    set: Vec<Loading<'_>>,
    givers: &[String],
) -> Result<Vec<Arc<Version>>, (Arc<Plugin>, LoadError)> {
    let supplied: Vec<String> = set
        .iter()
        .filter_map(|one| one.spec.exchange_type.clone())
        .collect();
    let each = plugins.iter().zip(set).map(|(plugin, one)| {
        check_claim(host, plugin, &one.spec, givers)
            .and_then(|()| prepare(host, plugin, one.spec, one.component, &supplied))
            .map_err(|error| (Arc::clone(plugin), error))
    });
    each.collect()
}

pub(crate) fn rollback(host: &Host, name: &str) -> Result<Snapshot, LoadError> {
    let plugin = host.known(name)?;
    let mut control = plugin.control.lock();
    let previous = control.previous.clone();
    let loaded = previous
        .ok_or_else(|| LoadError::Nothing(format!("plugin '{name}' has no earlier version")))
        .and_then(|version| {
            check_claim(host, &plugin, &version.spec, &[])?;
            let supplied = version.spec.exchange_type.as_slice();
            check_roles(&plugin, version.code.compiled.kinds, supplied)?;
            try_exchanges(host, &plugin, &version)?;
            let change = Change {
                plugin: &plugin,
                control: &mut control,
                version,
            };
            put_into_force(host, vec![change], &[]).map_err(|(_, error)| error)
        });
    match loaded {
        Ok(()) => Ok(note_loaded(host, &plugin)),
        Err(error) => {
            note_failed(&plugin, &error);
            Err(error)
        }
    }
}

pub(crate) fn unload(host: &Host, name: &str) -> Result<Snapshot, LoadError> {
    let plugin = host.known(name)?;
    take_out_of_force(host, &plugin, &mut plugin.control.lock());
    Ok(host.snapshot_of(&plugin))
}

/// As [`unload`], and there is no earlier version to bring back.
pub(crate) fn forget(host: &Host, name: &str) -> Result<(), LoadError> {
    let plugin = host.known(name)?;
    let mut control = plugin.control.lock();
    take_out_of_force(host, &plugin, &mut control);
    control.previous = None;
    plugin.notes.lock().previous = None;
    Ok(())
}

/// Notes that a version came into force.
fn note_loaded(host: &Host, plugin: &Arc<Plugin>) -> Snapshot {
    {
        let mut notes = plugin.notes.lock();
        notes.last_error = None;
        notes.load_failed = false;
    }
    plugin.counters.loads.fetch_add(1, Ordering::Relaxed);
    let snapshot = host.snapshot_of(plugin);
    if let Some(version) = &snapshot.version {
        tracing::info!(
            plugin = &*plugin.name,
            "{} {} is in force",
            one_line(&version.described_name),
            one_line(&version.version)
        );
    }
    snapshot
}

/// Notes that none did, and why. Whoever asked for it is told, and logs it.
fn note_failed(plugin: &Plugin, error: &LoadError) {
    plugin.note_error(error.to_string());
    plugin.notes.lock().load_failed = true;
    plugin.counters.failed_loads.fetch_add(1, Ordering::Relaxed);
}

/// Compiles and tries a component, which comes into force together with those that supply these types of exchange.
fn prepare(
    host: &Host,
    plugin: &Arc<Plugin>,
    spec: PluginSpec,
    component: &[u8],
    supplied: &[String],
) -> Result<Arc<Version>, LoadError> {
    let world = &host.world;
    let compiled = Compiled::new(&world.engine, world.cache.as_ref(), component)?;
    check_kind(plugin, &spec, &compiled)?;
    check_roles(plugin, compiled.kinds, supplied)?;
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

fn check_kind(plugin: &Plugin, spec: &PluginSpec, compiled: &Compiled) -> Result<(), LoadError> {
    let kinds = compiled.kinds;
    match &spec.exchange_type {
        Some(name) if !kinds.exchange() => Err(LoadError::Exports(format!(
            "the component supplies no type of exchange, and is to supply '{name}'{}",
            exchanges_of(plugin, name)
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
