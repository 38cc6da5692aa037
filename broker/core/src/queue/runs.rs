//! What is done to many messages that follow one another, without asking the log about each.

use std::ops::Range;

use crate::message::{Batch, Delivery, Message};
use crate::store::Position;

use super::Queue;
use super::block::{Block, REDELIVERED, Run};
use super::log::{Log, SEGMENT_BYTES};
use super::returns::Returns;

impl<C> Queue<C> {
    /// Appends a batch's next messages as far as they fit into one block, up to the first that has a time to live of its own. None if something is to
    /// be decided for each.
    pub(super) fn append_run<B: Batch>(&mut self, batch: &B, indexes: Range<usize>) -> Run {
        if self.levels.is_some() || self.expiry.ttl.is_some() {
            return Run::default();
        }
        let (expiry, kept) = (&self.expiry, self.kept());
        let messages = indexes.map(|index| batch.message(index));
        let plain = messages.take_while(|message| !expiry.has_own(message.properties));
        let run = self.log.append_run(&mut plain.map(kept));
        self.ready += u64::from(run.count);
        self.ready_bytes += run.bytes;
        run
    }

    /// Assigns what is ready from the head on, up to `max` messages, as far as it lies in one block and nothing is to be decided for one of them
    /// alone. Returns how many.
    pub(super) fn assign_ahead(&mut self, max: usize) -> usize {
        if self.levels.is_some() || !self.returned.is_empty() || self.head < self.aside_to {
            return 0;
        }
        let segment = self.log.find(self.head);
        let Some(segment) = segment.and_then(|at| self.log.segments.get(at)) else {
            return 0;
        };
        let Some(block) = &segment.block else {
            return 0;
        };
        let first = segment.index(self.head);
        let costs = block.costs_from(first).take(max);
        let costs = (self.head..).zip(costs);
        let end = self.consumers.assign_all(self.head, costs);
        let run = block.run(first..segment.index(end));
        self.head = end;
        self.persist.delivered_to = self.persist.delivered_to.max(end);
        self.ready -= u64::from(run.count);
        self.ready_bytes = self.ready_bytes.saturating_sub(run.bytes);
        self.counters.redelivered += u64::from(run.redelivered);
        run.count as usize
    }
}

impl Log {
    /// As [`Log::append`] for messages that do not expire and have no priority, as far as they fit into one block.
    pub(super) fn append_run<'m>(
        &mut self,
        messages: &mut impl Iterator<Item = Message<'m>>,
    ) -> Run {
        let Some(segment) = self.open() else {
            return Run::default();
        };
        let block = segment.block.as_mut();
        let run = block.map_or_else(Run::default, |b| b.push_all(messages, SEGMENT_BYTES));
        segment.len += run.count;
        segment.live += run.count;
        segment.live_bytes += run.bytes;
        segment.persistent += run.persistent;
        segment.persistent_bytes += run.persistent_bytes;
        self.tail += u64::from(run.count);
        run
    }

    /// As [`Log::settle`] for each; those that follow one another are settled together. Returns how many of them were not settled before.
    pub(super) fn settle_all(&mut self, positions: &[Position]) -> u64 {
        let runs = positions.chunk_by(|before, after| before + 1 == *after);
        let runs = runs.filter_map(|run| Some(*run.first()?..run.last()? + 1));
        runs.map(|run| self.settle_run(run)).sum()
    }

    fn settle_run(&mut self, positions: Range<Position>) -> u64 {
        let mut settled = 0;
        let mut first = positions.start;
        while first < positions.end {
            let found = self.find(first);
            let segment = found.and_then(|at| self.segments.get_mut(at));
            let end = segment.as_ref().map_or(first, |segment| segment.end());
            let end = end.min(positions.end);
            let run = segment
                .and_then(|segment| segment.settle_run(segment.index(first)..segment.index(end)));
            let Some((at, run)) = found.zip(run) else {
                // It is away, or was settled long ago.
                settled += u64::from(self.settle(first));
                first += 1;
                continue;
            };
            settled += u64::from(run.count);
            if run.count > 0 && self.segments.get(at).is_some_and(|s| s.live == 0) {
                self.drained(at);
            }
            if self.durable && run.stored > 0 {
                self.changed.note_all(first..end);
            }
            first = end;
        }
        settled
    }
}

/// Reads deliveries of which most follow one another.
#[derive(Debug)]
pub(super) struct Deliveries<'a> {
    log: &'a Log,
    returns: &'a Returns,
    /// Where the last one was.
    block: Option<&'a Block>,
    covers: Range<Position>,
}

impl<'a> Deliveries<'a> {
    pub(super) fn of(log: &'a Log, returns: &'a Returns) -> Self {
        Self {
            log,
            returns,
            block: None,
            covers: 0..0,
        }
    }

    /// The message at `position`, if it is in memory.
    pub(super) fn next(&mut self, position: Position) -> Option<Delivery<'a>> {
        if !self.covers.contains(&position) {
            let at = self.log.find(position)?;
            let segment = self.log.segments.get(at)?;
            (self.block, self.covers) = (segment.block.as_ref(), segment.base..segment.end());
        }
        let index = usize::try_from(position - self.covers.start).ok()?;
        let (flags, message) = self.block?.live(index)?;
        Some(Delivery {
            position,
            redelivered: flags & REDELIVERED != 0,
            // Looked up here: handed in, it was written in parts and read as a whole at once, which cost half to nine tenths of this function
            // in a profile, as a processor does so only after all earlier writes, those of the message before among them.
            attempts: self.returns.of(position),
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use arbtest::arbitrary::{Result, Unstructured};

    use super::super::block::STORED;
    use super::*;
    use crate::message::Body;

    /// Messages of which a few fill a block, some of them in the store.
    fn log(bodies: &[(usize, bool)]) -> Log {
        let mut log = Log::new(true);
        for &(bytes, persistent) in bodies {
            let message = Message {
                target: b"\x00\x01q",
                properties: &[0, 0],
                body: Body::Inline(&vec![1; bytes]),
                persistent,
            };
            log.append(&message, 0, None);
        }
        for (position, &(_, persistent)) in (0..).zip(bodies) {
            let segment = log.segment_of(position).expect("it was just put there");
            let flags = if persistent { STORED } else { 0 };
            segment.add_flags(segment.index(position), flags);
        }
        log
    }

    #[test]
    fn many_are_appended_as_each_of_them_is() {
        let targets: [&[u8]; 2] = [b"\x00\x01q", b"\x01x\x01k"];
        arbtest::arbtest(|u| {
            let (mut together, mut single) = (Log::new(true), Log::new(true));
            for _ in 0..3 {
                let mut bodies = Vec::new();
                for _ in 0..u.int_in_range(0..=12)? {
                    let bytes = if u.ratio(1, 3)? { 300_000 } else { 10 };
                    bodies.push((vec![1; bytes], *u.choose(&targets)?, u.arbitrary()?));
                }
                let messages = bodies.iter().map(|(body, target, persistent)| Message {
                    target,
                    properties: &[0, 0],
                    body: Body::Inline(body),
                    persistent: *persistent,
                });
                for message in messages.clone() {
                    single.append(&message, 0, None);
                }
                let mut messages = messages.peekable();
                while messages.peek().is_some() {
                    assert!(together.append_run(&mut messages).count > 0);
                }
                assert_eq!(together.tail(), single.tail());
                assert_eq!(told(&together), told(&single));
                assert_eq!(together.walked_memory(), together.memory());
            }
            Ok(())
        });
    }

    /// All that a log says of its segments and messages.
    fn told(log: &Log) -> Vec<String> {
        let segments = log.segments.iter().map(|segment| {
            let of_stored = (segment.persistent, segment.persistent_bytes);
            let messages = (0..segment.len as usize).filter_map(|index| {
                let (flags, message) = segment.block.as_ref()?.live(index)?;
                Some((flags, message.target.to_vec(), message.body.len()))
            });
            let messages: Vec<_> = messages.collect();
            let lives = (segment.base, segment.live, segment.live_bytes);
            format!("{lives:?} {of_stored:?} {messages:?}")
        });
        segments.collect()
    }

    fn some(u: &mut Unstructured<'_>, tail: Position) -> Result<Vec<Position>> {
        let mut positions = Vec::new();
        let mut next = 0;
        // Also what was settled before, or was never there.
        while next < tail + 3 {
            if u.ratio(4, 5)? {
                positions.push(next);
            }
            next += if u.ratio(9, 10)? {
                1
            } else {
                u.int_in_range(1..=5)?
            };
        }
        Ok(positions)
    }

    #[test]
    fn many_are_settled_as_each_of_them_is() {
        arbtest::arbtest(|u| {
            let mut bodies = Vec::new();
            for _ in 0..u.int_in_range(1..=40)? {
                let bytes = if u.ratio(1, 4)? { 300_000 } else { 10 };
                bodies.push((bytes, u.arbitrary()?));
            }
            let (mut together, mut single) = (log(&bodies), log(&bodies));
            for _ in 0..3 {
                let positions = some(u, bodies.len() as Position)?;
                let settled = together.settle_all(&positions);
                let one_by_one = positions.iter().filter(|&&at| single.settle(at)).count();
                assert_eq!(settled, one_by_one as u64);
                let lives = |log: &Log| {
                    let segments = log.segments.iter().map(|segment| {
                        let of_stored = (segment.persistent, segment.persistent_bytes);
                        (segment.base, segment.live, segment.live_bytes, of_stored)
                    });
                    (segments.collect::<Vec<_>>(), log.memory())
                };
                assert_eq!(lives(&together), lives(&single));
                assert_eq!(together.walked_memory(), together.memory());
                assert_eq!(together.changed.take(), single.changed.take());
            }
            Ok(())
        });
    }
}
