//! How segments that left memory come back, or are given up.

use std::ops::Range;

use bytes::Bytes;

use crate::codec::Malformed;
use crate::message::Message;
use crate::store::{Position, QueueId, RecordRef};

use super::block::{Block, PERSISTENT, SPILLED, STORED};
use super::log::At;
use super::record::read_record;
use super::{Effects, Queue};

/// Segments that stay in memory from the head on, and are read ahead, so that consumers need not wait for the store.
pub(super) const HEAD_SEGMENTS: usize = 2;

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
        let (unread, purged, end) = (segment.unread, segment.purged, segment.end());
        self.log.page_in(base, block);
        if unread {
            self.forget_absent(base..end);
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

    /// A segment was read for the first time since the restart: what its records do not have is not ready.
    fn forget_absent(&mut self, positions: Range<Position>) {
        let came_back: Vec<Position> = self.returned.range(positions).copied().collect();
        for position in came_back {
            if matches!(self.log.at(position), At::Settled) {
                self.returned.remove(&position);
            }
        }
    }

    /// A segment cannot be read back: its messages are given up. Returns the positions from first to last.
    pub fn lose(&mut self, base: Position) -> Option<(Position, Position)> {
        let segment = self.log.segment_of(base).filter(|s| s.base == base)?;
        let (first, end, live) = (segment.base, segment.end(), u64::from(segment.live));
        let unread = segment.unread;
        let came_back: Vec<Position> = match &self.levels {
            Some(levels) => levels.range(first..end),
            None => self.returned.range(first..end).copied().collect(),
        };
        let before = self.log.live_bytes();
        let aside = self.deaths.forget(&(first..end)) + self.returns.forget(&(first..end));
        let (ready, ready_bytes) = if unread {
            (live.saturating_sub(aside), None)
        } else if first >= self.head {
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
        if let Some(levels) = &mut self.levels {
            levels.forget_unread(first);
        }
        self.log.drop_segment(base);
        // All of a segment that nobody has come to is ready.
        let ready_bytes = ready_bytes.unwrap_or_else(|| before - self.log.live_bytes());
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
}
