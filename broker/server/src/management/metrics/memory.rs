//! What memory is used for, as far as RabbitMQ's names fit.

use super::exposition::{Exposition, Kind};
use crate::management::Api;
use crate::management::nodes::Shares;

pub(super) fn all(api: &Api, metrics: &mut Exposition) {
    let shares = Shares::of(api.backend());
    for (name, help, bytes) in [
        (
            "memory_classic_queue_erlang_process_bytes",
            "Messages in memory, of queues of all types, in bytes",
            shares.queue_procs,
        ),
        (
            "memory_plugin_bytes",
            "Instances of plugins, in bytes",
            shares.plugins,
        ),
        (
            "memory_other_system_bytes",
            "Definitions, connections and the program itself, in bytes",
            shares.other_system,
        ),
        (
            "memory_runtime_allocated_unused_bytes",
            "What the allocator keeps for later, in bytes",
            shares.allocated_unused,
        ),
    ] {
        metrics.single(name, Kind::Gauge, help, bytes);
    }
}
