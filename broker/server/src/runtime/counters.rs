//! What the whole broker has done since its start.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) connections_opened: AtomicU64,
    pub(super) connections_closed: AtomicU64,
    pub(super) channels_opened: AtomicU64,
    pub(super) channels_closed: AtomicU64,
    published: AtomicU64,
    returned: AtomicU64,
    dropped: AtomicU64,
    acked: AtomicU64,
}

impl Counters {
    /// Takes note of a publish and of what became of it.
    pub(super) fn published(&self, routed: bool, mandatory: bool) {
        self.published.fetch_add(1, Ordering::Relaxed);
        if !routed {
            let unroutable = if mandatory {
                &self.returned
            } else {
                &self.dropped
            };
            unroutable.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn acked(&self, count: u64) {
        self.acked.fetch_add(count, Ordering::Relaxed);
    }
}
