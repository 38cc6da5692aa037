//! How often which values were seen, by upper bounds.

use super::counters::Figure;
use crate::management::snapshot::{Bucket, Distribution};

/// Counts by upper bounds, kept by one thread and read by others.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    within: [Figure; N],
    beyond: Figure,
    sum: Figure,
}

/// Nanoseconds, from 100 µs to 10 s.
pub(super) const LATENCIES: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Amounts, from 1 to 16 Mi.
pub(super) const AMOUNTS: [u64; 13] = [
    1,
    1 << 2,
    1 << 4,
    1 << 6,
    1 << 8,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
];

impl<const N: usize> Histogram<N> {
    pub(super) fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            within: std::array::from_fn(|_| Figure::default()),
            beyond: Figure::default(),
            sum: Figure::default(),
        }
    }

    /// Only for the thread that keeps the counts.
    pub(super) fn count(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.within.get(place).unwrap_or(&self.beyond).add(1);
        self.sum.add(value);
    }

    pub(super) fn snapshot(&self) -> Distribution {
        let within = self.bounds.iter().zip(&self.within);
        let mut buckets: Vec<_> = within
            .map(|(bound, count)| Bucket {
                at_most: Some(*bound),
                count: count.get(),
            })
            .collect();
        buckets.push(Bucket {
            at_most: None,
            count: self.beyond.get(),
        });
        Distribution {
            buckets,
            sum: self.sum.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_under_the_least_bound_that_holds_it() {
        let histogram = Histogram::new(&AMOUNTS);
        for value in [0, 1, 2, 4, 5, u64::from(u32::MAX)] {
            histogram.count(value);
        }
        let counted = histogram.snapshot();
        let first: Vec<_> = counted
            .buckets
            .iter()
            .map(|bucket| bucket.count)
            .take(4)
            .collect();
        assert_eq!(first, [2, 2, 1, 0]);
        let last = counted.buckets.last().expect("one without a bound");
        assert_eq!((last.at_most, last.count), (None, 1));
        assert_eq!(counted.sum, 12 + u64::from(u32::MAX));
    }
}
