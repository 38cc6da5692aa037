//! How large published messages are, by RabbitMQ's bounds.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::management::snapshot::{Bucket, Distribution};

/// In bytes.
const BOUNDS: [u64; 8] = [
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
];

/// The bounds' classes, and one for what is beyond.
const CLASSES: usize = BOUNDS.len() + 1;

/// What one task has seen since it told the broker. A message costs two additions and a comparison as long as its class is that of the one
/// before.
#[derive(Debug)]
pub(super) struct Sizes {
    counts: [u64; CLASSES],
    sum: u64,
    /// The class in hand, which begins at `least` and ends `span` beyond.
    class: usize,
    least: u64,
    span: u64,
    /// Messages of it that are not in `counts` yet. Nothing was seen if there are none, as a class is turned to with a message.
    run: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        let [first, ..] = BOUNDS;
        Self {
            counts: [0; CLASSES],
            sum: 0,
            class: 0,
            least: 0,
            span: first,
            run: 0,
        }
    }
}

impl Sizes {
    #[inline]
    pub(super) fn count(&mut self, size: usize) {
        self.count_many(size, 1);
    }

    /// As many messages of one size.
    #[inline]
    pub(super) fn count_many(&mut self, size: usize, count: u64) {
        let size = size as u64;
        // What is less than the least wraps around.
        if size.wrapping_sub(self.least) > self.span {
            self.turn_to(size);
        }
        self.run += count;
        self.sum += size * count;
    }

    #[cold]
    fn turn_to(&mut self, size: u64) {
        self.conclude();
        self.class = BOUNDS.partition_point(|bound| *bound < size);
        let before = self
            .class
            .checked_sub(1)
            .and_then(|class| BOUNDS.get(class));
        self.least = before.map_or(0, |bound| bound + 1);
        let last = BOUNDS.get(self.class).copied().unwrap_or(u64::MAX);
        self.span = last - self.least;
    }

    fn conclude(&mut self) {
        if let Some(count) = self.counts.get_mut(self.class) {
            *count += std::mem::take(&mut self.run);
        }
    }
}

/// What all tasks have seen.
#[derive(Debug, Default)]
pub(super) struct AllSizes {
    counts: [AtomicU64; CLASSES],
    sum: AtomicU64,
}

impl AllSizes {
    /// Takes over what one has seen, which begins anew.
    pub(super) fn take(&self, seen: &mut Sizes) {
        if seen.run == 0 {
            return;
        }
        seen.conclude();
        for (counter, count) in self.counts.iter().zip(&mut seen.counts) {
            if *count > 0 {
                counter.fetch_add(std::mem::take(count), Ordering::Relaxed);
            }
        }
        if seen.sum > 0 {
            self.sum
                .fetch_add(std::mem::take(&mut seen.sum), Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> Distribution {
        let bounds = BOUNDS.into_iter().map(Some).chain([None]);
        let buckets = bounds.zip(&self.counts).map(|(at_most, count)| Bucket {
            at_most,
            count: count.load(Ordering::Relaxed),
        });
        Distribution {
            buckets: buckets.collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_counted_under_the_least_bound_that_holds_it() {
        let (all, mut seen) = (AllSizes::default(), Sizes::default());
        for size in [0, 100, 101, 1_000, 16, 100_000_001, 100_000_000, 5_000] {
            seen.count(size);
        }
        all.take(&mut seen);
        seen.count_many(1, 3);
        all.take(&mut seen);
        all.take(&mut seen);
        let snapshot = all.snapshot();
        let counts: Vec<_> = snapshot.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [6, 2, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!(snapshot.sum, 200_006_221);
        let last = snapshot.buckets.last().expect("one without a bound");
        assert_eq!(last.at_most, None);
    }
}
