//! The node: its machine, its memory, its store.

use std::time::Duration;

use super::Bucket;

/// The one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeSnapshot {
    /// Since the broker was started.
    pub uptime: Duration,
    /// Memory in use, in bytes.
    pub memory_used: u64,
    /// With more than this in use, publishers are blocked.
    pub memory_mark: u64,
    /// Whether they are.
    pub memory_alarm: bool,
    /// Bytes free on the data directory's disk.
    pub disk_free: u64,
    /// With less than this free, publishers are blocked.
    pub disk_free_limit: u64,
    /// Whether they are.
    pub disk_alarm: bool,
    /// Open sockets of clients.
    pub sockets_used: u64,
    /// Bytes of the memory in use that messages take, in all queues.
    pub memory_of_messages: u64,
    /// What the allocator says of the memory in use.
    pub allocator: AllocatorSnapshot,
}

/// What the allocator has, in bytes. All 0 where it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorSnapshot {
    /// What the program asked for and has not given back.
    pub allocated: u64,
    /// The pages that hold it.
    pub active: u64,
    /// The pages that are in memory, those included that are free and not given back yet.
    pub resident: u64,
    /// Addresses that are kept for later, without memory behind them.
    pub retained: u64,
    /// The allocator's own books.
    pub metadata: u64,
}

/// The store, and what commits cost.
#[derive(Clone, Debug, Default)]
pub struct StoreSnapshot {
    /// How long commits took that ended with a sync of the disk, in nanoseconds.
    pub synced: Distribution,
    /// How long the others took, in nanoseconds.
    pub unsynced: Distribution,
    /// How many changes went together.
    pub writes: Distribution,
    /// How many bytes went together.
    pub bytes: Distribution,
    /// Commits that the store refused.
    pub failures: u64,
    /// Bytes that were published and are in no durable commit yet.
    pub uncommitted_bytes: u64,
}

/// How often which values were seen.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    /// By upper bounds, the one without a bound last.
    pub buckets: Vec<Bucket>,
    /// All values together.
    pub sum: u64,
}

impl Distribution {
    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }
}
