//! Delivery tags of a channel, and what was delivered under each and is not settled.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use foldhash::fast::RandomState;
use slab::Slab;

use crate::queue::ConsumerKey;
use crate::store::Position;

use super::since::Times;

/// Where deliveries of a channel come from: a consumer, or a queue that basic.get was used on.
pub type SourceKey = u32;

/// A delivery tag that is not outstanding on the channel. Reply code 406.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTag(pub u64);

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) tag: u64,
    pub(super) position: Position,
    pub(super) source: SourceKey,
    pub(super) settled: bool,
    /// Acknowledged within a transaction that is not committed.
    withheld: bool,
}

impl Entry {
    /// Whether an acknowledgement may name it.
    pub(super) fn is_open(&self) -> bool {
        !self.settled && !self.withheld
    }
}

#[derive(Debug)]
pub(super) struct Source<Q> {
    pub(super) queue: Q,
    pub(super) consumer: Option<ConsumerKey>,
    /// Deliveries that still name this source.
    held: u32,
    /// Nothing more will come from it.
    closed: bool,
    /// How many milliseconds a delivery may be outstanding.
    pub(super) timeout: Option<u64>,
    /// The consumer has said so itself.
    pub(super) own_timeout: bool,
}

/// Positions of one source, taken out of the channel to be settled. Whoever takes them owns their settling.
#[derive(Debug)]
pub struct Taken<Q> {
    /// The channel and the source.
    key: (u16, SourceKey),
    /// The queue.
    pub queue: Q,
    /// The consumer that held them, or nothing for basic.get.
    pub consumer: Option<ConsumerKey>,
    /// In the order of their delivery tags.
    pub positions: Vec<Position>,
}

/// Gathers what several acknowledgements take, so that each queue is locked once for all of them. Reused.
#[derive(Debug)]
pub struct Settling<Q> {
    runs: Vec<Taken<Q>>,
    spare: Vec<Vec<Position>>,
}

impl<Q> Default for Settling<Q> {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            spare: Vec::new(),
        }
    }
}

impl<Q: Clone> Settling<Q> {
    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Hands each source's positions, in the order of their delivery tags, to `each`, and is empty afterwards.
    pub fn drain(&mut self, mut each: impl FnMut(&mut Taken<Q>)) {
        for run in &mut self.runs {
            each(run);
        }
        self.clear();
    }

    /// As [`Settling::drain`], but hands over at once what was taken of one queue, queue by queue in the order of their first positions. `name` tells
    /// queues from one another.
    pub fn drain_by_queue<N: Eq + Hash>(
        &mut self,
        name: impl Fn(&Q) -> N,
        mut each: impl FnMut(&mut [Taken<Q>]),
    ) {
        if self.runs.len() > 1 {
            let mut places: HashMap<N, usize, RandomState> = HashMap::default();
            for (place, run) in self.runs.iter().enumerate() {
                places.entry(name(&run.queue)).or_insert(place);
            }
            self.runs
                .sort_by_key(|run| places.get(&name(&run.queue)).copied());
        }
        let same = |one: &Taken<Q>, other: &Taken<Q>| name(&one.queue) == name(&other.queue);
        self.runs.chunk_by_mut(same).for_each(&mut each);
        self.clear();
    }

    fn clear(&mut self) {
        for mut run in self.runs.drain(..) {
            run.positions.clear();
            if self.spare.len() < SPARE_MAX && run.positions.capacity() <= SPARE_POSITIONS_MAX {
                self.spare.push(run.positions);
            }
        }
    }

    fn add(&mut self, channel: u16, key: SourceKey, source: &Source<Q>, position: Position) {
        let key = (channel, key);
        // Acknowledgements mostly follow each other from the same source.
        if let Some(run) = self.runs.iter_mut().rev().find(|run| run.key == key) {
            run.positions.push(position);
            return;
        }
        let mut positions = self.spare.pop().unwrap_or_default();
        positions.push(position);
        self.runs.push(Taken {
            key,
            queue: source.queue.clone(),
            consumer: source.consumer,
            positions,
        });
    }
}

const SPARE_MAX: usize = 16;
const SPARE_POSITIONS_MAX: usize = 8192;

/// The delivery tags of one channel; `Q` is a handle on a queue.
#[derive(Debug)]
pub struct Unacked<Q> {
    pub(super) last_tag: u64,
    pub(super) entries: VecDeque<Entry>,
    /// Entries that are settled and wait for those before them.
    holes: usize,
    /// Deliveries that no consumer holds, and that are not settled.
    got: usize,
    pub(super) sources: Slab<Source<Q>>,
    pub(super) times: Times,
}

impl<Q> Default for Unacked<Q> {
    fn default() -> Self {
        Self {
            last_tag: 0,
            entries: VecDeque::new(),
            holes: 0,
            got: 0,
            sources: Slab::new(),
            times: Times::default(),
        }
    }
}

impl<Q: Clone> Unacked<Q> {
    /// Deliveries that are not settled.
    pub fn len(&self) -> usize {
        self.entries.len() - self.holes
    }

    /// Those of them that consumers hold, rather than a client that used basic.get.
    pub fn consumed_len(&self) -> usize {
        self.len() - self.got
    }

    /// Whether nothing is outstanding.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tag of the next delivery. Spec: 1, 2, 3 … per channel.
    pub fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Adds a source of deliveries.
    pub fn open_source(&mut self, queue: Q, consumer: Option<ConsumerKey>) -> SourceKey {
        let key = self.sources.insert(Source {
            queue,
            consumer,
            held: 0,
            closed: false,
            timeout: None,
            own_timeout: false,
        });
        u32::try_from(key).unwrap_or(u32::MAX)
    }

    /// Says which consumer a source is, once the queue has admitted it, and before the first delivery.
    pub fn set_consumer(&mut self, key: SourceKey, consumer: ConsumerKey) {
        if let Some(source) = self.sources.get_mut(key as usize) {
            source.consumer = Some(consumer);
        }
    }

    /// Nothing more comes from this source; it goes when its deliveries are settled.
    pub fn close_source(&mut self, key: SourceKey) {
        if let Some(source) = self.sources.get_mut(key as usize) {
            source.closed = true;
            if source.held == 0 {
                self.sources.remove(key as usize);
            }
        }
    }

    /// Notes a delivery that must be settled; returns its tag.
    pub fn push(&mut self, source: SourceKey, position: Position) -> u64 {
        let tag = self.next_tag();
        if let Some(source) = self.sources.get_mut(source as usize) {
            source.held += 1;
            self.got += usize::from(source.consumer.is_none());
        }
        self.entries.push_back(Entry {
            tag,
            position,
            source,
            settled: false,
            withheld: false,
        });
        tag
    }

    /// Takes the delivery `tag`, with `multiple` also all before it; tag 0 with `multiple` is all. Returns how many.
    ///
    /// # Errors
    /// The tag is not outstanding; nothing was taken.
    pub fn take(
        &mut self,
        channel: u16,
        tag: u64,
        multiple: bool,
        into: &mut Settling<Q>,
    ) -> Result<usize, UnknownTag> {
        let before = self.len();
        if tag == 0 && multiple {
            self.take_first(channel, self.entries.len(), into);
            return Ok(before);
        }
        let Some(index) = self.index_of(tag) else {
            if !self.times.was_recalled(tag) {
                return Err(UnknownTag(tag));
            }
            if multiple {
                let before = self.entries.partition_point(|entry| entry.tag < tag);
                self.take_first(channel, before, into);
            }
            return Ok(before - self.len());
        };
        if multiple {
            self.take_first(channel, index + 1, into);
        } else {
            self.take_one(channel, index, into);
        }
        Ok(before - self.len())
    }

    /// Takes everything, as when the channel closes. Returns how many.
    pub fn take_all(&mut self, channel: u16, into: &mut Settling<Q>) -> usize {
        let before = self.len();
        self.take_first(channel, self.entries.len(), into);
        before
    }

    /// Acknowledges within a transaction: appends the tags that are meant to `tags`, which can be acknowledged no more, but
    /// are not settled yet. What is delivered later is not among them, also if all were meant.
    ///
    /// # Errors
    /// As for [`Unacked::take`].
    pub fn withhold(
        &mut self,
        tag: u64,
        multiple: bool,
        tags: &mut Vec<u64>,
    ) -> Result<(), UnknownTag> {
        let end = if tag == 0 && multiple {
            self.entries.len()
        } else {
            let Some(index) = self.index_of(tag) else {
                return if self.times.was_recalled(tag) {
                    Ok(())
                } else {
                    Err(UnknownTag(tag))
                };
            };
            if !self.entries.get(index).is_some_and(Entry::is_open) {
                return Err(UnknownTag(tag));
            }
            index + 1
        };
        let begin = if multiple { 0 } else { end - 1 };
        for entry in self.entries.range_mut(begin..end).filter(|e| e.is_open()) {
            entry.withheld = true;
            tags.push(entry.tag);
        }
        Ok(())
    }

    /// The transaction is rolled back: these may be acknowledged again.
    pub fn give_back(&mut self, tags: &[u64]) {
        for &tag in tags {
            let index = self.index_of(tag);
            if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
                entry.withheld = false;
            }
        }
    }

    /// The transaction is committed: takes what was [withheld](Self::withhold).
    pub fn take_withheld(&mut self, channel: u16, tags: &[u64], into: &mut Settling<Q>) {
        for &tag in tags {
            if let Some(index) = self.index_of(tag) {
                self.take_one(channel, index, into);
            }
        }
    }

    /// Takes everything that no transaction has acknowledged.
    pub fn take_open(&mut self, channel: u16, into: &mut Settling<Q>) {
        let open = self.entries.iter().filter(|entry| entry.is_open());
        let tags: Vec<u64> = open.map(|entry| entry.tag).collect();
        self.take_withheld(channel, &tags, into);
    }

    /// Where the entry with this tag is, if it is not settled.
    fn index_of(&self, tag: u64) -> Option<usize> {
        let index = self.entries.partition_point(|entry| entry.tag < tag);
        let entry = self.entries.get(index)?;
        (entry.tag == tag && !entry.settled).then_some(index)
    }

    fn take_first(&mut self, channel: u16, count: usize, into: &mut Settling<Q>) {
        for _ in 0..count {
            let Some(entry) = self.entries.pop_front() else {
                return;
            };
            if entry.settled {
                self.holes -= 1;
            } else {
                self.release(channel, entry, into);
            }
        }
    }

    fn take_one(&mut self, channel: u16, index: usize, into: &mut Settling<Q>) {
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        entry.settled = true;
        let entry = *entry;
        self.holes += 1;
        self.release(channel, entry, into);
        while self.entries.front().is_some_and(|front| front.settled) {
            self.entries.pop_front();
            self.holes -= 1;
        }
        // One delivery that is never settled must not keep the places of all that came after it.
        if self.holes > HOLES_MIN && self.holes > self.entries.len() / 2 {
            self.entries.retain(|entry| !entry.settled);
            self.holes = 0;
        }
    }

    fn release(&mut self, channel: u16, entry: Entry, into: &mut Settling<Q>) {
        let Some(source) = self.sources.get_mut(entry.source as usize) else {
            return;
        };
        source.held -= 1;
        self.got -= usize::from(source.consumer.is_none());
        into.add(channel, entry.source, source, entry.position);
        if source.closed && source.held == 0 {
            self.sources.remove(entry.source as usize);
        }
    }
}

/// Fewer holes than this are not worth closing.
const HOLES_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(settling: &mut Settling<&'static str>) -> Vec<(&'static str, Vec<Position>)> {
        let mut runs = Vec::new();
        settling.drain(|taken| runs.push((taken.queue, taken.positions.clone())));
        runs
    }

    #[test]
    fn tags_count_from_one_and_multiple_takes_all_before() {
        let mut unacked = Unacked::default();
        let mut settling = Settling::default();
        let a = unacked.open_source("a", None);
        let b = unacked.open_source("b", None);
        for (source, position) in [(a, 10), (b, 0), (a, 11), (b, 1)] {
            unacked.push(source, position);
        }
        assert_eq!(unacked.take(1, 3, true, &mut settling), Ok(3));
        assert_eq!(
            positions(&mut settling),
            [("a", vec![10, 11]), ("b", vec![0])]
        );
        assert_eq!(unacked.take(1, 3, false, &mut settling), Err(UnknownTag(3)));
        assert_eq!(unacked.take(1, 5, true, &mut settling), Err(UnknownTag(5)));
        assert_eq!(unacked.take(1, 0, false, &mut settling), Err(UnknownTag(0)));
        assert_eq!(unacked.take(1, 0, true, &mut settling), Ok(1));
        assert_eq!(unacked.take(1, 0, true, &mut settling), Ok(0));
        assert_eq!(unacked.push(a, 12), 5);
    }

    #[test]
    fn what_was_taken_of_one_queue_is_handed_over_together() {
        let mut unacked = Unacked::default();
        let mut settling = Settling::default();
        let sources = ["a", "b", "a"].map(|queue| unacked.open_source(queue, None));
        for (source, position) in sources.into_iter().zip(1..) {
            unacked.push(source, position);
        }
        unacked.take_all(1, &mut settling);
        let mut queues = Vec::new();
        settling.drain_by_queue(
            |queue| *queue,
            |taken| {
                let positions = taken.iter().flat_map(|taken| taken.positions.clone());
                queues.push((taken[0].queue, positions.collect::<Vec<_>>()));
            },
        );
        assert_eq!(queues, [("a", vec![1, 3]), ("b", vec![2])]);
        assert!(settling.is_empty());
    }

    #[test]
    fn a_closed_source_lives_as_long_as_its_deliveries() {
        let mut unacked = Unacked::default();
        let mut settling = Settling::default();
        let a = unacked.open_source("a", None);
        unacked.push(a, 1);
        unacked.close_source(a);
        assert_eq!(unacked.take_all(1, &mut settling), 1);
        assert_eq!(positions(&mut settling), [("a", vec![1])]);
        assert!(unacked.sources.is_empty());
    }

    #[test]
    fn one_old_delivery_does_not_pin_the_places_of_the_others() {
        let mut unacked = Unacked::default();
        let mut settling = Settling::default();
        let a = unacked.open_source("a", None);
        unacked.push(a, 0);
        for position in 1..10_000 {
            let tag = unacked.push(a, position);
            assert_eq!(unacked.take(1, tag, false, &mut settling), Ok(1));
        }
        assert_eq!(unacked.len(), 1);
        assert!(unacked.entries.len() < 200);
        assert_eq!(unacked.take(1, 1, true, &mut settling), Ok(1));
    }

    #[test]
    fn a_transaction_settles_what_was_meant_when_it_acknowledged() {
        let mut unacked = Unacked::default();
        let mut settling = Settling::default();
        let a = unacked.open_source("a", None);
        for position in 10..14 {
            unacked.push(a, position);
        }
        let mut second = Vec::new();
        assert_eq!(unacked.withhold(2, false, &mut second), Ok(()));
        assert_eq!(unacked.withhold(2, false, &mut second), Err(UnknownTag(2)));
        assert_eq!(unacked.withhold(0, false, &mut second), Err(UnknownTag(0)));
        let mut others = Vec::new();
        assert_eq!(unacked.withhold(0, true, &mut others), Ok(()));
        assert_eq!((&*second, &*others), (&[2][..], &[1, 3, 4][..]));
        unacked.push(a, 14);
        unacked.take_withheld(1, &others, &mut settling);
        assert_eq!(positions(&mut settling), [("a", vec![10, 12, 13])]);
        unacked.take_open(1, &mut settling);
        assert_eq!(positions(&mut settling), [("a", vec![14])]);
        assert_eq!(unacked.len(), 1);
        unacked.give_back(&second);
        assert_eq!(unacked.take(1, 2, false, &mut settling), Ok(1));
    }

    #[test]
    fn agrees_with_a_naive_list() {
        arbtest::arbtest(|u| {
            let mut unacked = Unacked::default();
            let mut settling = Settling::default();
            let source = unacked.open_source("q", None);
            let mut naive: Vec<u64> = Vec::new();
            for _ in 0..u.int_in_range(0..=300)? {
                if u.ratio(2, 3)? {
                    let tag = unacked.push(source, 7);
                    naive.push(tag);
                } else {
                    let tag = u.int_in_range(0..=unacked.last_tag + 1)?;
                    let multiple = u.arbitrary()?;
                    let expected = if tag == 0 && multiple {
                        Ok(std::mem::take(&mut naive).len())
                    } else if !naive.contains(&tag) {
                        Err(UnknownTag(tag))
                    } else {
                        let before = naive.len();
                        naive.retain(|&t| if multiple { t > tag } else { t != tag });
                        Ok(before - naive.len())
                    };
                    assert_eq!(unacked.take(1, tag, multiple, &mut settling), expected);
                    assert_eq!(unacked.len(), naive.len());
                }
            }
            Ok(())
        });
    }
}
