//! Whether those who publish to a queue are slowed down for those who consume from it.
//!
//! Both take turns under the queue's lock and on the machine's threads. A publisher that never pauses takes most of either, and fills memory, and then the
//! disk, with what consumers could have had at once. Where these are fast as soon as they are let, publishers are slowed to what is taken, and all goes
//! faster. Where they are not, as they work on each message, it would only keep a publisher from handing over what it has. So it is tried for a moment, and
//! if it was in vain, again after a while, each time a longer one.

use std::time::{Duration, Instant};

use amphora_core::queue::Queue;

/// A publisher waits this long at most for consumers that cannot follow. It must be short: a client that publishes and
/// consumes with one thread would otherwise wait for itself.
pub(super) const BRAKE_MAX: Duration = Duration::from_millis(20);
/// Less than this may wait for consumers, bodies and what is kept of each message: it is still in the processor's cache when it is delivered.
const BACKLOG_BYTES: u64 = 2 << 20;
/// What is kept of a message beside its body, about.
const MESSAGE_BYTES: u64 = 64;
/// So long publishers are slowed before it is looked at what came of it.
const TRIAL: Duration = Duration::from_millis(20);
/// Consumers that take [`BACKLOG_BYTES`] in this time are worth waiting for: 20 MiB a second.
const TAKEN_IN: Duration = Duration::from_millis(100);
/// It is in vain when consumers took less in so many trials, one after the other. One may fall into a moment in which they do something else.
const TRIALS_MAX: u32 = 4;
/// How long publishers are left alone when it was in vain for the first time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// However often it was in vain, it is tried again after this time.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// What waits for a queue's consumers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    pub(super) messages: u64,
    /// Of their bodies.
    pub(super) bytes: u64,
    /// Messages that consumers have taken so far and need no more.
    pub(super) taken: u64,
}

impl Backlog {
    /// Nothing without consumers, or while the queue is paused.
    pub(super) fn of<C>(queue: &Queue<C>) -> Option<Self> {
        let is_served = queue.consumer_count() > 0 && !queue.is_paused();
        is_served.then(|| Self {
            messages: queue.ready_count(),
            bytes: queue.ready_bytes(),
            taken: queue.taken_count(),
        })
    }

    /// With what is kept beside the bodies.
    fn size(self) -> u64 {
        self.bytes + self.messages * MESSAGE_BYTES
    }

    fn is_small(self) -> bool {
        self.messages == 0 || self.size() < BACKLOG_BYTES
    }

    /// Whether consumers that have taken so many messages of this size in that time are worth waiting for.
    fn is_fast(self, taken: u64, time: Duration) -> bool {
        let bytes = u128::from(taken) * u128::from(self.size()) / u128::from(self.messages);
        bytes * TAKEN_IN.as_micros() >= u128::from(BACKLOG_BYTES) * time.as_micros()
    }
}

/// How it stands between a queue's publishers and its consumers.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    turn: Turn,
    /// Trials in vain, since the last one that was not.
    vain: u32,
}

#[derive(Debug, Default)]
enum Turn {
    /// Little waits.
    #[default]
    Low,
    /// Publishers have been slowed since then, when so many messages had been taken.
    Trial { since: Instant, taken: u64 },
    /// They are left alone.
    Pause { until: Instant },
}

impl Pressure {
    /// Whether publishers are to be slowed. Asks for the time only where much waits.
    pub(super) fn slows(
        &mut self,
        backlog: Option<Backlog>,
        clock: impl FnOnce() -> Instant,
    ) -> bool {
        let Some(backlog) = backlog.filter(|backlog| !backlog.is_small()) else {
            *self = Self::default();
            return false;
        };
        let now = clock();
        let trial = Turn::Trial {
            since: now,
            taken: backlog.taken,
        };
        match self.turn {
            Turn::Low => self.turn = trial,
            Turn::Trial { since, taken } => {
                let time = now.duration_since(since);
                if time < TRIAL {
                    return true;
                }
                let is_fast = backlog.is_fast(backlog.taken.saturating_sub(taken), time);
                self.vain = if is_fast { 0 } else { self.vain + 1 };
                self.turn = match self.vain.checked_sub(TRIALS_MAX) {
                    None => trial,
                    Some(more) => Turn::Pause {
                        until: now + (PAUSE_MIN * (1 << more.min(10))).min(PAUSE_MAX),
                    },
                };
            }
            Turn::Pause { until } if now >= until => self.turn = trial,
            Turn::Pause { .. } => {}
        }
        matches!(self.turn, Turn::Trial { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn backlog(messages: u64, taken: u64) -> Backlog {
        Backlog {
            messages,
            bytes: messages * 16,
            taken,
        }
    }

    /// For how many of so many milliseconds publishers are slowed while consumers take as many messages as `taken` says until then.
    fn slowed(pressure: &mut Pressure, span: u32, taken: impl Fn(u32) -> u64) -> u32 {
        let begun = Instant::now();
        let slowed = |&ms: &u32| {
            let waits = backlog(50_000 + u64::from(ms), taken(ms));
            pressure.slows(Some(waits), || begun + MS * ms)
        };
        (0..span).filter(slowed).count().try_into().unwrap_or(0)
    }

    #[test]
    fn publishers_wait_for_fast_consumers_and_no_longer_when_little_waits() {
        let mut pressure = Pressure::default();
        assert!(!pressure.slows(Some(backlog(1000, 0)), || panic!("nobody needs the time")));
        assert_eq!(slowed(&mut pressure, 1000, |ms| u64::from(ms) * 300), 1000);
        assert!(!pressure.slows(Some(backlog(1000, 50_000)), Instant::now));
        assert!(pressure.slows(Some(backlog(50_000, 50_000)), Instant::now));
        assert!(!pressure.slows(None, Instant::now));
    }

    #[test]
    fn one_moment_in_which_nothing_is_taken_ends_nothing() {
        let mut pressure = Pressure::default();
        let stalls = |ms| u64::from(ms / 70) * 70 * 300;
        assert_eq!(slowed(&mut pressure, 1000, stalls), 1000);
    }

    #[test]
    fn publishers_are_left_alone_where_consumers_are_slow() {
        let mut pressure = Pressure::default();
        let (first, next) = (4 * 20, 20);
        let slow = |ms| u64::from(ms) * 100;
        assert_eq!(slowed(&mut pressure, 180, slow), first);
        assert_eq!(
            slowed(&mut pressure, 60_000, slow) / next,
            9,
            "it is tried less and less"
        );
        let many = 50 * slowed(&mut pressure, 300_000, slow);
        assert!(many < 300_000 / 50, "{many} ms for 50 such queues in 300 s");
    }

    #[test]
    fn consumers_that_become_fast_are_waited_for_again() {
        let mut pressure = Pressure::default();
        slowed(&mut pressure, 30_000, |_| 0);
        let fast = |ms| u64::from(ms) * 300;
        slowed(&mut pressure, 60_000, fast);
        assert_eq!(slowed(&mut pressure, 1000, fast), 1000);
    }

    #[test]
    fn large_messages_count_by_their_bytes() {
        let mut pressure = Pressure::default();
        let waits = |messages, bytes| {
            Some(Backlog {
                messages,
                bytes,
                taken: 0,
            })
        };
        assert!(!pressure.slows(waits(2, 1 << 20), Instant::now));
        assert!(pressure.slows(waits(2, 2 << 20), Instant::now));
        // What a damaged store has lost may still be counted.
        assert!(!pressure.slows(waits(0, 2 << 20), Instant::now));
    }
}
