//! Gives messages to consumers: to each from its own place, as long as it has credit and its connection room.

use std::collections::BTreeSet;

use crate::message::Delivery;
use crate::queue::{Accepted, Effects, PageIn, Room, Sink};
use crate::store::Position;

use super::Stream;
use super::subscription::Start;

/// Chunks in memory at most, however many places are read at.
const LOADED_MAX: usize = 32;

/// What came of serving one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// It may get more at once.
    Some,
    /// It waits: for messages, for credit, for room, or for a chunk to be read.
    Nothing,
}

impl<C> Stream<C> {
    /// Delivers all that can be delivered.
    pub fn dispatch<S: Sink<C>>(&mut self, sink: &mut S) -> Effects {
        if self.paused {
            self.begin_all();
        } else if !self.readers.is_empty() {
            self.turn = self.turn.wrapping_add(1);
            let mut slots: Vec<usize> = self.readers.iter().map(|(slot, _)| slot).collect();
            let first = self.turn % slots.len();
            slots.rotate_left(first);
            while !slots.is_empty() {
                slots.retain(|&slot| self.serve(slot, sink) == Served::Some);
            }
        }
        self.trim();
        Effects {
            page_in: !self.wanted.is_empty(),
            ..Effects::default()
        }
    }

    /// What must be read back for the consumers that wait; each request is made once.
    pub fn take_wanted(&mut self) -> Vec<PageIn> {
        std::mem::take(&mut self.wanted)
    }

    /// One run of messages out of one chunk.
    fn serve<S: Sink<C>>(&mut self, slot: usize, sink: &mut S) -> Served {
        let Some(reader) = self.readers.get(slot) else {
            return Served::Nothing;
        };
        if reader.gone || reader.credit() == 0 {
            return Served::Nothing;
        }
        if reader.start.is_some() {
            return if self.begin(slot) {
                Served::Some
            } else {
                Served::Nothing
            };
        }
        let at = self.find(reader.next);
        let Some(chunk) = self.chunks.get(at) else {
            return Served::Nothing;
        };
        let from = reader.next.max(chunk.base);
        let to = chunk.end().min(self.durable);
        if from >= to {
            return Served::Nothing;
        }
        // Nothing is read for those who could not take it.
        let room = sink.room(&reader.consumer);
        if room.is_none() {
            return starve(sink.starve(&reader.consumer));
        }
        if chunk.block.is_none() {
            self.want(at);
            return Served::Nothing;
        }
        let served = self.deliver(slot, at, from..to, room, sink);
        if served == Served::Some && self.loaded.len() < LOADED_MAX {
            // Whoever reads here will go on with the next one.
            self.want(at + 1);
        }
        served
    }

    fn deliver<S: Sink<C>>(
        &mut self,
        slot: usize,
        at: usize,
        span: std::ops::Range<Position>,
        room: Room,
        sink: &mut S,
    ) -> Served {
        let (Some(reader), Some(chunk)) = (self.readers.get_mut(slot), self.chunks.get(at)) else {
            return Served::Nothing;
        };
        let Some(block) = &chunk.block else {
            return Served::Nothing;
        };
        let most = reader.credit().min(room.messages as usize);
        let mut picked: Vec<Position> = Vec::new();
        let mut bytes = 0;
        let mut next = span.start;
        while next < span.end && picked.len() < most && bytes < room.bytes {
            if let Some(message) = block.message(chunk.index(next)) {
                let filter = reader.filter.as_ref();
                if filter.is_none_or(|filter| filter.wants(message.properties)) {
                    bytes += message.cost() + room.overhead;
                    picked.push(next);
                }
            }
            next += 1;
        }
        if picked.is_empty() {
            reader.next = next;
            return Served::Some;
        }
        let deliveries = picked.iter().filter_map(|&position| {
            Some(Delivery {
                position,
                redelivered: false,
                attempts: None,
                message: block.message(chunk.index(position))?,
            })
        });
        let accepted = sink.deliver(&reader.consumer, deliveries);
        let taken = match accepted {
            Accepted::All => picked.len(),
            Accepted::First(count) => count,
            Accepted::Closed => {
                reader.gone = true;
                return Served::Nothing;
            }
        };
        reader.next = picked.get(taken).copied().unwrap_or(next);
        reader.took(picked.get(..taken).unwrap_or_default());
        self.counters.delivered += taken as u64;
        match accepted {
            Accepted::First(_) => starve(sink.starve(&reader.consumer)),
            _ => Served::Some,
        }
    }

    /// Finds out where the consumers begin of which that is not known yet: also while they get nothing.
    fn begin_all(&mut self) {
        let unknown = self
            .readers
            .iter()
            .filter(|(_, reader)| reader.start.is_some());
        let unknown: Vec<usize> = unknown.map(|(slot, _)| slot).collect();
        for slot in unknown {
            self.begin(slot);
        }
    }

    /// Finds out where a consumer begins; false as long as a chunk must be read to know. What is published after it came does not count.
    pub(super) fn begin(&mut self, slot: usize) -> bool {
        let start = self.readers.get(slot).and_then(|reader| reader.start);
        let Some(next) = start.and_then(|start| self.resolve(start)) else {
            return false;
        };
        if let Some(reader) = self.readers.get_mut(slot) {
            (reader.next, reader.start) = (next, None);
        }
        true
    }

    /// The offset at which a consumer begins; nothing as long as a chunk must be read to know.
    pub(super) fn resolve(&mut self, start: Start) -> Option<Position> {
        let first = self.chunks.front().map_or(self.tail, |chunk| chunk.base);
        Some(match start {
            Start::First => first,
            Start::Next => self.tail,
            Start::Last => self.last_batch().unwrap_or(self.tail),
            Start::Offset(offset) => {
                let distance = offset.unsigned_abs();
                let position = if offset < 0 {
                    self.tail.saturating_sub(distance)
                } else {
                    distance
                };
                position.clamp(first, self.tail)
            }
            Start::Ago(age) => return self.first_since(self.now.saturating_sub(age)),
            Start::Time(time) => return self.first_since(time),
        })
    }

    /// Where the record begins that was stored last.
    fn last_batch(&self) -> Option<Position> {
        self.chunks.iter().rev().find_map(|chunk| {
            let records = chunk.records.iter().rev();
            let mut durable = records.filter(|record| record.last < self.durable);
            durable.next().map(|record| record.first)
        })
    }

    fn first_since(&mut self, time: u64) -> Option<Position> {
        let (mut from, mut to) = (0, self.chunks.len());
        while from < to {
            let middle = from.midpoint(to);
            let Some((_, newest)) = self.chunks.get(middle)?.times else {
                self.want(middle);
                return None;
            };
            if newest < time {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        let Some(chunk) = self.chunks.get(from) else {
            return Some(self.tail);
        };
        if chunk.times.is_some_and(|(oldest, _)| oldest >= time) {
            return Some(chunk.base);
        }
        let found = chunk.first_since(time);
        if found.is_none() {
            self.want(from);
        }
        found
    }

    /// Asks for a chunk to be read back, if it is away.
    pub(super) fn want(&mut self, at: usize) -> Effects {
        if let Some(chunk) = self.chunks.get_mut(at)
            && chunk.block.is_none()
            && !chunk.requested
        {
            chunk.requested = true;
            self.wanted.push(PageIn {
                queue: self.id,
                base: chunk.base,
                records: chunk.records.clone(),
            });
        }
        Effects {
            page_in: !self.wanted.is_empty(),
            ..Effects::default()
        }
    }

    /// Lets go of blocks that nobody reads at or will read next, except the one that is written to.
    pub(super) fn trim(&mut self) {
        let enough = (2 + 2 * self.readers.len()).min(LOADED_MAX);
        if self.loaded.len() <= enough {
            return;
        }
        let mut needed = BTreeSet::new();
        for (_, reader) in self.readers.iter().filter(|(_, reader)| !reader.gone) {
            let at = self.find(reader.next);
            let near = self.chunks.iter().skip(at).take(2);
            needed.extend(near.map(|chunk| chunk.base));
        }
        let unneeded: Vec<_> = self.loaded.difference(&needed).copied().collect();
        for base in unneeded {
            self.evict(base);
        }
        // So many read in different places: whose chunk goes asks for it again.
        let surplus = self.loaded.len().saturating_sub(LOADED_MAX);
        let oldest: Vec<_> = self.loaded.iter().take(surplus).copied().collect();
        for base in oldest {
            self.evict(base);
        }
    }

    fn evict(&mut self, base: Position) {
        let at = self.find(base);
        if at + 1 >= self.chunks.len() {
            return;
        }
        if let Some(chunk) = self.chunks.get_mut(at)
            && chunk.base == base
            && chunk.end() <= self.durable
        {
            self.resident -= chunk.memory();
            chunk.block = None;
            self.loaded.remove(&base);
        }
    }
}

/// Whether the consumer will be told when there is room, or has it after all.
fn starve(waits: bool) -> Served {
    if waits { Served::Nothing } else { Served::Some }
}
