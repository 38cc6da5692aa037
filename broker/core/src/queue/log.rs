//! A queue's messages in the order of their positions.
//!
//! Invariant: segments are sorted and do not overlap; a position below the tail that no segment covers is settled.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::message::Message;
use crate::store::{Position, RecordRef};

use super::block::{AWAY, Block, EXPIRES, PERSISTENT, REDELIVERED, SETTLED};
use super::parts::Changed;
use super::segment::Segment;

/// A block is sealed when it holds this much: large enough to make its costs vanish, small enough to be read back
/// in a few milliseconds.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// A block that is kept for reuse is not larger than this.
const SPARE_BYTES_MAX: usize = 2 * SEGMENT_BYTES;

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) segments: VecDeque<Segment>,
    pub(super) tail: Position,
    /// The segment that was looked at last: the next question is mostly about the same.
    hint: Cell<usize>,
    /// Records whose messages are all settled, to be removed with the next commit.
    pub(super) obsolete: Vec<RecordRef>,
    /// Parts of the settlement that are no longer as they were stored. Kept only for a durable queue.
    pub(super) changed: Changed,
    pub(super) durable: bool,
    spare: Option<Block>,
    /// Bytes of memory held by all segments but the last.
    pub(super) resident: usize,
    /// The bodies of all segments that are [unread](Segment::unread), in bytes.
    pub(super) unread_bytes: u64,
}

/// What stands at a position.
pub(super) enum At<'a> {
    Message {
        message: Message<'a>,
        redelivered: bool,
        /// In milliseconds since the Unix epoch.
        expires_at: Option<u64>,
    },
    /// Only in the store.
    Away,
    Settled,
}

impl Log {
    /// An empty log.
    pub(super) fn new(durable: bool) -> Self {
        Self {
            durable,
            ..Self::default()
        }
    }

    /// A durable log whose messages are all unread; `bytes` is the length of their bodies.
    pub(super) fn recovered(segments: VecDeque<Segment>, tail: Position, bytes: u64) -> Self {
        Self {
            segments,
            tail,
            unread_bytes: bytes,
            ..Self::new(true)
        }
    }

    /// What the store has to know of a message has changed.
    pub(super) fn note_changed(&mut self, position: Position) {
        if self.durable {
            self.changed.note(position);
        }
    }

    /// The position that the next message gets.
    pub(super) fn tail(&self) -> Position {
        self.tail
    }

    /// Puts a message at the tail, which is persistent if it survives a restart; `level` are the [flags](super::levels) of its priority.
    pub(super) fn append(&mut self, message: &Message<'_>, level: u16, expires_at: Option<u64>) {
        let flags = level | if message.persistent { PERSISTENT } else { 0 };
        if let Some(segment) = self.open() {
            segment.push(message, flags, expires_at);
        }
        self.tail += 1;
    }

    /// The segment at the tail that takes the next message.
    pub(super) fn open(&mut self) -> Option<&mut Segment> {
        let tail = self.tail;
        let open = self.segments.back().is_some_and(|last| {
            last.end() == tail
                && last
                    .block
                    .as_ref()
                    .is_some_and(|block| !block.is_full(SEGMENT_BYTES))
        });
        if !open {
            let spare = self.spare.take().unwrap_or_default();
            self.open_segment(spare);
        }
        self.segments.back_mut()
    }

    fn open_segment(&mut self, block: Block) {
        self.resident += self.segments.back().map_or(0, Segment::memory);
        let mut segment = Segment::new(self.tail);
        segment.block = Some(block);
        self.segments.push_back(segment);
    }

    /// Lets a segment's block go if it can be read back, unless it is the last. All from `known_from` on are ready.
    pub(super) fn page_out(&mut self, at: usize, known_from: Position) {
        if at + 1 < self.segments.len()
            && let Some(segment) = self.segments.get_mut(at)
        {
            let before = segment.memory();
            if segment.page_out(segment.base < known_from) {
                self.resident -= before;
            }
        }
    }

    /// Takes a segment's block back.
    pub(super) fn page_in(&mut self, base: Position, block: Block) {
        if let Some(at) = self.find(base) {
            let is_last = at + 1 == self.segments.len();
            if let Some(segment) = self.segments.get_mut(at) {
                let unread = segment.unread;
                segment.page_in(block);
                if unread {
                    self.unread_bytes = self.unread_bytes.saturating_sub(segment.live_bytes);
                }
                self.resident += if is_last { 0 } else { segment.memory() };
            }
        }
    }

    /// Gives away `count` positions to messages that are settled at once.
    pub(super) fn skip(&mut self, count: u64) {
        self.tail += count;
        if let Some(last) = self.segments.back_mut()
            && last.len == 0
        {
            last.base = self.tail;
        }
    }

    /// The segment that covers `position`.
    pub(super) fn find(&self, position: Position) -> Option<usize> {
        let covers = |segment: &Segment| segment.base <= position && position < segment.end();
        if self.segments.get(self.hint.get()).is_some_and(covers) {
            return Some(self.hint.get());
        }
        let after = self
            .segments
            .partition_point(|segment| segment.base <= position);
        let index = after.checked_sub(1)?;
        if !self.segments.get(index).is_some_and(covers) {
            return None;
        }
        self.hint.set(index);
        Some(index)
    }

    pub(super) fn segment_of(&mut self, position: Position) -> Option<&mut Segment> {
        let index = self.find(position)?;
        self.segments.get_mut(index)
    }

    pub(super) fn at(&self, position: Position) -> At<'_> {
        let Some(segment) = self
            .find(position)
            .and_then(|index| self.segments.get(index))
        else {
            return At::Settled;
        };
        let index = segment.index(position);
        let flags = segment.flags(index);
        if flags & SETTLED != 0 {
            return At::Settled;
        }
        if flags & AWAY != 0 {
            return At::Away;
        }
        match &segment.block {
            None => At::Away,
            Some(block) => match block.message(index) {
                Some(message) => At::Message {
                    message,
                    redelivered: flags & REDELIVERED != 0,
                    expires_at: if flags & EXPIRES == 0 {
                        None
                    } else {
                        block.expires_at(index)
                    },
                },
                None => At::Settled,
            },
        }
    }

    /// The first position from `from` on that is not settled, or the tail.
    pub(super) fn next_live(&self, from: Position) -> Position {
        let mut position = from;
        while position < self.tail {
            let Some(index) = self.find(position) else {
                let after = self
                    .segments
                    .partition_point(|segment| segment.base <= position);
                match self.segments.get(after) {
                    Some(next) => position = next.base,
                    None => return self.tail,
                }
                if self.segments.get(after).is_some_and(|next| next.len == 0) {
                    return self.tail;
                }
                continue;
            };
            let Some(segment) = self.segments.get(index) else {
                return self.tail;
            };
            let end = segment.end();
            while position < end {
                if segment.flags(segment.index(position)) & SETTLED == 0 {
                    return position;
                }
                position += 1;
            }
        }
        self.tail
    }

    /// Marks a message as done with; false if it was before.
    pub(super) fn settle(&mut self, position: Position) -> bool {
        let Some(at) = self.find(position) else {
            return false;
        };
        let segment = self.segments.get(at);
        let bytes = segment.map_or(0, |segment| segment.body_len(segment.index(position)));
        self.settle_in(at, position, bytes)
    }

    /// Length of the body at `position`, which is in memory or held by a consumer.
    pub(super) fn body_len(&self, position: Position) -> u64 {
        let segment = self.find(position).and_then(|at| self.segments.get(at));
        segment.map_or(0, |segment| segment.body_len(segment.index(position)))
    }

    /// A segment has nothing live any more: the last one is reused, others go.
    pub(super) fn drained(&mut self, at: usize) {
        let tail = self.tail;
        let is_last = at + 1 == self.segments.len();
        let Some(segment) = self.segments.get_mut(at) else {
            return;
        };
        if segment.unread {
            let lost: u64 = segment.records.iter().map(RecordRef::bytes_read).sum();
            self.unread_bytes = self.unread_bytes.saturating_sub(lost);
        }
        if self.durable && !segment.records.is_empty() {
            self.changed.note_all(segment.base..segment.end());
        }
        self.obsolete.append(&mut segment.records);
        if let (true, Some(block)) = (is_last, &mut segment.block) {
            block.clear();
            segment.base = tail;
            segment.len = 0;
            return;
        }
        self.resident -= if is_last { 0 } else { segment.memory() };
        if let Some(mut gone) = self.segments.remove(at)
            && let Some(mut block) = gone.block.take()
            && self.spare.is_none()
            && block.memory() <= SPARE_BYTES_MAX
        {
            block.clear();
            self.spare = Some(block);
        }
        if is_last {
            // The one before is the last now, which is counted apart.
            self.resident -= self.segments.back().map_or(0, Segment::memory);
        }
        self.hint.set(0);
    }

    /// Bytes of memory held by messages.
    pub(super) fn memory(&self) -> usize {
        self.resident
            + self.segments.back().map_or(0, Segment::memory)
            + self.spare.as_ref().map_or(0, Block::memory)
    }

    /// What [`Log::memory`] must say, by a walk.
    #[cfg(test)]
    pub(super) fn walked_memory(&self) -> usize {
        let spare = self.spare.as_ref().map_or(0, Block::memory);
        self.segments.iter().map(Segment::memory).sum::<usize>() + spare
    }

    /// Gives back memory that only waits for the next burst.
    pub(super) fn trim(&mut self) {
        self.spare = None;
        if let Some(last) = self.segments.back_mut()
            && last.len == 0
        {
            last.block = Some(Block::default());
        }
    }

    /// Ends the open block if it is worth it, so that it can leave memory.
    pub(super) fn seal(&mut self) {
        if self
            .segments
            .back()
            .is_some_and(|last| last.len > 0 && last.memory() >= SEALED_BYTES_MIN)
        {
            self.open_segment(Block::default());
        }
    }
}

/// A block with less than this stays: a record for each handful of messages would cost more than it gives back.
const SEALED_BYTES_MIN: usize = 128 << 10;
