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
    seen: u64,
}

impl Capacities {
    /// Takes a sample of one queue, which has consumers.
    pub(super) fn take(&mut self, now: u64, id: u64, is_served: bool) {
        let sample = f64::from(u8::from(is_served));
        let capacity = self.0.entry(id).or_insert(Capacity {
            mean: sample,
            seen: now,
        });
        capacity.mean += (sample - capacity.mean) * WEIGHT;
        capacity.seen = now;
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
}
