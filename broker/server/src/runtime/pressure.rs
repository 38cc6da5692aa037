//! Whether those who publish to a queue are slowed down for those who consume from it.
//!
//! Both take turns under the queue's lock and on the machine's threads. A publisher that never pauses takes most of either, and fills memory, and then the
//! disk, with what consumers could have had at once. Where these keep up as soon as they are let, waiting for them costs nobody anything. Where they do
//! not, as they work on each message, it would only keep a publisher from handing over what it has. So it is tried for a moment, and again after a
//! while.

use std::time::{Duration, Instant};

/// Less than this may wait for consumers, bodies and what is kept of each message: it is still in the processor's cache when it is delivered.
const BACKLOG_BYTES: u64 = 2 << 20;
/// What is kept of a message beside its body, about.
const MESSAGE_BYTES: u64 = 64;
/// So long publishers are slowed before it is looked at what came of it.
const TRIAL: Duration = Duration::from_millis(20);
/// Consumers keep up if they would be through with what waits in this time.
const KEPT_UP: Duration = Duration::from_secs(1);
/// How long publishers are left alone when it was in vain.
const PAUSE: Duration = Duration::from_secs(1);

/// What waits for consumers that have as much as they may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    pub(super) messages: u64,
    /// Of their bodies.
    pub(super) bytes: u64,
    /// Messages that the queue has delivered so far.
    pub(super) delivered: u64,
}

impl Backlog {
    fn is_small(self) -> bool {
        self.bytes + self.messages * MESSAGE_BYTES < BACKLOG_BYTES
    }
}

/// How it stands between a queue's publishers and its consumers.
#[derive(Debug, Default)]
pub(super) enum Pressure {
    #[default]
    Low,
    /// Publishers have been slowed since then, when so much had been delivered.
    Slowing { since: Instant, delivered: u64 },
    /// It was in vain.
    Pausing { until: Instant },
}

impl Pressure {
    /// Whether publishers are to be slowed. Asks for the time only where there is a backlog.
    pub(super) fn slows(
        &mut self,
        backlog: Option<Backlog>,
        clock: impl FnOnce() -> Instant,
    ) -> bool {
        let Some(backlog) = backlog.filter(|backlog| !backlog.is_small()) else {
            // Who was left alone has not begun to keep up by being through for once.
            if matches!(self, Self::Slowing { .. }) {
                *self = Self::Low;
            }
            return false;
        };
        let now = clock();
        let tried = Self::Slowing {
            since: now,
            delivered: backlog.delivered,
        };
        match *self {
            Self::Low => *self = tried,
            Self::Slowing { since, delivered } => {
                let passed = now.duration_since(since);
                if passed >= TRIAL {
                    let taken = u128::from(backlog.delivered.saturating_sub(delivered));
                    let keeps_up = taken * KEPT_UP.as_micros()
                        >= u128::from(backlog.messages) * passed.as_micros();
                    *self = if keeps_up {
                        tried
                    } else {
                        Self::Pausing { until: now + PAUSE }
                    };
                }
            }
            Self::Pausing { until } if now >= until => *self = tried,
            Self::Pausing { .. } => {}
        }
        matches!(self, Self::Slowing { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn backlog(messages: u64, delivered: u64) -> Option<Backlog> {
        Some(Backlog {
            messages,
            bytes: messages * 16,
            delivered,
        })
    }

    #[test]
    fn publishers_wait_for_consumers_that_keep_up() {
        let begun = Instant::now();
        let mut pressure = Pressure::default();
        assert!(!pressure.slows(backlog(1000, 0), || panic!("nobody needs the time")));
        for ms in 0..1000 {
            let waits = backlog(50_000, u64::from(ms) * 50);
            assert!(pressure.slows(waits, || begun + MS * ms), "after {ms} ms");
        }
        assert!(!pressure.slows(backlog(1000, 50_000), Instant::now));
        assert!(!pressure.slows(None, Instant::now));
        // And again, at once, when more comes.
        assert!(pressure.slows(backlog(50_000, 50_000), Instant::now));
    }

    #[test]
    fn publishers_are_left_alone_where_consumers_do_not_keep_up_and_it_is_tried_again() {
        let begun = Instant::now();
        let mut pressure = Pressure::default();
        let mut slowed = 0;
        for ms in 0..10_000 {
            let waits = backlog(50_000 + u64::from(ms), u64::from(ms) * 49);
            slowed += u32::from(pressure.slows(waits, || begun + MS * ms));
        }
        assert!((180..=220).contains(&slowed), "{slowed} ms of 10 s");
    }

    #[test]
    fn large_messages_count_by_their_bytes() {
        let mut pressure = Pressure::default();
        let waits = |bytes| Backlog {
            messages: 2,
            bytes,
            delivered: 0,
        };
        assert!(!pressure.slows(Some(waits(1 << 20)), Instant::now));
        assert!(pressure.slows(Some(waits(2 << 20)), Instant::now));
    }
}
