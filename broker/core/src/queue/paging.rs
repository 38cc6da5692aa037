//! How segments that left memory come back, or are given up.

use bytes::Bytes;

use crate::codec::Malformed;
use crate::message::Message;
use crate::store::{Position, QueueId, RecordRef};

use super::log::Log;
use super::record::read_record;
use super::refill::Refill;
use super::segment::Segment;
use super::{Effects, Queue};

/// Segments that stay in memory from the head on, and are read ahead, so that consumers need not wait for the store.
const HEAD_SEGMENTS: usize = 2;

/// As many if the messages of one level can be read of each without the others.
const HEAD_SLICES: usize = 6;

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
            .filter(|s| s.base == base && (s.block.is_none() || s.is_partial()))
        else {
            return Ok(());
        };
        if segment.block.is_some() {
            return self.complete(base, data);
        }
        // Of what was in memory before, the level is known.
        let levels = self.levels.as_deref().filter(|_| segment.unread);
        let mut refill = Refill::new(segment, levels, data);
        for record in data {
            read_record(
                &record.data,
                &record.bodies,
                |position, message, expires_at| {
                    refill.take(position, &message, expires_at);
                },
            )?;
        }
        self.counters.read_back += refill.count;
        self.expiry.messages |= refill.expire;
        let block = refill.finish()?;
        let (unread, purged, end) = (segment.unread, segment.purged, segment.end());
        self.log.page_in(base, block);
        if unread {
            self.enlist_segment(base);
        }
        if purged {
            // Now it is known what of it is settled.
            self.log.changed.note_all(base..end);
            if (base..end).contains(&self.persist.floor) {
                (self.persist.floor, self.persist.below) = (base, 0);
            }
        }
        Ok(())
    }

    /// Takes back more of a segment of which a part is here.
    fn complete(&mut self, base: Position, data: &[RecordData]) -> Result<(), Malformed> {
        let mut messages = Vec::new();
        for record in data {
            read_record(
                &record.data,
                &record.bodies,
                |position, message, expires_at| {
                    messages.push((position, message, expires_at));
                },
            )?;
        }
        self.counters.read_back += messages.len() as u64;
        self.expiry.messages |= messages.iter().any(|(.., expires_at)| expires_at.is_some());
        self.log.complete(base, &messages)
    }

    /// A segment cannot be read back: its messages are given up. Returns the positions from first to last.
    pub fn lose(&mut self, base: Position) -> Option<(Position, Position)> {
        let segment = self.log.segment_of(base).filter(|s| s.base == base)?;
        let (first, end, live) = (segment.base, segment.end(), u64::from(segment.live));
        let unread = segment.unread;
        let all_ready = first >= self.head.max(self.aside_to);
        let came_back: Vec<Position> = match &self.levels {
            Some(levels) => levels.range(first..end),
            None => self.returned.range(first..end).copied().collect(),
        };
        let before = self.log.live_bytes();
        let known = (!unread && !all_ready).then(|| {
            let ready = self
                .ready_ahead(first..end)
                .chain(came_back.iter().copied());
            let lengths = ready.map(|position| self.log.body_len(position));
            lengths.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
        });
        let aside = self.deaths.forget(&(first..end)) + self.returns.forget(&(first..end));
        let ready = known.map_or(live.saturating_sub(aside), |(count, _)| count);
        for position in came_back {
            match &mut self.levels {
                Some(levels) => levels.remove(position),
                None => {
                    self.returned.remove(&position);
                }
            }
        }
        if let Some(levels) = &mut self.levels {
            levels.forget_unread(first);
        }
        self.log.drop_segment(base);
        // All of a segment that nobody has come to is ready.
        let ready_bytes = known.map_or_else(|| before - self.log.live_bytes(), |(_, sum)| sum);
        self.ready = self.ready.saturating_sub(ready);
        self.ready_bytes = self.ready_bytes.saturating_sub(ready_bytes);
        self.unacked = self
            .unacked
            .saturating_sub(live.saturating_sub(ready + aside));
        Some((first, end - 1))
    }

    pub(super) fn want(&mut self, position: Position) -> Effects {
        let at = self
            .log
            .segments
            .partition_point(|segment| segment.end() <= position);
        let queue = self.id;
        let level = self.level_at(position);
        let segments = self.log.segments.iter_mut().skip(at).enumerate();
        for (ahead, segment) in segments.take(HEAD_SLICES) {
            if !segment.is_near(ahead) {
                continue;
            }
            if let Some(records) = segment.ask(level) {
                self.wanted.push(PageIn {
                    queue,
                    base: segment.base,
                    records,
                });
            }
        }
        Effects {
            page_in: !self.wanted.is_empty(),
            ..Effects::default()
        }
    }
}

impl Segment {
    /// Whether it stays in memory, and is read ahead, if so many are between it and the head.
    pub(super) fn is_near(&self, ahead: usize) -> bool {
        let near = if self.is_sliced() {
            HEAD_SLICES
        } else {
            HEAD_SEGMENTS
        };
        ahead < near
    }
}

impl Log {
    /// Takes back more of a segment of which a part is here.
    pub(super) fn complete(
        &mut self,
        base: Position,
        messages: &[(Position, Message<'_>, Option<u64>)],
    ) -> Result<(), Malformed> {
        let Some(at) = self.find(base) else {
            return Ok(());
        };
        let is_last = at + 1 == self.segments.len();
        let Some(segment) = self.segments.get_mut(at) else {
            return Ok(());
        };
        let before = segment.memory();
        let completed = segment.complete(messages);
        self.resident += if is_last {
            0
        } else {
            segment.memory() - before
        };
        completed
    }
}
