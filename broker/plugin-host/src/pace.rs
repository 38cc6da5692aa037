//! How long the calls of a version take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Calls that take so long on average are slow: what it costs to share instances is nothing beside them.
const SLOW_NS: u64 = 200_000;

/// A call that is expected to take so long tells the environment that its thread is busy.
const LONG_NS: u64 = 1_000_000;

/// A call counts for at most twice the average and so much more: a thread that was not running for a while does not make a plugin slow.
const LEAP_NS: u64 = 50_000;

/// A moving average over about eight calls. Threads that write at the same time may lose one another's, which does not matter.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    call_ns: AtomicU64,
}

impl Pace {
    /// Learns how long a call took.
    pub(crate) fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let before = self.call_ns.load(Ordering::Relaxed);
        let time = time.min(2 * before + LEAP_NS);
        let now = before - before / 8 + time / 8;
        if now != before {
            self.call_ns.store(now, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.call_ns.load(Ordering::Relaxed) >= SLOW_NS
    }

    pub(crate) fn is_long(&self) -> bool {
        self.call_ns.load(Ordering::Relaxed) >= LONG_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_call_does_not_make_a_plugin_slow_and_many_do() {
        let pace = Pace::default();
        for _ in 0..3 {
            pace.took(Duration::from_millis(100));
            assert!(!pace.is_slow());
        }
        for _ in 0..60 {
            pace.took(Duration::from_micros(300));
        }
        assert!(pace.is_slow() && !pace.is_long());
        for _ in 0..60 {
            pace.took(Duration::from_millis(5));
        }
        assert!(pace.is_long());
        for _ in 0..60 {
            pace.took(Duration::from_micros(20));
        }
        assert!(!pace.is_slow());
    }
}
