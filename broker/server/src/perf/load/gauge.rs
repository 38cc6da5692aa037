//! What the threads of a run share: the clock, the running totals, and when to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::perf::measure::clock::Clock;

/// How long a blocked thread may take to see that it should stop.
pub(crate) const REACTION: Duration = Duration::from_millis(100);

/// A time that does not come.
const NEVER: u64 = u64::MAX;

/// Totals are raised once per batch, so their cost does not show.
#[derive(Debug)]
pub(crate) struct Gauge {
    pub(crate) clock: Clock,
    published: AtomicU64,
    delivered: AtomicU64,
    last_delivery: AtomicU64,
    counted_from: AtomicU64,
    /// When timetables are cut short.
    cut_at: AtomicU64,
    stop_publishing: AtomicBool,
    stop_consuming: AtomicBool,
    failed: AtomicBool,
}

impl Gauge {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            published: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            last_delivery: AtomicU64::new(0),
            counted_from: AtomicU64::new(0),
            cut_at: AtomicU64::new(NEVER),
            stop_publishing: AtomicBool::new(false),
            stop_consuming: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn add_published(&self, count: u64) {
        self.published.fetch_add(count, Relaxed);
    }

    pub(crate) fn add_delivered(&self, count: u64, now: u64) {
        self.last_delivery.fetch_max(now, Relaxed);
        self.delivered.fetch_add(count, Relaxed);
    }

    pub(crate) fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// When the last delivery arrived.
    pub(crate) fn last_delivery(&self) -> u64 {
        self.last_delivery.load(Relaxed)
    }

    /// Sets the time from which on what is sent, or due, counts for the figures: the end of the warm-up.
    pub(crate) fn count_from(&self, time: u64) {
        self.counted_from.store(time, Relaxed);
    }

    pub(crate) fn counted_from(&self) -> u64 {
        self.counted_from.load(Relaxed)
    }

    /// Ends timetables at this time: what was due until then is still published.
    pub(crate) fn cut(&self, at: u64) {
        self.cut_at.store(at, Relaxed);
    }

    /// When timetables end, if before their time.
    pub(crate) fn cut_at(&self) -> Option<u64> {
        Some(self.cut_at.load(Relaxed)).filter(|&at| at != NEVER)
    }

    pub(crate) fn stop_publishing(&self) {
        self.stop_publishing.store(true, Relaxed);
    }

    pub(crate) fn publishing_stopped(&self) -> bool {
        self.stop_publishing.load(Relaxed)
    }

    pub(crate) fn stop_consuming(&self) {
        self.stop_consuming.store(true, Relaxed);
    }

    /// Stops everything, as one of the threads has an error to report.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Relaxed);
        self.stop_publishing();
        self.stop_consuming();
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    pub(crate) fn consuming_stopped(&self) -> bool {
        self.stop_consuming.load(Relaxed)
    }
}
