//! What the committer takes from a queue, and how messages leave memory and come back.
//!
//! A message is *taken* once: its bytes go into a record, and the record into the group that is being committed. Only
//! when that group is durable may its block leave memory. One group is under way at a time; a group that failed is
//! tried again unchanged, so what was taken stays taken.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::codec::Malformed;
use crate::message::Message;
use crate::store::{CommitGroup, Position, QueueId, RecordId, RecordRef, Write};

use super::block::{Block, PERSISTENT, SETTLED, SPILLED, STORED};
use super::death::Deaths;
use super::log::At;
use super::record::{RecordWriter, read_record};
use super::returns::Returns;
use super::segment::Segment;
use super::{Effects, Queue, settlement};

/// A record is cut when it has this much.
const RECORD_BYTES: usize = 256 << 10;

/// A body above this gets a record of its own, so that reading its neighbours does not read it.
const LONE_BODY_MIN: usize = 64 << 10;

/// Segments that stay in memory from the head on, so that consumers need not wait for the store.
const HEAD_SEGMENTS: usize = 2;

/// Gives every record its id.
#[derive(Debug)]
pub struct RecordIds {
    next: u64,
}

impl RecordIds {
    /// Starts at an id that was never used.
    pub fn starting_at(next: u64) -> Self {
        Self { next }
    }

    fn next(&mut self) -> RecordId {
        self.next += 1;
        RecordId(self.next - 1)
    }
}

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

impl<C> Queue<C> {
    /// Adds to `group` all that the store does not know of: new persistent messages, what was settled, records that
    /// have become obsolete. With `spill`, messages that need not survive a restart are added, too, so that they can leave
    /// memory. Returns whether anything was added that a publisher may wait for.
    pub fn take_commit(
        &mut self,
        group: &mut CommitGroup,
        ids: &mut RecordIds,
        spill: bool,
    ) -> bool {
        if spill {
            self.log.seal();
        }
        let before = group.writes.len();
        self.take_messages(group, ids, spill);
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
    pub fn page_in(&mut self, base: Position, data: &[Bytes]) -> Result<(), Malformed> {
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
            read_record(record, |position, message, expires_at| {
                messages.push((position, message, expires_at));
            })?;
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

    fn take_messages(&mut self, group: &mut CommitGroup, ids: &mut RecordIds, spill: bool) {
        let from = if spill { 0 } else { self.persist.taken_to };
        let first = self
            .log
            .segments
            .partition_point(|segment| segment.end() <= from);
        let last = self.log.segments.len().saturating_sub(1);
        for (index, segment) in self.log.segments.iter_mut().enumerate().skip(first) {
            let start = segment.index(self.persist.taken_to.max(segment.base));
            take_segment(self.id, segment, start, Kind::Persistent, group, ids);
            if spill && index != last {
                take_segment(self.id, segment, 0, Kind::Transient, group, ids);
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
    ids: &mut RecordIds,
) {
    let Some(block) = &mut segment.block else {
        return;
    };
    let (wanted, taken) = match kind {
        Kind::Persistent => (PERSISTENT, STORED),
        Kind::Transient => (0, SPILLED),
    };
    let mut writer = RecordWriter::default();
    let mut finish = |writer: &mut RecordWriter| {
        if writer.is_empty() {
            return;
        }
        let (first, last, count, data) = writer.finish();
        let record = RecordRef {
            id: ids.next(),
            first,
            last,
            count,
            bytes: u32::try_from(data.len()).unwrap_or(u32::MAX),
            transient: kind == Kind::Transient,
        };
        segment.records.push(record);
        group.writes.push(Write::Append {
            queue,
            record,
            data,
        });
    };
    for index in start..block.len() {
        if block.flags(index) & (PERSISTENT | SETTLED | STORED | SPILLED) != wanted {
            continue;
        }
        block.add_flags(index, taken);
        let Some(message) = block.message(index) else {
            continue;
        };
        let alone = message.body.len() > LONE_BODY_MIN;
        if alone {
            finish(&mut writer);
        }
        let expires_at = block.expires_at(index);
        writer.push(segment.base + index as Position, &message, expires_at);
        if alone || writer.len() >= RECORD_BYTES {
            finish(&mut writer);
        }
    }
    finish(&mut writer);
}
