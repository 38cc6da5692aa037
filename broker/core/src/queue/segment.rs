//! A stretch of a queue's log: its messages in memory, in the store, or both.

use crate::store::{Position, RecordRef};

use super::block::{Block, LASTING, SETTLED, SPILLED, STORED};

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: Position,
    /// How many positions it covers.
    pub(super) len: u32,
    /// How many of them are not settled.
    pub(super) live: u32,
    /// The messages, unless they are only in the store.
    pub(super) block: Option<Block>,
    /// While the block is away: the lasting flags, or nothing if all are live, stored and never delivered.
    marks: Vec<u8>,
    /// Where the messages are stored, by first position.
    pub(super) records: Vec<RecordRef>,
    /// A reader has been asked to bring the block back.
    pub(super) requested: bool,
}

impl Segment {
    pub(super) fn new(base: Position) -> Self {
        Self {
            base,
            len: 0,
            live: 0,
            block: Some(Block::default()),
            marks: Vec::new(),
            records: Vec::new(),
            requested: false,
        }
    }

    /// A segment whose messages are in the store; `marks` says which positions are absent or settled.
    pub(super) fn stored(records: Vec<RecordRef>, marks: Vec<u8>, live: u32) -> Self {
        let base = records.first().map_or(0, |record| record.first);
        let end = records.last().map_or(base, |record| record.last + 1);
        Self {
            base,
            len: u32::try_from(end - base).unwrap_or(u32::MAX),
            live,
            block: None,
            marks,
            records,
            requested: false,
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
            None => self
                .marks
                .get(index)
                .map_or(SETTLED, |&mark| u16::from(mark)),
        }
    }

    pub(super) fn add_flags(&mut self, index: usize, flags: u16) {
        if let Some(block) = &mut self.block {
            block.add_flags(index, flags);
            return;
        }
        if self.marks.is_empty() {
            self.marks = vec![mark(STORED); self.len as usize];
        }
        if let Some(at) = self.marks.get_mut(index) {
            *at |= mark(flags);
        }
    }

    /// Marks one message settled; false if it was already.
    pub(super) fn settle(&mut self, index: usize) -> bool {
        if self.flags(index) & SETTLED != 0 {
            return false;
        }
        self.add_flags(index, SETTLED);
        self.live = self.live.saturating_sub(1);
        true
    }

    /// Lets the block go, if everything that is live in it is in the store. Returns whether it went.
    pub(super) fn page_out(&mut self) -> bool {
        let Some(block) = &self.block else {
            return false;
        };
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
                .map(|index| mark(block.flags(index)))
                .collect()
        };
        self.block = None;
        self.requested = false;
        true
    }

    /// Takes the block back. Positions that the store did not have are settled: they were before the restart.
    pub(super) fn page_in(&mut self, mut block: Block) {
        let mut live = 0;
        for index in 0..self.len as usize {
            // What the store did not have must not count as stored: see `settlement`.
            let absent = block.flags(index) & (SETTLED | STORED | SPILLED) == SETTLED;
            block.add_flags(
                index,
                self.flags(index) & if absent { !STORED } else { LASTING },
            );
            live += u32::from(block.flags(index) & SETTLED == 0);
        }
        debug_assert_eq!(live, self.live, "segment at {} lost count", self.base);
        self.live = live;
        self.marks = Vec::new();
        self.block = Some(block);
        self.requested = false;
    }

    /// Bytes of memory held by the block.
    pub(super) fn memory(&self) -> usize {
        self.block.as_ref().map_or(0, Block::memory)
    }
}

/// The lasting flags in a byte; all of them lie in the low one.
pub(super) fn mark(flags: u16) -> u8 {
    (flags & LASTING) as u8
}
