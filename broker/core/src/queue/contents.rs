//! How much a queue holds, for listings: sums over its segments, each of which keeps its own.

use super::Queue;
use super::log::Log;
use super::segment::Segment;

/// What a listing shows of the messages that a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The bodies of the messages that wait for a consumer, in bytes.
    pub ready_bytes: u64,
    /// The bodies of the messages that were delivered and are not settled, in bytes.
    pub unacked_bytes: u64,
    /// Messages, ready or not, that survive a restart.
    pub persistent_count: u64,
    /// Their bodies, in bytes.
    pub persistent_bytes: u64,
    /// Messages, ready or not, whose bodies are in memory.
    pub in_memory_count: u64,
}

impl<C> Queue<C> {
    /// More of its messages than is needed all the time. Costs a look at every segment: one for each MiB or so. Exact,
    /// unless the store has lost messages from before the restart.
    pub fn contents(&self) -> Contents {
        let (persistent_count, persistent_bytes) = self.log.persistent();
        Contents {
            ready_bytes: self.ready_bytes,
            unacked_bytes: self.log.live_bytes().saturating_sub(self.ready_bytes),
            persistent_count,
            persistent_bytes,
            in_memory_count: self.log.in_memory(),
        }
    }
}

impl Log {
    /// The bodies of all messages that are not settled, in bytes.
    pub(super) fn live_bytes(&self) -> u64 {
        let known = self.segments.iter().map(|segment| segment.live_bytes);
        known.sum::<u64>() + self.unread_bytes
    }

    /// The number of messages that survive a restart, and their bodies in bytes.
    pub(super) fn persistent(&self) -> (u64, u64) {
        let mut total = (0, self.unread_bytes);
        for segment in &self.segments {
            total.0 += u64::from(segment.persistent);
            total.1 += segment.persistent_bytes;
        }
        total
    }

    /// The number of messages whose bodies are in memory.
    pub(super) fn in_memory(&self) -> u64 {
        self.segments.iter().map(Segment::in_memory).sum()
    }
}
