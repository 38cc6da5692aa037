//! Quarantine: a plugin that fails too often is not called for a while.
//!
//! Five failures within ten seconds open it for a second. Then one call is let through: if it succeeds all is well again, otherwise the
//! time doubles, up to a minute.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Failures within [`WINDOW`] that are too many.
const FAILURES_MAX: usize = 5;

const WINDOW: Duration = Duration::from_secs(10);
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_mins(1);

/// How a plugin is doing. Times are those of the environment's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Health {
    in_quarantine: AtomicBool,
    until_ns: AtomicU64,
    is_probed: AtomicBool,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    /// The version that all of this is about.
    version: u64,
    failures: VecDeque<u64>,
    back_off: Duration,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Entry {
    /// All is well.
    Open,
    /// This call decides whether all is well again with this version. It must be followed by [`Health::over`].
    Probe(u64),
    /// Not yet.
    Closed(Duration),
}

/// What a call did to the plugin's health.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    None,
    /// The first failure in a while.
    Failing,
    Healed,
    Quarantined(Duration),
}

impl Health {
    /// Whether a call may be made. The clock is read only if there is doubt.
    pub(crate) fn enter(&self, now_ns: impl FnOnce() -> u64) -> Entry {
        if !self.in_quarantine.load(Ordering::Acquire) {
            return Entry::Open;
        }
        let rest = self.rest(now_ns());
        if rest > Duration::ZERO {
            return Entry::Closed(rest);
        }
        let history = self.history.lock();
        // Another version may have come into force meanwhile.
        if !self.in_quarantine.load(Ordering::Acquire) {
            return Entry::Open;
        }
        if self.is_probed.swap(true, Ordering::AcqRel) {
            return Entry::Closed(rest);
        }
        Entry::Probe(history.version)
    }

    /// How long it still lasts; none if there is no quarantine.
    pub(crate) fn quarantine(&self, now_ns: impl FnOnce() -> u64) -> Option<Duration> {
        let is_closed = self.in_quarantine.load(Ordering::Acquire);
        is_closed.then(|| self.rest(now_ns()))
    }

    fn rest(&self, now_ns: u64) -> Duration {
        let until = self.until_ns.load(Ordering::Acquire);
        Duration::from_nanos(until.saturating_sub(now_ns))
    }

    /// A call is over. `failed` says how; none if it neither failed nor succeeded. What the call of an earlier `version` came to
    /// says nothing of the one in force.
    pub(crate) fn over(
        &self,
        entry: Entry,
        failed: Option<bool>,
        version: u64,
        now_ns: impl FnOnce() -> u64,
    ) -> Turn {
        if matches!(
            (entry, failed),
            (Entry::Open, Some(false) | None) | (Entry::Closed(_), _)
        ) {
            return Turn::None;
        }
        let mut history = self.history.lock();
        if history.version != version {
            return Turn::None;
        }
        // A call that was to probe another version is one like any other.
        let probes = entry == Entry::Probe(version);
        match failed {
            Some(true) if probes => {
                history.back_off = (history.back_off * 2).min(BACK_OFF_MAX);
                let turn = self.close(history.back_off, now_ns());
                self.is_probed.store(false, Ordering::Release);
                turn
            }
            Some(true) => self.failed(&mut history, now_ns()),
            Some(false) if probes => {
                self.heal(&mut history);
                Turn::Healed
            }
            None if probes => {
                self.is_probed.store(false, Ordering::Release);
                Turn::None
            }
            Some(false) | None => Turn::None,
        }
    }

    fn failed(&self, history: &mut History, now_ns: u64) -> Turn {
        let window = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
        let begin = now_ns.saturating_sub(window);
        history.failures.retain(|time| *time >= begin);
        history.failures.push_back(now_ns);
        // Another thread may have been faster.
        if self.in_quarantine.load(Ordering::Acquire) {
            return Turn::None;
        }
        match history.failures.len() {
            1 => return Turn::Failing,
            2..FAILURES_MAX => return Turn::None,
            _ => {}
        }
        history.back_off = BACK_OFF_MIN;
        self.close(BACK_OFF_MIN, now_ns)
    }

    fn close(&self, back_off: Duration, now_ns: u64) -> Turn {
        let nanoseconds = u64::try_from(back_off.as_nanos()).unwrap_or(u64::MAX);
        let until = now_ns.saturating_add(nanoseconds);
        self.until_ns.store(until, Ordering::Release);
        self.in_quarantine.store(true, Ordering::Release);
        Turn::Quarantined(back_off)
    }

    /// From now on this version is in force, and begins without a past.
    pub(crate) fn begin(&self, version: u64) {
        let mut history = self.history.lock();
        history.version = version;
        self.heal(&mut history);
    }

    fn heal(&self, history: &mut History) {
        history.failures.clear();
        self.is_probed.store(false, Ordering::Release);
        self.in_quarantine.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    const VERSION: u64 = 7;

    fn health() -> Health {
        let health = Health::default();
        health.begin(VERSION);
        health
    }

    fn fail(health: &Health, now: u64) -> Turn {
        let entry = health.enter(|| now);
        health.over(entry, Some(true), VERSION, || now)
    }

    #[test]
    fn few_failures_in_a_long_time_are_no_matter() {
        let health = health();
        for minute in 0..100 {
            let turn = fail(&health, minute * 3 * SECOND);
            let first = if minute == 0 {
                Turn::Failing
            } else {
                Turn::None
            };
            assert_eq!(turn, first);
        }
        assert_eq!(health.enter(|| 0), Entry::Open);
    }

    #[test]
    fn it_is_left_alone_longer_and_longer_until_it_succeeds() {
        let health = health();
        let mut now = 50 * SECOND;
        assert_eq!(fail(&health, now), Turn::Failing);
        for _ in 0..3 {
            assert_eq!(fail(&health, now), Turn::None);
        }
        assert_eq!(
            fail(&health, now),
            Turn::Quarantined(Duration::from_secs(1))
        );
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            let Some(rest) = health.quarantine(|| now) else {
                panic!("it is over")
            };
            assert_eq!(health.enter(|| now), Entry::Closed(rest));
            now += u64::try_from(rest.as_nanos()).expect("short");
            assert_eq!(
                fail(&health, now),
                Turn::Quarantined(Duration::from_secs(seconds))
            );
        }
        now += 60 * SECOND;
        let probe = Entry::Probe(VERSION);
        assert_eq!(health.enter(|| now), probe);
        assert_eq!(
            health.enter(|| now),
            Entry::Closed(Duration::ZERO),
            "one probe at a time"
        );
        assert_eq!(health.over(probe, None, VERSION, || now), Turn::None);
        assert_eq!(health.enter(|| now), probe);
        assert_eq!(
            health.over(probe, Some(false), VERSION, || now),
            Turn::Healed
        );
        assert_eq!(health.enter(|| now), Entry::Open);
        assert_eq!(health.quarantine(|| now), None);
        assert_eq!(fail(&health, now), Turn::Failing, "the past is forgotten");
    }

    #[test]
    fn what_another_version_did_says_nothing_of_this_one() {
        let health = health();
        let now = 50 * SECOND;
        for _ in 0..5 {
            fail(&health, now);
        }
        let later = now + 2 * SECOND;
        let probe = health.enter(|| later);
        assert_eq!(probe, Entry::Probe(VERSION));
        health.begin(VERSION + 1);
        assert_eq!(health.enter(|| later), Entry::Open);
        // The call of the old version ends, and so do others that began before.
        for entry in [probe, Entry::Open] {
            let turn = health.over(entry, Some(true), VERSION, || later);
            assert_eq!(turn, Turn::None);
        }
        assert_eq!(health.enter(|| later), Entry::Open);
        // A call that was to be a probe, and was one of the new version then, is one failure of five.
        let turn = health.over(probe, Some(true), VERSION + 1, || later);
        assert_eq!(turn, Turn::Failing);
        assert_eq!(health.enter(|| later), Entry::Open);
    }
}
