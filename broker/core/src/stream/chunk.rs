//! A stretch of a stream: its messages in memory, in the store, or both. All that a [`Block`] knows of settling stays unused: in a
//! stream, nothing is settled.

use crate::message::Message;
use crate::queue::block::{Block, PERSISTENT};
use crate::store::{Position, RecordRef};

#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) base: Position,
    /// How many messages it has, without a gap.
    pub(super) len: u32,
    /// What they take, as retention counts: names, properties and bodies.
    pub(super) bytes: u64,
    /// When the first and the last message were published, in milliseconds since the Unix epoch; unknown if they are from before the
    /// restart and were not read since.
    pub(super) times: Option<(u64, u64)>,
    /// The messages, unless they are only in the store.
    pub(super) block: Option<Block>,
    /// Where they are stored, by first position.
    pub(super) records: Vec<RecordRef>,
    /// A reader has been asked to bring the block back.
    pub(super) requested: bool,
}

impl Chunk {
    /// An empty one, to be written to.
    pub(super) fn new(base: Position) -> Self {
        Self {
            base,
            len: 0,
            bytes: 0,
            times: None,
            block: Some(Block::default()),
            records: Vec::new(),
            requested: false,
        }
    }

    /// One whose messages are in the store.
    pub(super) fn stored(records: Vec<RecordRef>) -> Self {
        let base = records.first().map_or(0, |record| record.first);
        Self {
            base,
            len: records.iter().map(|record| record.count).sum(),
            bytes: records.iter().map(RecordRef::bytes_read).sum(),
            times: None,
            block: None,
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
        reason = "a chunk covers less than 2^32 positions"
    )]
    pub(super) fn index(&self, position: Position) -> usize {
        position.wrapping_sub(self.base) as usize
    }

    /// Puts a message at the end, if the block is there.
    pub(super) fn push(&mut self, message: &Message<'_>, now: u64) {
        let Some(block) = &mut self.block else {
            return;
        };
        block.push(message, PERSISTENT, Some(now));
        self.len += 1;
        self.bytes += message.cost() as u64;
        self.times = Some((self.times.map_or(now, |(first, _)| first), now));
    }

    /// Takes back the block, which has all of the chunk's messages.
    pub(super) fn page_in(&mut self, block: Block) {
        let time = |index| block.expires_at(index).unwrap_or(0);
        if let Some(last) = block.len().checked_sub(1) {
            self.times = Some((time(0), time(last)));
        }
        self.block = Some(block);
        self.requested = false;
    }

    /// The first message that was published at `time` or later, if the block is there and there is one.
    pub(super) fn first_since(&self, time: u64) -> Option<Position> {
        let block = self.block.as_ref()?;
        let (mut from, mut to) = (0, block.len());
        while from < to {
            let middle = from.midpoint(to);
            if block.expires_at(middle).unwrap_or(0) < time {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        (from < block.len()).then_some(self.base + from as Position)
    }

    /// Bytes of memory held by the block.
    pub(super) fn memory(&self) -> usize {
        self.block.as_ref().map_or(0, Block::memory)
    }
}
