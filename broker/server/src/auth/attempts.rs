//! How often somebody tried to log in, and with what success.

use std::sync::atomic::{AtomicU64, Ordering};

/// Attempts of one protocol, since the start or since they were set back.
#[derive(Debug, Default)]
pub struct Attempts {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Attempts {
    /// Counts one, and hands on how it ended.
    pub(crate) fn count<T, E>(&self, ended: Result<T, E>) -> Result<T, E> {
        let counter = match ended {
            Ok(_) => &self.succeeded,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        ended
    }

    /// How many succeeded, and how many failed.
    pub fn counts(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.succeeded), read(&self.failed))
    }

    /// Sets both back to 0.
    pub fn reset(&self) {
        self.succeeded.store(0, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
    }
}
