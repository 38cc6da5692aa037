//! A stretch of a queue's log: its messages in memory, in the store, or both.

use std::ops::Range;

use crate::codec::Malformed;
use crate::message::Message;
use crate::store::{Position, RecordId, RecordRef};

use super::block::{AWAY, Block, LASTING, PERSISTENT, Run, SETTLED, SPILLED, STORED};
use super::levels::level_of;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: Position,
    /// How many positions it covers.
    pub(super) len: u32,
    /// How many of them are not settled.
    pub(super) live: u32,
    /// The bodies of these, in bytes. Not known as long as the segment is [unread](Self::unread).
    pub(super) live_bytes: u64,
    /// Those of the live ones that survive a restart.
    pub(super) persistent: u32,
    /// Their bodies, in bytes.
    pub(super) persistent_bytes: u64,
    /// The messages are from before the restart and were not read since.
    pub(super) unread: bool,
    /// It was purged while it was unread: all that the records have is settled, but for what is dying.
    pub(super) purged: bool,
    /// The messages, unless they are only in the store.
    pub(super) block: Option<Block>,
    /// While the block is away: the lasting flags, or nothing if all are live, stored and never delivered.
    marks: Vec<u16>,
    /// While the block is away: the bodies' lengths, if some of the messages are held by consumers or set aside.
    lengths: Vec<u32>,
    /// Where the messages are stored, by first position.
    pub(super) records: Vec<RecordRef>,
    /// A reader has been asked to bring the block back.
    pub(super) requested: bool,
    /// Of which level the messages of a record are, for records that have only one of several in this segment.
    slices: Vec<(u8, RecordId)>,
    /// The only level that the reader has been asked for.
    asked: Option<u8>,
    /// Levels whose messages are not in the block though it is here.
    away: Vec<u8>,
}

impl Segment {
    pub(super) fn new(base: Position) -> Self {
        Self {
            base,
            len: 0,
            live: 0,
            live_bytes: 0,
            persistent: 0,
            persistent_bytes: 0,
            unread: false,
            purged: false,
            block: Some(Block::default()),
            marks: Vec::new(),
            lengths: Vec::new(),
            records: Vec::new(),
            requested: false,
            slices: Vec::new(),
            asked: None,
            away: Vec::new(),
        }
    }

    /// A segment whose messages are in the store; `marks` says which positions are absent or settled, `lengths` what is known of
    /// their bodies.
    pub(super) fn stored(
        records: Vec<RecordRef>,
        marks: Vec<u16>,
        lengths: Vec<u32>,
        live: u32,
    ) -> Self {
        let base = records.first().map_or(0, |record| record.first);
        let end = records.last().map_or(base, |record| record.last + 1);
        Self {
            base,
            len: u32::try_from(end - base).unwrap_or(u32::MAX),
            live,
            live_bytes: 0,
            persistent: live,
            persistent_bytes: 0,
            unread: true,
            purged: false,
            block: None,
            marks,
            lengths,
            records,
            requested: false,
            slices: Vec::new(),
            asked: None,
            away: Vec::new(),
        }
    }

    pub(super) fn end(&self) -> Position {
        self.base + Position::from(self.len)
    }

    /// The index of `position`, which may lie outside.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a segment covers less than 2^32 positions"
    )]
    pub(super) fn index(&self, position: Position) -> usize {
        position.wrapping_sub(self.base) as usize
    }

    pub(super) fn flags(&self, index: usize) -> u16 {
        match &self.block {
            Some(block) => block.flags(index),
            None if self.marks.is_empty() => STORED,
            None => self.marks.get(index).copied().unwrap_or(SETTLED),
        }
    }

    pub(super) fn add_flags(&mut self, index: usize, flags: u16) {
        if let Some(block) = &mut self.block {
            block.add_flags(index, flags);
            return;
        }
        if self.marks.is_empty() {
            self.marks = vec![STORED; self.len as usize];
        }
        if let Some(at) = self.marks.get_mut(index) {
            *at |= flags & LASTING;
        }
    }

    /// Puts a message at the end, if the block is there.
    pub(super) fn push(&mut self, message: &Message<'_>, flags: u16, expires_at: Option<u64>) {
        let Some(block) = &mut self.block else {
            return;
        };
        block.push(message, flags, expires_at);
        let bytes = message.body.len() as u64;
        self.len += 1;
        self.live += 1;
        self.live_bytes += bytes;
        if flags & PERSISTENT != 0 {
            self.persistent += 1;
            self.persistent_bytes += bytes;
        }
    }

    /// Marks one message settled; false if it was already.
    pub(super) fn settle(&mut self, index: usize) -> bool {
        self.settle_known(index, self.body_len(index))
    }

    /// As [`Segment::settle`], for a message whose body is known to have so many bytes.
    pub(super) fn settle_known(&mut self, index: usize, bytes: u64) -> bool {
        let flags = self.flags(index);
        if flags & SETTLED != 0 {
            return false;
        }
        self.add_flags(index, SETTLED);
        let mut run = Run::default();
        run.add(flags, bytes);
        self.forget(run);
        true
    }

    /// Marks messages as settled, if they are in memory. Returns what was not settled before.
    pub(super) fn settle_run(&mut self, indexes: Range<usize>) -> Option<Run> {
        let block = self.block.as_mut().filter(|_| !self.unread)?;
        let run = block.settle_run(indexes);
        self.forget(run);
        Some(run)
    }

    fn forget(&mut self, run: Run) {
        self.live = self.live.saturating_sub(run.count);
        self.live_bytes = self.live_bytes.saturating_sub(run.bytes);
        self.persistent = self.persistent.saturating_sub(run.persistent);
        self.persistent_bytes = self.persistent_bytes.saturating_sub(run.persistent_bytes);
    }

    /// Marks everything settled that is not, without looking at it.
    pub(super) fn settle_all(&mut self) {
        self.live = 0;
        self.live_bytes = 0;
        self.persistent = 0;
        self.persistent_bytes = 0;
    }

    /// Length of the body at `index`; 0 if the block is away and nobody holds the message.
    pub(super) fn body_len(&self, index: usize) -> u64 {
        match &self.block {
            Some(block) => block.body_len(index) as u64,
            None => self.lengths.get(index).copied().unwrap_or(0).into(),
        }
    }

    /// Lets the block go, if everything that is live in it is in the store. Returns whether it went. `held`: some of the
    /// messages may be held by consumers, or set aside, and so be settled before the block is back.
    pub(super) fn page_out(&mut self, held: bool) -> bool {
        let Some(block) = &self.block else {
            return false;
        };
        // What is being read completes the block, and is of no use without it.
        if self.requested {
            return false;
        }
        let mut plain = true;
        for index in 0..block.len() {
            let flags = block.flags(index);
            if flags & (SETTLED | STORED | SPILLED) == 0 {
                return false;
            }
            plain &= flags & LASTING == STORED;
        }
        self.marks = if plain {
            Vec::new()
        } else {
            (0..block.len())
                .map(|index| block.flags(index) & LASTING)
                .collect()
        };
        if held {
            let lengths = (0..block.len()).map(|index| block.body_len(index));
            self.lengths = lengths
                .map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
                .collect();
        }
        self.block = None;
        self.away.clear();
        true
    }

    /// The records that `from` is the first of have only messages of `level`.
    pub(super) fn note_slices(&mut self, level: u8, from: usize) {
        let records = self.records.iter().skip(from);
        self.slices.extend(records.map(|record| (level, record.id)));
    }

    /// What is to be read so that the messages of `level` are here, or all if nothing is said; nothing if they are, or have been asked for.
    pub(super) fn ask(&mut self, level: Option<u8>) -> Option<Vec<RecordRef>> {
        if self.requested {
            return None;
        }
        let whole = self.slices.is_empty() || self.unread || self.lengths.is_empty();
        let level = level.filter(|_| self.block.is_some() || !whole);
        let records = match level {
            None if self.block.is_some() => return None,
            None => self.records.clone(),
            Some(level) => {
                if self.block.is_some() && !self.away.contains(&level) {
                    return None;
                }
                self.slice(level)
            }
        };
        if records.is_empty() {
            return None;
        }
        (self.requested, self.asked) = (true, level);
        Some(records)
    }

    /// The records of one level, and those of all if they were not read yet.
    fn slice(&self, level: u8) -> Vec<RecordRef> {
        let is_wanted = |record: &&RecordRef| {
            let slice = self.slices.iter().find(|(_, id)| *id == record.id);
            slice.map_or(self.block.is_none(), |&(of, _)| of == level)
        };
        self.records.iter().filter(is_wanted).copied().collect()
    }

    /// Whether the message at `index`, which the reader did not bring, stays in the store.
    pub(super) fn stays_away(&self, index: usize) -> bool {
        let flags = self.flags(index);
        let live = flags & (SETTLED | SPILLED) == SPILLED;
        live && self.asked.is_some_and(|asked| asked != level_of(flags))
    }

    /// Whether the messages of one level can be read without the others.
    pub(super) fn is_sliced(&self) -> bool {
        !self.slices.is_empty()
    }

    /// Whether only a part of the messages is here.
    pub(super) fn is_partial(&self) -> bool {
        !self.away.is_empty()
    }

    /// Takes the messages of one more level back.
    pub(super) fn complete(
        &mut self,
        messages: &[(Position, Message<'_>, Option<u64>)],
    ) -> Result<(), Malformed> {
        self.requested = false;
        let base = self.base;
        let Some((block, level)) = self.block.as_mut().zip(self.asked.take()) else {
            return Ok(());
        };
        for (position, message, expires_at) in messages {
            let index = usize::try_from(position.wrapping_sub(base)).unwrap_or(usize::MAX);
            let flags = block.flags(index);
            if flags & (AWAY | SETTLED) == AWAY {
                block.fill(index, message, flags & LASTING, *expires_at);
            }
        }
        self.away.retain(|&away| away != level);
        let lacks = |index| {
            let flags = block.flags(index);
            flags & (AWAY | SETTLED) == AWAY && level_of(flags) == level
        };
        if (0..block.len()).any(lacks) {
            return Err(Malformed("a record lacks messages that were written"));
        }
        Ok(())
    }

    /// Takes the block back. Positions that the store did not have are settled: they were before the restart.
    pub(super) fn page_in(&mut self, mut block: Block) {
        let flags = (0..block.len()).map(|index| self.flags(index));
        let (live, bytes) = block.restore_flags(flags);
        debug_assert_eq!(live, self.live, "segment at {} lost count", self.base);
        self.live = live;
        if std::mem::take(&mut self.unread) {
            // Only what survives a restart is read after it.
            self.live_bytes = bytes;
            self.persistent_bytes = bytes;
        }
        debug_assert_eq!(
            bytes, self.live_bytes,
            "segment at {} lost bytes",
            self.base
        );
        self.marks = Vec::new();
        self.lengths = Vec::new();
        self.block = Some(block);
        self.requested = false;
        self.purged = false;
        if let Some(asked) = self.asked.take() {
            let levels = self.slices.iter().map(|&(level, _)| level);
            self.away = levels.filter(|&level| level != asked).collect();
            self.away.dedup();
        }
    }

    /// Settles everything but some messages, of which the lengths are known, in a segment that was not read. Returns how many are left.
    pub(super) fn purge_unread(&mut self, is_kept: impl Fn(Position) -> bool) -> u32 {
        if self.marks.is_empty() {
            self.marks = vec![STORED; self.len as usize];
        }
        let mut live = 0;
        for (position, mark) in (self.base..).zip(&mut self.marks) {
            if *mark & SETTLED != 0 {
                continue;
            }
            if is_kept(position) {
                live += 1;
            } else {
                // Whether the record has it is not known before that is read.
                *mark = SETTLED;
            }
        }
        (self.live, self.persistent, self.purged) = (live, live, true);
        live
    }

    /// The bodies of those messages whose lengths are known, in a segment that is away and of which nothing else is left, in bytes.
    pub(super) fn known_bytes(&self) -> u64 {
        let known = self.lengths.iter().zip(&self.marks);
        let live = known.filter(|(_, mark)| **mark & SETTLED == 0);
        live.map(|(&bytes, _)| u64::from(bytes)).sum()
    }

    /// Bytes of memory held by the block.
    pub(super) fn memory(&self) -> usize {
        self.block.as_ref().map_or(0, Block::memory)
    }
}
