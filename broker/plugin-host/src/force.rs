//! What is in force: versions that take each other's place, and types of exchange that pass from plugin to plugin.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::LoadError;
use crate::exchange::ExchangeType;
use crate::host::Host;
use crate::plugin::{Control, Plugin, Version};
use crate::spec::PluginSpec;
use crate::worker;

/// A version that is to come into force.
pub(crate) struct Change<'a> {
    pub(crate) plugin: &'a Arc<Plugin>,
    pub(crate) control: &'a mut Control,
    pub(crate) version: Arc<Version>,
}

/// Puts versions in force, all of them or none. A type of exchange that one of the plugins `givers` supplies passes over. Who routes meanwhile does so
/// by the old or by the new supplier of an exchange's type, never by a version that supplies another type: see [`ExchangeType::supplied`].
pub(crate) fn put_into_force(
    host: &Host,
    changes: Vec<Change<'_>>,
    givers: &[String],
) -> Result<(), (Arc<Plugin>, LoadError)> {
    let passing = host.world.passing.lock();
    for Change {
        plugin, version, ..
    } in &changes
    {
        // Somebody else may have claimed it since the component was tried.
        check_claim(host, plugin, &version.spec, givers)
            .map_err(|error| (Arc::clone(plugin), error))?;
    }
    let now_ms = host.world.environment.now_ms();
    let mut over = Vec::new();
    for Change {
        plugin,
        control,
        version,
    } in changes
    {
        version.loaded_ms.store(now_ms, Ordering::Relaxed);
        version.lane.open();
        let (number, supplies) = (version.number, type_of(host, &version));
        let before = plugin.current.swap(Some(version));
        plugin.health.begin(number);
        if let Some(supplies) = supplies {
            supplies.plugin.store(Some(Arc::clone(plugin)));
        }
        over.push((plugin, control, before));
    }
    for (plugin, _, before) in &over {
        let left = before.as_ref().and_then(|before| type_of(host, before));
        if let Some(left) = left {
            give_up(&left, plugin);
        }
    }
    drop(passing);
    for (plugin, control, before) in over {
        if let Some(before) = before {
            note_previous(plugin, control, before);
        }
        tell(plugin);
    }
    Ok(())
}

/// Nothing of the plugin is in force any more.
pub(crate) fn take_out_of_force(host: &Host, plugin: &Arc<Plugin>, control: &mut Control) {
    let passing = host.world.passing.lock();
    let before = plugin.current.swap(None);
    if let Some(left) = before.as_ref().and_then(|before| type_of(host, before)) {
        give_up(&left, plugin);
    }
    drop(passing);
    {
        let mut notes = plugin.notes.lock();
        notes.last_error = None;
        notes.load_failed = false;
    }
    if let Some(before) = before {
        note_previous(plugin, control, before);
        tell(plugin);
        tracing::info!(plugin = &*plugin.name, "the plugin is unloaded");
    }
}

fn note_previous(plugin: &Plugin, control: &mut Control, before: Arc<Version>) {
    before.lane.close();
    before.verdicts.clear();
    plugin.notes.lock().previous = Some(before.snapshot());
    control.previous = Some(before);
}

fn tell(plugin: &Plugin) {
    worker::changed();
    plugin.world.environment.plugin_changed(&plugin.name);
}

/// The type of exchange that a version supplies.
pub(crate) fn type_of(host: &Host, version: &Version) -> Option<Arc<ExchangeType>> {
    let name = version.spec.exchange_type.as_ref()?;
    Some(host.exchange_type(name))
}

/// Nobody supplies the type any more, if it was this plugin and its version of now does not.
fn give_up(exchange_type: &ExchangeType, plugin: &Arc<Plugin>) {
    let current = plugin.current.load();
    let goes_on = current
        .as_ref()
        .is_some_and(|version| version.supplies(exchange_type));
    let owner = exchange_type.plugin.load();
    if !goes_on
        && owner
            .as_ref()
            .is_some_and(|owner| Arc::ptr_eq(owner, plugin))
    {
        exchange_type.plugin.store(None);
    }
}

/// Refuses a type of exchange that a plugin supplies which does not give it away.
pub(crate) fn check_claim(
    host: &Host,
    plugin: &Arc<Plugin>,
    spec: &PluginSpec,
    givers: &[String],
) -> Result<(), LoadError> {
    let Some(name) = &spec.exchange_type else {
        return Ok(());
    };
    let exchange_type = host.exchange_type(name);
    match exchange_type.plugin.load_full() {
        Some(owner)
            if !Arc::ptr_eq(&owner, plugin)
                && !givers.iter().any(|giver| **giver == *owner.name) =>
        {
            Err(LoadError::Spec(format!(
                "exchange type '{}' is supplied by plugin '{}' already",
                exchange_type.name, owner.name
            )))
        }
        Some(_) | None => Ok(()),
    }
}
