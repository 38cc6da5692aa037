//! Which messages have arrived: lost ones, duplicates and disorder are counted exactly, at about a nanosecond per message.
//!
//! The first eight bytes of every body are a [`Word`]: the *stream* (one per producer and routing key) and the message's
//! number in it. Every consumer keeps a ledger; in the normal case, the next number of the same stream, it only counts up.
//! At the end the ledgers are merged, as consumers that share a queue see a part of a stream each.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

const NUMBER_BITS: u32 = 40;
/// A number that is so far ahead of the last one is not from this run.
const LEAP_MAX: u64 = 1 << 32;

/// The identity of a message: stream and number, in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) stream: u32,
    pub(crate) number: u64,
}

impl Word {
    /// How many streams a run can have.
    pub(crate) const STREAMS_MAX: usize = 1 << (64 - NUMBER_BITS);

    #[inline]
    pub(crate) fn encode(self) -> [u8; 8] {
        (u64::from(self.stream) << NUMBER_BITS | self.number).to_be_bytes()
    }

    #[inline]
    pub(crate) fn decode(bytes: [u8; 8]) -> Self {
        let word = u64::from_be_bytes(bytes);
        let [_, _, _, _, _, high, middle, low] = (word >> NUMBER_BITS).to_be_bytes();
        Self {
            stream: u32::from_be_bytes([0, high, middle, low]),
            number: word & ((1 << NUMBER_BITS) - 1),
        }
    }
}

/// What has arrived, by queue and stream. Where a message reaches one queue only, all queues count as queue 0,
/// so that a message that arrives through two of them is a duplicate.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    index: HashMap<(u32, u32), usize, RandomState>,
    streams: Vec<Stream>,
    last: Option<((u32, u32), usize)>,
}

/// What is wrong with what has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Tally {
    /// Different messages that arrived.
    pub(crate) distinct: u64,
    /// Published, but never seen.
    pub(crate) lost: u64,
    /// Seen after a later one of the same stream, by one consumer.
    pub(crate) disordered: u64,
    /// Seen once more.
    pub(crate) duplicates: u64,
    /// Never published in this run.
    pub(crate) foreign: u64,
}

impl Ledger {
    /// Counts an arrival.
    #[inline]
    pub(crate) fn record(&mut self, queue: u32, word: Word) {
        let key = (queue, word.stream);
        let at = match self.last {
            Some((last, at)) if last == key => at,
            _ => self.find(key),
        };
        self.streams[at].record(word.number);
    }

    /// Adds what another consumer has seen.
    pub(crate) fn merge(&mut self, other: Self) {
        let mut others = other.streams;
        for (key, at) in other.index {
            let own = self.find(key);
            self.streams[own].merge(std::mem::take(&mut others[at]));
        }
    }

    /// Compares with what was published, by stream, to each of `queues` queues.
    pub(crate) fn tally(mut self, published: &[u64], queues: u32) -> Tally {
        let mut tally = Tally::default();
        let mut expected = 0;
        for queue in 0..queues {
            for (stream, &count) in (0..).zip(published) {
                let at = self.find((queue, stream));
                let (seen, foreign) = self.streams[at].seen_below(count);
                tally.distinct += seen;
                tally.foreign += foreign;
                expected += count;
            }
        }
        tally.lost = expected - tally.distinct;
        for ((queue, id), at) in self.index {
            let stream = &self.streams[at];
            tally.disordered += stream.disordered;
            tally.duplicates += stream.duplicates;
            tally.foreign += stream.foreign;
            if queue >= queues || id as usize >= published.len() {
                tally.foreign += stream.seen_below(u64::MAX).0;
            }
        }
        tally
    }

    #[inline(never)]
    fn find(&mut self, key: (u32, u32)) -> usize {
        let next = self.streams.len();
        let at = *self.index.entry(key).or_insert(next);
        if at == next {
            self.streams.push(Stream::default());
        }
        self.last = Some((key, at));
        at
    }
}

/// The numbers seen of one stream: `run` is the last unbroken stretch, what was before it is in `seen`.
#[derive(Debug, Default)]
struct Stream {
    run: Range<u64>,
    seen: Bits,
    disordered: u64,
    duplicates: u64,
    foreign: u64,
}

impl Stream {
    #[inline]
    fn record(&mut self, number: u64) {
        if number == self.run.end {
            self.run.end += 1;
        } else {
            self.record_unexpected(number);
        }
    }

    #[cold]
    fn record_unexpected(&mut self, number: u64) {
        if number > self.run.end + LEAP_MAX {
            self.foreign += 1;
        } else if number > self.run.end {
            self.seen.insert(self.run.clone());
            self.run = number..number + 1;
        } else if self.run.contains(&number) || self.seen.contains(number) {
            self.duplicates += 1;
        } else {
            self.disordered += 1;
            self.seen.insert(number..number + 1);
        }
    }

    fn merge(&mut self, mut other: Self) {
        for stream in [&mut *self, &mut other] {
            stream.seen.insert(stream.run.clone());
        }
        self.run.end = self.run.end.max(other.run.end);
        self.run.start = self.run.end;
        self.disordered += other.disordered;
        self.duplicates += other.duplicates + self.seen.merge(&other.seen);
        self.foreign += other.foreign;
    }

    /// How many different numbers were seen below `count`, and how many from there on.
    fn seen_below(&self, count: u64) -> (u64, u64) {
        let mut all = self.seen.clone();
        all.insert(self.run.clone());
        let below = all.count_below(count);
        (below, all.count_below(u64::MAX) - below)
    }
}

/// A set of numbers, one bit each.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (first, last) = (index(range.start), index(range.end - 1));
        if self.0.len() <= last {
            self.0.resize(last + 1, 0);
        }
        for (at, word) in self.0.iter_mut().enumerate().take(last + 1).skip(first) {
            let from = if at == first { range.start % 64 } else { 0 };
            let to = if at == last { (range.end - 1) % 64 } else { 63 };
            *word |= (u64::MAX << from) & (u64::MAX >> (63 - to));
        }
    }

    fn contains(&self, number: u64) -> bool {
        self.0
            .get(index(number))
            .is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Adds the other set; returns how many numbers were in both.
    fn merge(&mut self, other: &Self) -> u64 {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut both = 0;
        for (own, others) in self.0.iter_mut().zip(&other.0) {
            both += u64::from((*own & others).count_ones());
            *own |= others;
        }
        both
    }

    fn count_below(&self, limit: u64) -> u64 {
        let whole = index(limit).min(self.0.len());
        let part = self
            .0
            .get(whole)
            .map_or(0, |word| (word & !(u64::MAX << (limit % 64))).count_ones());
        self.0
            .iter()
            .take(whole)
            .map(|word| u64::from(word.count_ones()))
            .sum::<u64>()
            + u64::from(part)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number / 64).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(words: impl IntoIterator<Item = (u32, u32, u64)>) -> Ledger {
        let mut ledger = Ledger::default();
        for (queue, stream, number) in words {
            ledger.record(queue, Word { stream, number });
        }
        ledger
    }

    fn tally(distinct: u64, lost: u64, disordered: u64, duplicates: u64, foreign: u64) -> Tally {
        Tally {
            distinct,
            lost,
            disordered,
            duplicates,
            foreign,
        }
    }

    #[test]
    fn a_word_survives_its_bytes() {
        let word = Word {
            stream: 0x00AB_CDEF,
            number: (1 << 40) - 2,
        };
        assert_eq!(Word::decode(word.encode()), word);
    }

    #[test]
    fn every_message_once_and_in_order_is_clean() {
        let seen = ledger((0..1000).flat_map(|n| [(0, 0, n), (0, 1, n)]));
        assert_eq!(seen.tally(&[1000, 1000], 1), tally(2000, 0, 0, 0, 0));
    }

    #[test]
    fn gaps_are_lost_and_late_ones_disordered() {
        let seen = ledger([0, 1, 4, 5, 3, 9].map(|n| (0, 0, n)));
        assert_eq!(seen.tally(&[10], 1), tally(6, 4, 1, 0, 0));
    }

    #[test]
    fn repeated_ones_are_duplicates_and_not_disorder() {
        let seen = ledger([0, 1, 1, 2, 70, 0, 70, 71].map(|n| (0, 0, n)));
        assert_eq!(seen.tally(&[72], 1), tally(5, 67, 0, 3, 0));
    }

    #[test]
    fn competing_consumers_are_merged() {
        let mut all = ledger((0..500).step_by(2).map(|n| (0, 0, n)));
        all.merge(ledger((1..500).step_by(2).map(|n| (0, 0, n))));
        all.merge(ledger([(0, 0, 7)]));
        assert_eq!(all.tally(&[500], 1), tally(500, 0, 0, 1, 0));
    }

    #[test]
    fn a_fanout_is_counted_by_queue() {
        let seen = ledger([(0, 0, 0), (1, 0, 0), (1, 0, 1)]);
        assert_eq!(seen.tally(&[2], 2), tally(3, 1, 0, 0, 0));
    }

    #[test]
    fn what_was_never_published_is_foreign() {
        let seen = ledger([(0, 0, 0), (0, 0, 1), (0, 5, 0), (0, 0, 1 << 39)]);
        assert_eq!(seen.tally(&[1], 1), tally(1, 0, 0, 0, 3));
    }

    #[test]
    fn ranges_of_bits_meet_their_edges() {
        for (start, end) in [(0, 1), (0, 64), (63, 65), (5, 200), (64, 128)] {
            let mut bits = Bits::default();
            bits.insert(start..end);
            assert_eq!(bits.count_below(u64::MAX), end - start, "{start}..{end}");
            assert!(bits.contains(start) && bits.contains(end - 1) && !bits.contains(end));
            assert_eq!(bits.count_below(end - 1), end - start - 1);
        }
    }
}
