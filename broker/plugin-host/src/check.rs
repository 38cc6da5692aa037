//! Asks plugins whether declarations and bindings are valid.

use std::sync::Arc;

use amphora_core::binding::Binding;
use amphora_core::hook::{Fault, HookError};
use amphora_protocol::wire::table::FieldTable;

use crate::call::blocked;
use crate::contract;
use crate::exchange::ExchangeType;
use crate::instance::Failure;
use crate::plugin::{Plugin, Version};
use crate::running::{self, Running};
use crate::worker;

/// Stands for the exchange in an instance that knows no other.
const EXCHANGE: u32 = 1;

/// Stands for the binding.
const BINDING: u32 = 1;

/// Creates an exchange, and perhaps binds it, in an instance that is dropped afterwards. A failure is counted, but does not bring the plugin closer to
/// quarantine: a client could otherwise stop it with arguments that it chokes on.
pub(crate) fn exchange(
    exchange_type: &Arc<ExchangeType>,
    vhost: &str,
    name: &str,
    arguments: &FieldTable,
    binding: Option<&Binding>,
) -> Result<(), HookError> {
    let (plugin, version) = exchange_type.supplied()?;
    let checked = blocked(&plugin, || {
        attempt(&plugin, &version, vhost, name, arguments, binding)
    });
    checked.map_err(|failure| {
        if failure.fault != Fault::Refused {
            plugin.counters.fault(failure.fault, 0);
            plugin.note_error(failure.text.clone());
        }
        plugin.error(failure.fault, failure.text)
    })
}

fn attempt(
    plugin: &Plugin,
    version: &Arc<Version>,
    vhost: &str,
    name: &str,
    arguments: &FieldTable,
    binding: Option<&Binding>,
) -> Result<(), Failure> {
    let mut running = worker::with_room(|| Running::start(plugin, version))?;
    let arguments = contract::lowered_table(arguments);
    running.instance.create(EXCHANGE, vhost, name, arguments)?;
    if let Some(binding) = binding {
        let add = vec![running::lowered(BINDING, binding)];
        running.instance.rebind(EXCHANGE, add, Vec::new())?;
    }
    Ok(())
}
