//! A queue whose owner holds all of its messages and settles them in an order of its own, such as that of their times.

use crate::message::Message;
use crate::store::{Position, RecordRef};

use super::block::{SETTLED, STORED};
use super::log::{At, Log};
use super::{Effects, PageIn, Queue};

/// Where a message is that somebody holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<R> {
    /// In memory: what the caller made of it.
    Here(R),
    /// In one of these records.
    Stored(Vec<RecordRef>),
    /// Nowhere: it is done with.
    Settled,
}

impl<C> Queue<C> {
    /// Takes all that is ready at once, as if one consumer had got it. `see` is shown the messages that are in memory, and what is
    /// returned says where the others are; none of them is read for that. Not for queues with priorities.
    pub fn take_all(
        &mut self,
        mut see: impl FnMut(Position, Message<'_>),
    ) -> (Vec<PageIn>, Effects) {
        if self.ready == 0 {
            return (Vec::new(), Effects::default());
        }
        let queue = self.id;
        let from = self.returned.first().copied().unwrap_or(self.head);
        let from = from.min(self.head);
        let first = self
            .log
            .segments
            .partition_point(|segment| segment.end() <= from);
        let mut away = Vec::new();
        for segment in self.log.segments.iter().skip(first) {
            let Some(block) = &segment.block else {
                away.push(PageIn {
                    queue,
                    base: segment.base,
                    records: segment.records.clone(),
                });
                continue;
            };
            let start = segment.index(from.max(segment.base));
            for index in start..segment.len as usize {
                let position = segment.base + index as Position;
                let is_ready = position >= self.head || self.returned.contains(&position);
                if is_ready
                    && !(position < self.aside_to && self.is_aside(position))
                    && segment.flags(index) & SETTLED == 0
                    && let Some(message) = block.message(index)
                {
                    see(position, message);
                }
            }
        }
        self.returned.clear();
        self.head = self.log.tail();
        self.persist.delivered_to = self.persist.delivered_to.max(self.head);
        self.counters.got += self.ready;
        self.unacked += self.ready;
        (self.ready, self.ready_bytes) = (0, 0);
        let effects = Effects {
            settle: self.durable,
            ..Effects::default()
        };
        (away, effects)
    }

    /// Shows all that is ready, in order, and takes nothing. False if some of it must be read back first: then nothing may have been shown, and it
    /// is asked for. Not for queues with priorities.
    pub fn browse(&mut self, mut see: impl FnMut(Message<'_>)) -> (bool, Effects) {
        let mut ready: Vec<Position> = self.returned.iter().copied().collect();
        ready.extend(self.ready_ahead(self.head..self.log.tail()));
        for position in ready {
            match self.log.at(position) {
                At::Message { message, .. } => see(message),
                At::Away => return (false, self.want(position)),
                At::Settled => {}
            }
        }
        (true, Effects::default())
    }

    /// Looks for a message that somebody holds, without asking for it to be read back.
    pub fn find<R>(&self, position: Position, look: impl FnOnce(Message<'_>) -> R) -> Found<R> {
        match self.log.at(position) {
            At::Message { message, .. } => Found::Here(look(message)),
            At::Settled => Found::Settled,
            At::Away => {
                let segment = self.log.find(position);
                let segment = segment.and_then(|at| self.log.segments.get(at));
                let records = segment.into_iter().flat_map(|segment| &segment.records);
                let covers = |record: &&RecordRef| (record.first..=record.last).contains(&position);
                Found::Stored(records.filter(covers).copied().collect())
            }
        }
    }

    /// Whether the message is done with, or was never there.
    pub fn is_settled(&self, position: Position) -> bool {
        matches!(self.log.at(position), At::Settled)
    }

    /// Settles messages that somebody held, each with the length of its body: it may be in the store only.
    pub fn settle_found(&mut self, found: &[(Position, u32)]) -> Effects {
        let mut settled = 0;
        for &(position, bytes) in found {
            settled += u64::from(self.log.settle_known(position, bytes.into()));
        }
        self.unacked = self.unacked.saturating_sub(settled);
        self.counters.acked += settled;
        Effects {
            settle: self.durable,
            ..Effects::default()
        }
    }
}

impl Log {
    /// As [`Log::settle`], for a message whose body is known to have so many bytes.
    pub(super) fn settle_known(&mut self, position: Position, bytes: u64) -> bool {
        self.find(position)
            .is_some_and(|at| self.settle_in(at, position, bytes))
    }

    /// Marks a message of the segment `at` as done with; false if it was before.
    pub(super) fn settle_in(&mut self, at: usize, position: Position, bytes: u64) -> bool {
        let Some(segment) = self.segments.get_mut(at) else {
            return false;
        };
        let index = segment.index(position);
        if !segment.settle_known(index, bytes) {
            return false;
        }
        let is_stored = segment.flags(index) & STORED != 0;
        if segment.unread {
            self.unread_bytes = self.unread_bytes.saturating_sub(bytes);
            // All that was in it was settled one by one, and is counted.
            segment.unread = segment.live > 0;
        }
        if segment.live == 0 {
            self.drained(at);
        }
        if is_stored {
            self.note_changed(position);
        }
        true
    }
}
