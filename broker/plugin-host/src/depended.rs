//! What others depend on: a version that lacks it does not take the place of one that has it.

use crate::environment::Role;
use crate::error::LoadError;
use crate::plugin::Plugin;
use crate::snapshot::Kinds;

/// Refuses a component that lacks an interface of the version in force which somebody depends on, and settings that give up a type of exchange of
/// which there are exchanges, unless it is among those that are supplied from then on. Where nothing is in force, nothing is lost.
pub(crate) fn check_roles(
    plugin: &Plugin,
    kinds: Kinds,
    supplied: &[String],
) -> Result<(), LoadError> {
    let current = plugin.current.load();
    let Some(current) = &*current else {
        return Ok(());
    };
    let (name, environment) = (&*plugin.name, &plugin.world.environment);
    if current.code.compiled.kinds.transform
        && !kinds.transform
        && let Some(dependants) = environment.dependants(name, Role::Transform)
    {
        return Err(LoadError::DependedOn(format!(
            "the component has no transform, and plugin '{name}' is needed as one: {dependants}"
        )));
    }
    if let Some(before) = &current.spec.exchange_type
        && !supplied.contains(before)
        && let Some(dependants) = environment.dependants(name, Role::ExchangeType(before))
    {
        return Err(LoadError::DependedOn(format!(
            "exchange type '{before}' would be supplied by nobody, and it is needed: {dependants}"
        )));
    }
    Ok(())
}

/// The exchanges of a type, as the end of a sentence that says why nobody would supply it; nothing if there are none.
pub(crate) fn exchanges_of(plugin: &Plugin, exchange_type: &str) -> String {
    let role = Role::ExchangeType(exchange_type);
    let dependants = plugin.world.environment.dependants(&plugin.name, role);
    dependants.map_or_else(String::new, |dependants| {
        format!(", which is needed: {dependants}")
    })
}
