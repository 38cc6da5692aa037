//! What happened since the start: counters that cost the data path as little as can be.

use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::queue::Counters as Counted;
use parking_lot::Mutex;

use super::sizes::{AllSizes, Sizes};

/// A number that one task keeps and others read: a plain addition, no locked instruction.
#[derive(Debug, Default)]
pub(super) struct Figure(AtomicU64);

impl Figure {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Only for the task that keeps the number.
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Only for the task that keeps the number.
    pub(super) fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }
}

/// What went over a socket in one direction. Only one task at a time may count.
#[derive(Debug, Default)]
pub(super) struct Octets {
    pub(super) bytes: Figure,
    /// Reads or writes that the operating system was asked for.
    pub(super) calls: Figure,
}

impl Octets {
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.add(bytes as u64);
        self.calls.add(1);
    }
}

/// What the whole broker has done since its start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) connections_opened: AtomicU64,
    pub(super) connections_closed: AtomicU64,
    pub(super) channels_opened: AtomicU64,
    pub(super) channels_closed: AtomicU64,
    pub(super) published: AtomicU64,
    pub(super) returned: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) acked: AtomicU64,
    /// Publishes whose publishers want confirms.
    pub(super) confirmable: AtomicU64,
    /// On connections that are gone.
    pub(super) confirmed: AtomicU64,
    /// Of messages that were published.
    pub(super) sizes: AllSizes,
}

impl Counters {
    /// Takes over what was gathered, which begins anew.
    pub(super) fn take(&self, tally: &mut Tally) {
        self.sizes.take(&mut tally.sizes);
        for (counter, count) in [
            (&self.published, &mut tally.published),
            (&self.returned, &mut tally.returned),
            (&self.dropped, &mut tally.dropped),
            (&self.acked, &mut tally.acked),
            (&self.confirmable, &mut tally.confirmable),
        ] {
            if *count > 0 {
                counter.fetch_add(std::mem::take(count), Ordering::Relaxed);
            }
        }
    }
}

/// What one task has done since it told the broker.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) published: u64,
    pub(super) returned: u64,
    pub(super) dropped: u64,
    pub(super) acked: u64,
    pub(super) confirmable: u64,
    pub(super) sizes: Sizes,
}

impl Tally {
    /// Takes note of so many publishes and of what became of them.
    pub(super) fn publish(&mut self, count: u64, routed: bool, mandatory: bool) {
        self.published += count;
        match (routed, mandatory) {
            (true, _) => {}
            (false, true) => self.returned += count,
            (false, false) => self.dropped += count,
        }
    }
}

/// What the connections of a virtual host moved that are gone, in bytes.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

/// What the queues of a virtual host have seen.
#[derive(Debug, Default)]
pub(super) struct QueueTotals {
    pub(super) declared: AtomicU64,
    pub(super) created: AtomicU64,
    pub(super) deleted: AtomicU64,
    /// What those counted that are deleted.
    pub(super) buried: Mutex<Counted>,
}
