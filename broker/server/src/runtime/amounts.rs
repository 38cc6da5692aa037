//! How much the committer's messages take, in memory and on their way to the disk, and when that is too much.

use std::sync::atomic::Ordering;

use super::committer::Committer;

/// Publishers pause while more than this waits for the disk: it always drains, so the pause is short.
const UNCOMMITTED_MAX: usize = 64 << 20;

impl Committer {
    /// Takes note of a queue's memory, which was `before`.
    pub(super) fn account(&self, before: &mut usize, now: usize) {
        if now > *before {
            self.memory.fetch_add(now - *before, Ordering::Relaxed);
        } else if now < *before {
            self.memory.fetch_sub(*before - now, Ordering::Relaxed);
        }
        *before = now;
    }

    /// Bytes that were published and are in no durable group yet.
    pub(crate) fn uncommitted(&self) -> usize {
        self.uncommitted.load(Ordering::Relaxed)
    }

    /// Bytes of memory that messages hold, in all queues.
    pub(crate) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Takes note of published bytes that the disk will see.
    pub(super) fn published(&self, bytes: usize) {
        self.uncommitted.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether publishers must wait for [`Self::relieved`].
    pub(super) fn is_behind(&self) -> bool {
        self.uncommitted.load(Ordering::Relaxed) > UNCOMMITTED_MAX
    }

    /// Whether messages come faster than they can be moved to the disk.
    pub(super) fn is_swamped(&self) -> bool {
        self.memory() > 2 * self.memory_mark
    }

    pub(super) fn is_short_of_memory(&self) -> bool {
        self.memory() > self.memory_mark
    }
}
