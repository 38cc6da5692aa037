//! How much of the time queues could give messages to consumers at once.

use std::collections::HashMap;

/// How much a sample counts against all before it: half of a figure is from the last minute.
const WEIGHT: f64 = 0.06;

/// A sliding mean for each queue, by its id.
#[derive(Debug, Default)]
pub(super) struct Capacities(HashMap<u64, Capacity>);

#[derive(Debug)]
struct Capacity {
    mean: f64,
    last: f64,
    seen: u64,
}

impl Capacities {
    /// Takes a sample of one queue, which has consumers.
    pub(super) fn take(&mut self, now: u64, id: u64, is_served: bool) {
        let sample = f64::from(u8::from(is_served));
        let capacity = self.0.entry(id).or_insert(Capacity {
            mean: sample,
            last: sample,
            seen: now,
        });
        capacity.mean += (sample - capacity.mean) * WEIGHT;
        capacity.last = sample;
        capacity.seen = now;
    }

    /// Takes the last sample of each queue so many times more.
    pub(super) fn repeat(&mut self, times: u64) {
        let times = i32::try_from(times).unwrap_or(i32::MAX);
        let left = (1.0 - WEIGHT).powi(times);
        for capacity in self.0.values_mut() {
            capacity.mean = capacity.last + (capacity.mean - capacity.last) * left;
        }
    }

    /// Forgets queues that had no consumer at the last sample.
    pub(super) fn finish(&mut self, now: u64) {
        self.0.retain(|_, capacity| capacity.seen == now);
    }

    /// From 0 to 1, in thousandths.
    pub(super) fn of(&self, id: u64) -> Option<f64> {
        let capacity = self.0.get(&id)?;
        Some((capacity.mean * 1000.0).round() / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_long_ago_counts_little() {
        let mut capacities = Capacities::default();
        capacities.take(0, 1, true);
        assert_eq!(capacities.of(1), Some(1.0));
        for now in 1..=12 {
            capacities.take(now, 1, false);
        }
        let half = capacities.of(1).expect("a mean");
        assert!((0.4..0.6).contains(&half), "{half}");
        capacities.take(13, 2, false);
        capacities.finish(13);
        assert_eq!((capacities.of(1), capacities.of(2)), (None, Some(0.0)));
    }

    #[test]
    fn a_sample_is_repeated_as_if_it_were_taken_again() {
        let (mut one_by_one, mut at_once) = (Capacities::default(), Capacities::default());
        for capacities in [&mut one_by_one, &mut at_once] {
            capacities.take(0, 1, true);
            capacities.take(1, 1, false);
        }
        for now in 2..12 {
            one_by_one.take(now, 1, false);
        }
        at_once.repeat(10);
        assert_eq!(one_by_one.of(1), at_once.of(1));
        at_once.repeat(u64::MAX);
        assert_eq!(at_once.of(1), Some(0.0));
    }
}
