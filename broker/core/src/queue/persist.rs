//! What the committer takes from a queue, and how messages leave memory and come back.
//!
//! A message is *taken* once: its bytes go into a record, and the record into the group that is being committed. Only
//! when that group is durable may its block leave memory. One group is under way at a time; a group that failed is
//! tried again unchanged, so what was taken stays taken.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::codec::Malformed;
use crate::message::Message;
use crate::store::{CommitGroup, Position, QueueId, RecordRef, Write};

use super::block::{Block, PERSISTENT, SETTLED, SPILLED, STORED};
use super::bodies::Records;
use super::cutter::Cutter;
use super::death::Deaths;
use super::log::At;
use super::record::read_record;
use super::returns::Returns;
use super::segment::Segment;
use super::{Effects, Queue, settlement};

/// Segments that stay in memory from the head on, so that consumers need not wait for the store.
const HEAD_SEGMENTS: usize = 2;

/// How far a queue has come in telling the store.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Persistent messages below are in a record, or were settled before they could be.
    taken_to: Position,
    /// Nothing from here on was ever delivered.
    pub(super) delivered_to: Position,
    /// The settlement that was written last, to leave out one that says the same.
    settlement: Bytes,
}

/// A request to read a segment back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageIn {
    /// The queue.
    pub queue: QueueId,
    /// By which the segment is named when it comes back.
    pub base: Position,
    /// What to read.
    pub records: Vec<RecordRef>,
}

impl PageIn {
    /// Reads what is asked for, in the order of [`PageIn::records`].
    ///
    /// # Errors
    /// The first that `read` has.
    pub fn read<E>(
        &self,
        mut read: impl FnMut(QueueId, &RecordRef) -> Result<Bytes, E>,
    ) -> Result<Vec<RecordData>, E> {
        let records = self.records.iter();
        let whole = records.map(|record| RecordData::read(self.queue, record, &mut read));
        whole.collect()
    }
}

/// A record that was read back.
#[derive(Clone, Debug)]
pub struct RecordData {
    /// The record itself.
    pub data: Bytes,
    /// The record with the bodies that it refers to, empty if it refers to none.
    pub bodies: Bytes,
}

impl RecordData {
    /// Reads a record of a queue, and what it refers to.
    ///
    /// # Errors
    /// The first that `read` has.
    pub fn read<E>(
        queue: QueueId,
        record: &RecordRef,
        mut read: impl FnMut(QueueId, &RecordRef) -> Result<Bytes, E>,
    ) -> Result<Self, E> {
        let bodies = match record.bodies {
            Some(bodies) => {
                let record = RecordRef::of_bodies(bodies.record, bodies.bytes);
                read(QueueId::SHARED, &record)?
            }
            None => Bytes::new(),
        };
        let data = read(queue, record)?;
        Ok(Self { data, bodies })
    }
}

impl<C> Queue<C> {
    /// Adds to `group` all that the store does not know of: new persistent messages, what was settled, records that
    /// have become obsolete. With `spill`, messages that need not survive a restart are added, too, so that they can leave
    /// memory. Returns whether anything was added that a publisher may wait for.
    pub fn take_commit(
        &mut self,
        group: &mut CommitGroup,
        records: &mut Records,
        spill: bool,
    ) -> bool {
        if spill {
            self.log.seal();
        }
        let before = group.writes.len();
        self.take_messages(group, records, spill);
        let appended = group.writes.len() > before;
        for record in self.log.obsolete.drain(..) {
            group.writes.push(Write::Remove {
                queue: self.id,
                record,
            });
        }
        if self.durable {
            let settlement = settlement::encode(
                &self.log,
                self.persist.delivered_to,
                self.returns.attempts(),
                self.paused,
            );
            if settlement != self.persist.settlement {
                self.persist.settlement = settlement.clone();
                group.writes.push(Write::Settle {
                    queue: self.id,
                    data: settlement,
                });
            }
        }
        appended
    }

    /// The group with what was taken is durable. With `spill`, blocks that are far from the head leave memory.
    pub fn committed(&mut self, spill: bool) {
        if !spill {
            return;
        }
        self.log.trim();
        let next = self.next_ready().unwrap_or(self.log.tail());
        let head = self
            .log
            .segments
            .partition_point(|segment| segment.end() <= next);
        for index in 0..self.log.segments.len() {
            let near = index >= head && index < head + HEAD_SEGMENTS;
            if !near {
                self.log.page_out(index, self.head);
            }
        }
    }

    /// The queue is deleted: everything that the store has of it goes, and all that is in memory. Whoever still holds one
    /// of its messages, or the queue itself, would keep it there.
    pub fn take_deletion(&mut self, group: &mut CommitGroup) {
        let log = std::mem::take(&mut self.log);
        self.returned = BTreeSet::new();
        self.levels = None;
        self.deaths = Deaths::default();
        self.returns = Returns::default();
        (self.ready, self.ready_bytes, self.unacked) = (0, 0, 0);
        let live = log.segments.into_iter().flat_map(|segment| segment.records);
        for record in log.obsolete.into_iter().chain(live) {
            group.writes.push(Write::Remove {
                queue: self.id,
                record,
            });
        }
        group.writes.push(Write::Forget { queue: self.id });
    }

    /// What must be read back for the deliveries that wait; each request is made once.
    pub fn take_wanted(&mut self) -> Vec<PageIn> {
        std::mem::take(&mut self.wanted)
    }

    /// Takes back a segment that was read. Dispatch is due afterwards.
    ///
    /// # Errors
    /// The data is not what was written; the segment stays away.
    pub fn page_in(&mut self, base: Position, data: &[RecordData]) -> Result<(), Malformed> {
        let Some(segment) = self
            .log
            .segment_of(base)
            .filter(|s| s.base == base && s.block.is_none())
        else {
            return Ok(());
        };
        let mut block = Block::default();
        let mut messages: Vec<(Position, Message<'_>, Option<u64>)> = Vec::new();
        for record in data {
            read_record(
                &record.data,
                &record.bodies,
                |position, message, expires_at| {
                    messages.push((position, message, expires_at));
                },
            )?;
        }
        messages.sort_by_key(|&(position, ..)| position);
        for (position, message, expires_at) in messages {
            let index = segment.index(position);
            if index >= segment.len as usize || index < block.len() {
                return Err(Malformed("a record holds a position that is not its own"));
            }
            while block.len() < index {
                block.push_absent();
            }
            let flags = if message.persistent {
                PERSISTENT | STORED
            } else {
                SPILLED
            };
            let level = self.levels.as_ref();
            let level = level.map_or(0, |levels| levels.flags_of(message.properties));
            block.push(&message, flags | level, expires_at);
            self.expiry.messages |= expires_at.is_some();
        }
        while block.len() < segment.len as usize {
            block.push_absent();
        }
        self.log.page_in(base, block);
        self.enlist_segment(base);
        Ok(())
    }

    /// A segment cannot be read back: its messages are given up. Returns the positions from first to last.
    pub fn lose(&mut self, base: Position) -> Option<(Position, Position)> {
        let segment = self.log.segment_of(base).filter(|s| s.base == base)?;
        let (first, end, live) = (segment.base, segment.end(), u64::from(segment.live));
        let came_back: Vec<Position> = match &self.levels {
            Some(levels) => levels.range(first..end),
            None => self.returned.range(first..end).copied().collect(),
        };
        let unread = self.levels.as_mut().is_some_and(|l| l.forget_unread(first));
        let before = self.log.live_bytes();
        let (ready, ready_bytes) = if unread || first >= self.head {
            (live, None)
        } else {
            let ahead =
                (self.head..end).filter(|&position| !matches!(self.log.at(position), At::Settled));
            let lengths: Vec<u64> = ahead
                .chain(came_back.iter().copied())
                .map(|position| self.log.body_len(position))
                .collect();
            (lengths.len() as u64, Some(lengths.iter().sum()))
        };
        for position in came_back {
            match &mut self.levels {
                Some(levels) => levels.remove(position),
                None => {
                    self.returned.remove(&position);
                }
            }
        }
        let on_their_way = self.deaths.forget(first..end) + self.returns.forget(&(first..end));
        self.log.drop_segment(base);
        // All of a segment that nobody has come to is ready.
        let ready_bytes = ready_bytes.unwrap_or_else(|| before - self.log.live_bytes());
        self.ready = self.ready.saturating_sub(ready);
        self.ready_bytes = self.ready_bytes.saturating_sub(ready_bytes);
        self.unacked = self
            .unacked
            .saturating_sub(live.saturating_sub(ready + on_their_way));
        Some((first, end - 1))
    }

    pub(super) fn want(&mut self, position: Position) -> Effects {
        let at = self
            .log
            .segments
            .partition_point(|segment| segment.end() <= position);
        let queue = self.id;
        for segment in self.log.segments.iter_mut().skip(at).take(HEAD_SEGMENTS) {
            if segment.block.is_none() && !segment.requested {
                segment.requested = true;
                self.wanted.push(PageIn {
                    queue,
                    base: segment.base,
                    records: segment.records.clone(),
                });
            }
        }
        Effects {
            page_in: !self.wanted.is_empty(),
            ..Effects::default()
        }
    }

    fn take_messages(&mut self, group: &mut CommitGroup, records: &mut Records, spill: bool) {
        let from = if spill { 0 } else { self.persist.taken_to };
        let first = self
            .log
            .segments
            .partition_point(|segment| segment.end() <= from);
        let last = self.log.segments.len().saturating_sub(1);
        for (index, segment) in self.log.segments.iter_mut().enumerate().skip(first) {
            let start = segment.index(self.persist.taken_to.max(segment.base));
            take_segment(self.id, segment, start, Kind::Persistent, group, records);
            if spill && index != last {
                take_segment(self.id, segment, 0, Kind::Transient, group, records);
            }
        }
        self.persist.taken_to = self.log.tail();
    }

    /// All that the queue has is from the store, which knows what was delivered.
    pub(super) fn resume(&mut self, delivered_to: Position) {
        self.persist.taken_to = self.log.tail();
        self.persist.delivered_to = delivered_to;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Persistent,
    Transient,
}

/// Puts the segment's messages of one kind, from index `start` on, into records.
fn take_segment(
    queue: QueueId,
    segment: &mut Segment,
    start: usize,
    kind: Kind,
    group: &mut CommitGroup,
    records: &mut Records,
) {
    let Some(block) = &mut segment.block else {
        return;
    };
    let (wanted, taken) = match kind {
        Kind::Persistent => (PERSISTENT, STORED),
        Kind::Transient => (0, SPILLED),
    };
    let transient = kind == Kind::Transient;
    let mut cutter = Cutter::new(queue, transient, group, records, &mut segment.records);
    for index in start..block.len() {
        if block.flags(index) & (PERSISTENT | SETTLED | STORED | SPILLED) != wanted {
            continue;
        }
        block.add_flags(index, taken);
        if let Some(message) = block.message(index) {
            let position = segment.base + index as Position;
            cutter.add(position, &message, block.expires_at(index));
        }
    }
    cutter.finish();
}
