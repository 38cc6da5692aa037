//! What a node's memory is used for: `/api/nodes/NAME/memory`.

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::must_be_here;
use crate::management::answer::One;
use crate::management::backend::Backend;
use crate::management::caller::Caller;
use crate::management::listing::Listing;
use crate::management::refused::Refused;
use crate::management::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::of("Nodes")
        .get(
            "/nodes/{name}/memory",
            absolute,
            "What a node's memory is used for, in bytes.",
        )
        .get(
            "/nodes/{name}/memory/relative",
            relative,
            "What a node's memory is used for, in hundredths of all of it.",
        )
}

async fn absolute(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<Memory<Totals>>, Refused> {
    must_be_here(&caller, &name)?;
    let total = totals(&caller);
    Ok(listing.one(Memory {
        memory: Breakdown {
            shares: Shares::of(caller.backend()),
            strategy: Some("rss"),
            total,
        },
    }))
}

async fn relative(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<Memory<u64>>, Refused> {
    must_be_here(&caller, &name)?;
    let total = totals(&caller).rss;
    Ok(listing.one(Memory {
        memory: Breakdown {
            shares: Shares::of(caller.backend()).map(|bytes| hundredths(bytes, total)),
            strategy: None,
            total: 100,
        },
    }))
}

/// Rounded up, as RabbitMQ does: what is there is at least 1.
fn hundredths(bytes: u64, total: u64) -> u64 {
    bytes.saturating_mul(100).div_ceil(total.max(1))
}

/// What a node's memory is used for.
#[derive(Serialize, JsonSchema)]
struct Memory<T> {
    memory: Breakdown<T>,
}

#[derive(Serialize, JsonSchema)]
struct Breakdown<T> {
    #[serde(flatten)]
    shares: Shares,
    /// How memory is counted: what the operating system says.
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<&'static str>,
    total: T,
}

/// All memory, in bytes.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[schemars(rename = "MemoryTotals")]
struct Totals {
    /// As the operating system counts it.
    rss: u64,
    /// As the allocator counts it.
    allocated: u64,
    /// The same.
    erlang: u64,
}

/// RabbitMQ's shares. Those that have no counterpart here are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "MemoryShares")]
pub(in crate::management) struct Shares {
    connection_readers: u64,
    connection_writers: u64,
    connection_channels: u64,
    connection_other: u64,
    /// Messages, in all queues.
    pub(in crate::management) queue_procs: u64,
    queue_slave_procs: u64,
    quorum_queue_procs: u64,
    quorum_queue_dlx_procs: u64,
    stream_queue_procs: u64,
    stream_queue_replica_reader_procs: u64,
    stream_queue_coordinator_procs: u64,
    /// Instances of plugins.
    pub(in crate::management) plugins: u64,
    metadata_store: u64,
    other_proc: u64,
    metrics: u64,
    mgmt_db: u64,
    mnesia: u64,
    quorum_ets: u64,
    metadata_store_ets: u64,
    other_ets: u64,
    binary: u64,
    msg_index: u64,
    code: u64,
    atom: u64,
    /// What is left: definitions, connections, the program itself.
    pub(in crate::management) other_system: u64,
    /// What the allocator keeps for later.
    pub(in crate::management) allocated_unused: u64,
    reserved_unallocated: u64,
}

impl Shares {
    /// What is so now.
    pub(in crate::management) fn of(backend: &dyn Backend) -> Self {
        let node = backend.node();
        let plugins = backend.plugins().all();
        let of_plugins: u64 = plugins.iter().map(|plugin| plugin.memory).sum();
        let allocator = &node.allocator;
        let unused = allocator.resident.saturating_sub(allocator.allocated);
        let told = node.memory_of_messages + of_plugins + unused;
        Self {
            queue_procs: node.memory_of_messages,
            plugins: of_plugins,
            allocated_unused: unused,
            other_system: node.memory_used.saturating_sub(told),
            ..Self::default()
        }
    }

    /// Of those that are not always 0.
    fn map(self, each: impl Fn(u64) -> u64) -> Self {
        Self {
            queue_procs: each(self.queue_procs),
            plugins: each(self.plugins),
            other_system: each(self.other_system),
            allocated_unused: each(self.allocated_unused),
            ..self
        }
    }
}

fn totals(caller: &Caller) -> Totals {
    let node = caller.backend().node();
    let allocated = node.allocator.allocated.max(node.memory_of_messages);
    Totals {
        rss: node.memory_used,
        allocated,
        erlang: allocated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_at_least_a_hundredth() {
        assert_eq!(hundredths(0, 1000), 0);
        assert_eq!(hundredths(1, 1000), 1);
        assert_eq!(hundredths(500, 1000), 50);
        assert_eq!(hundredths(7, 0), 700);
    }
}
