//! A log-linear histogram: the distribution of latencies in constant memory.
//!
//! Values below 128 have a bucket each; from there on every power of two is divided into 64 buckets of equal width, so a
//! percentile is at most 1.6 % above the true value. Recording costs an index computation and an increment.

use serde::Serialize;

/// Bits of a value that are kept below its highest bit.
const PRECISION_BITS: u32 = 6;
const HALF: usize = 1 << PRECISION_BITS;
const BUCKETS: usize = (64 - PRECISION_BITS as usize + 1) * HALF;

/// Counts of values by bucket; values are nanoseconds here.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            count: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts `value`.
    #[inline]
    pub(crate) fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// Adds all that `other` has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, others) in self.counts.iter_mut().zip(&other.counts) {
            *own += others;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The smallest bucket's upper end that at least `per_mille` thousandths of the values do not exceed; 0 if there are none.
    pub(crate) fn quantile(&self, per_mille: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(per_mille))
            .div_ceil(1000)
            .max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return upper_end(index).min(self.max);
            }
        }
        self.max
    }

    /// The figures that are reported, or `None` if nothing was counted.
    pub(crate) fn summary(&self) -> Option<Percentiles> {
        (self.count > 0).then(|| Percentiles {
            count: self.count,
            p50_ns: self.quantile(500),
            p90_ns: self.quantile(900),
            p99_ns: self.quantile(990),
            p999_ns: self.quantile(999),
            max_ns: self.max,
        })
    }
}

/// The usual points of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p90_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
}

#[inline]
fn bucket(value: u64) -> usize {
    let shift = (63 - PRECISION_BITS).saturating_sub(value.leading_zeros());
    // After the shift the value is below 2 * HALF, and at least HALF unless the shift is 0.
    let offset = usize::try_from(value >> shift).unwrap_or(usize::MAX);
    shift as usize * HALF + offset
}

fn upper_end(bucket: usize) -> u64 {
    let shift = (bucket / HALF).saturating_sub(1);
    let offset = (bucket - shift * HALF) as u64;
    (((u128::from(offset) + 1) << shift) - 1)
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_narrow() {
        let mut last = None;
        for bits in 0..64 {
            for value in [
                1_u64 << bits,
                (1 << bits) + (1 << bits >> 1),
                (1 << bits) | ((1 << bits) - 1),
            ] {
                let index = bucket(value);
                assert!(
                    index < BUCKETS && last <= Some(index),
                    "{value} is in bucket {index} after {last:?}"
                );
                let end = upper_end(index);
                assert!(
                    end >= value && end - value <= value / 64,
                    "{value} is reported as {end}"
                );
                assert!(end == u64::MAX || bucket(end + 1) == index + 1);
                last = Some(index);
            }
        }
        assert_eq!(last, Some(BUCKETS - 1));
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        for value in (1..=1000).rev() {
            histogram.record(value * 1000);
        }
        for (per_mille, exact) in [
            (0, 1000),
            (1, 1000),
            (500, 500_000),
            (990, 990_000),
            (999, 999_000),
            (1000, 1_000_000),
        ] {
            let found = histogram.quantile(per_mille);
            assert!(
                found >= exact && found - exact <= exact / 64,
                "{per_mille}: {found} against {exact}"
            );
        }
    }

    #[test]
    fn merged_is_as_if_recorded_together() {
        let (mut left, mut right, mut both) = (
            Histogram::default(),
            Histogram::default(),
            Histogram::default(),
        );
        for value in 0..500 {
            left.record(value);
            right.record(value * value);
            both.record(value);
            both.record(value * value);
        }
        left.merge(&right);
        assert_eq!(left.summary(), both.summary());
        assert_eq!(Histogram::default().summary(), None);
    }
}
