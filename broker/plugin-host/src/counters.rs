//! What is counted for each plugin.
//!
//! Each thread has a tally of its own and is the only one to write it, so that counting costs no atomic operation that others wait for;
//! who asks adds the tallies up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amphora_core::hook::Fault;
use parking_lot::Mutex;

use crate::snapshot::FaultCounts;

/// Buckets of the histogram of batch sizes: 1, 2, 4 … 256 messages at most.
pub const BATCH_BUCKETS: usize = 9;

/// Buckets of the histograms of nanoseconds, per message and per call: 128, 256, 512 … at most, the last without a bound.
pub const LATENCY_BUCKETS: usize = 20;

/// The smallest bound of the histograms of nanoseconds, as a power of two.
const LATENCY_FIRST: u32 = 7;

/// Figures that only rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterSnapshot {
    /// Calls that route or transform.
    pub calls: u64,
    /// Messages in them.
    pub messages: u64,
    /// Time in them.
    pub time: Duration,
    /// Calls by batch size: bucket `i` has those of at most 2^i messages that are in no earlier one.
    pub batch_sizes: [u64; BATCH_BUCKETS],
    /// Messages by time: bucket `i` has those that took at most 2^(7+i) nanoseconds each and are in no earlier one; the last has the rest.
    pub nanoseconds_per_message: [u64; LATENCY_BUCKETS],
    /// Calls by time: bucket `i` has those that took at most 2^(7+i) nanoseconds and are in no earlier one; the last has the rest.
    pub nanoseconds_per_call: [u64; LATENCY_BUCKETS],
    /// Messages that a transform was not called for, because its answers are pure and this one was known.
    pub kept_answers: u64,
    /// Failures by kind.
    pub faults: FaultCounts,
    /// Messages that had no answer because of a failure.
    pub failed_messages: u64,
    /// Times that the plugin was put into quarantine.
    pub quarantines: u64,
    /// Versions that came into force.
    pub loads: u64,
    /// Attempts to load that failed.
    pub failed_loads: u64,
}

/// A plugin's counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    tallies: Mutex<Tallies>,
    faults: [AtomicU64; Fault::ALL.len()],
    kept_answers: AtomicU64,
    pub(crate) failed_messages: AtomicU64,
    pub(crate) quarantines: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) failed_loads: AtomicU64,
}

#[derive(Debug, Default)]
struct Tallies {
    /// Of threads that may still run.
    live: Vec<Arc<Tally>>,
    /// The sums of all others.
    retired: CounterSnapshot,
}

/// One thread's figures. Only that thread writes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    calls: AtomicU64,
    messages: AtomicU64,
    nanoseconds: AtomicU64,
    batch_sizes: [AtomicU64; BATCH_BUCKETS],
    latency: [AtomicU64; LATENCY_BUCKETS],
    call_latency: [AtomicU64; LATENCY_BUCKETS],
}

/// Adds where there is only one writer.
fn raise(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

impl Tally {
    /// Counts a call that was answered.
    pub(crate) fn count(&self, messages: usize, nanoseconds: u64) {
        let many = messages as u64;
        raise(&self.calls, 1);
        raise(&self.messages, many);
        raise(&self.nanoseconds, nanoseconds);
        let bucket = messages.max(1).next_power_of_two().ilog2() as usize;
        raise(&self.batch_sizes[bucket.min(BATCH_BUCKETS - 1)], 1);
        raise(&self.latency[latency(nanoseconds / many.max(1))], many);
        raise(&self.call_latency[latency(nanoseconds)], 1);
    }

    fn add_to(&self, sums: &mut CounterSnapshot) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        sums.calls += read(&self.calls);
        sums.messages += read(&self.messages);
        sums.time += Duration::from_nanos(read(&self.nanoseconds));
        for (sum, counter) in sums.batch_sizes.iter_mut().zip(&self.batch_sizes) {
            *sum += read(counter);
        }
        for (sum, counter) in sums.nanoseconds_per_message.iter_mut().zip(&self.latency) {
            *sum += read(counter);
        }
        let calls = sums.nanoseconds_per_call.iter_mut();
        for (sum, counter) in calls.zip(&self.call_latency) {
            *sum += read(counter);
        }
    }
}

/// The bucket of the histograms of nanoseconds.
fn latency(nanoseconds: u64) -> usize {
    let power = nanoseconds.max(1).next_power_of_two().ilog2();
    let bucket = power.saturating_sub(LATENCY_FIRST) as usize;
    bucket.min(LATENCY_BUCKETS - 1)
}

impl Counters {
    /// A tally for the thread that asks.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        let mut tallies = self.tallies.lock();
        let Tallies { live, retired } = &mut *tallies;
        // What only this list holds, no thread writes any more.
        live.retain(|tally| {
            let is_live = Arc::strong_count(tally) > 1;
            if !is_live {
                tally.add_to(retired);
            }
            is_live
        });
        let tally = Arc::default();
        live.push(Arc::clone(&tally));
        tally
    }

    /// Counts a message whose answer was known.
    pub(crate) fn kept(&self) {
        self.kept_answers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that failed, and the messages that have no answer therefore.
    pub(crate) fn fault(&self, fault: Fault, messages: usize) {
        let index = Fault::ALL.iter().position(|known| *known == fault);
        if let Some(counter) = index.and_then(|index| self.faults.get(index)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if fault != Fault::Replaced {
            self.failed_messages
                .fetch_add(messages as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> CounterSnapshot {
        let tallies = self.tallies.lock();
        let mut sums = tallies.retired.clone();
        for tally in &tallies.live {
            tally.add_to(&mut sums);
        }
        drop(tallies);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        sums.kept_answers = read(&self.kept_answers);
        sums.quarantines = read(&self.quarantines);
        sums.loads = read(&self.loads);
        sums.failed_loads = read(&self.failed_loads);
        sums.failed_messages = read(&self.failed_messages);
        let faults = Fault::ALL.iter().zip(&self.faults);
        sums.faults = faults
            .map(|(fault, counter)| (*fault, read(counter)))
            .collect();
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Fault};

    #[test]
    fn what_threads_counted_that_are_gone_is_not_lost() {
        let counters = Counters::default();
        let first = counters.tally();
        first.count(1, 100);
        first.count(3, 3_000);
        drop(first);
        let second = counters.tally();
        second.count(256, 256 << 30);
        let sums = counters.snapshot();
        assert_eq!((sums.calls, sums.messages), (3, 260));
        assert_eq!(sums.batch_sizes, [1, 0, 1, 0, 0, 0, 0, 0, 1]);
        let mut latency = [0; 20];
        (latency[0], latency[3], latency[19]) = (1, 3, 256);
        assert_eq!(sums.nanoseconds_per_message, latency);
    }

    #[test]
    fn a_batch_that_must_be_asked_again_has_lost_nothing() {
        let counters = Counters::default();
        counters.fault(Fault::Trap, 64);
        counters.fault(Fault::Replaced, 64);
        let sums = counters.snapshot();
        assert_eq!(sums.failed_messages, 64);
        assert_eq!(sums.faults[&Fault::Trap], 1);
        assert_eq!(sums.faults[&Fault::Timeout], 0);
    }
}
