//! When something in plugins' stores outlives its time: nobody looks before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long the stores are left alone after somebody has looked: what goes meanwhile goes at once then.
const PAUSE: Duration = Duration::from_secs(1);

/// After so long, the time is compared again, because the machine's clock may have been set.
const SLEEP_MAX: Duration = Duration::from_hours(1);

/// Says that nothing goes.
const NEVER: u64 = u64::MAX;

/// When the next entry goes, of all plugins' stores.
#[derive(Debug)]
pub(super) struct Expiry {
    /// Milliseconds since 1970; too early if that entry has gone already.
    next_ms: AtomicU64,
    earlier: Notify,
}

impl Default for Expiry {
    fn default() -> Self {
        Self {
            next_ms: AtomicU64::new(NEVER),
            earlier: Notify::new(),
        }
    }
}

impl Expiry {
    /// An entry goes at this time.
    pub(super) fn note(&self, at_ms: u64) {
        if at_ms < self.next_ms.fetch_min(at_ms, Ordering::Relaxed) {
            self.earlier.notify_one();
        }
    }

    /// Calls `look` whenever something has outlived its time, and for ever. It returns when the next one does of those that are left.
    pub(super) async fn watch(
        &self,
        now_ms: impl Fn() -> u64,
        mut look: impl FnMut() -> Option<u64>,
    ) {
        let mut looked: Option<Instant> = None;
        loop {
            let next_ms = self.next_ms.load(Ordering::Relaxed);
            let left_ms = next_ms.saturating_sub(now_ms());
            let rested = looked.map_or_else(Instant::now, |looked| looked + PAUSE);
            if next_ms == NEVER {
                self.earlier.notified().await;
            } else if left_ms > 0 {
                let left = Duration::from_millis(left_ms).min(SLEEP_MAX);
                let over = sleep_until((Instant::now() + left).max(rested));
                tokio::select! {
                    () = over => {}
                    () = self.earlier.notified() => {}
                }
            } else if rested > Instant::now() {
                sleep_until(rested).await;
            } else {
                // Before the look, so that what is noted meanwhile is not lost.
                self.next_ms.store(NEVER, Ordering::Relaxed);
                let next = look();
                looked = Some(Instant::now());
                if let Some(next) = next {
                    self.next_ms.fetch_min(next, Ordering::Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::task::yield_now;
    use tokio::time::sleep;

    use super::*;

    /// Moments in milliseconds at which somebody looked, until they are so many. `left` is what the looks return.
    async fn looks(
        expiry: &Expiry,
        left: &[Option<u64>],
        count: usize,
        work: impl AsyncFnOnce(),
    ) -> Vec<u64> {
        let begun = Instant::now();
        let now_ms = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let left = Cell::new(left);
        let looks = RefCell::new(Vec::new());
        let looked = Notify::new();
        let look = || {
            looks.borrow_mut().push(now_ms());
            looked.notify_one();
            let (first, rest) = left.get().split_first()?;
            left.set(rest);
            *first
        };
        let enough = async {
            work().await;
            while looks.borrow().len() < count {
                looked.notified().await;
            }
        };
        tokio::select! {
            () = expiry.watch(now_ms, look) => {}
            () = enough => {}
        }
        looks.into_inner()
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[tokio::test]
    async fn nobody_looks_before_something_goes() {
        let expiry = Expiry::default();
        let told = looks(&expiry, &[], 0, async || sleep(ms(100)).await).await;
        assert_eq!(told, [0; 0]);
        let told = looks(&expiry, &[Some(1_200), None], 2, async || expiry.note(50)).await;
        assert!(told[0] >= 50 && told[1] >= 1_200, "{told:?}");
    }

    #[tokio::test]
    async fn who_sleeps_is_woken_by_what_goes_earlier() {
        let expiry = Expiry::default();
        let told = looks(&expiry, &[Some(3_600_000)], 1, async || {
            expiry.note(3_600_000);
            // Whoever watches is asleep then.
            yield_now().await;
            expiry.note(100);
            // Later than that, so that it changes nothing.
            expiry.note(200);
        })
        .await;
        assert!(told[0] >= 100, "{told:?}");
    }

    #[tokio::test]
    async fn what_goes_all_the_time_is_looked_for_once_a_second() {
        let expiry = Expiry::default();
        let told = looks(&expiry, &[Some(0); 3], 3, async || expiry.note(0)).await;
        assert!(told[1] - told[0] >= 1_000, "{told:?}");
        assert!(told[2] - told[1] >= 1_000, "{told:?}");
    }
}
