//! What the committer takes from a stream, and how chunks come back to memory.

use crate::codec::Malformed;
use crate::queue::block::{Block, PERSISTENT, STORED};
use crate::queue::cutter::Cutter;
use crate::queue::record::read_record;
use crate::queue::{RecordData, Records, TAKEN_BYTES, Taking};
use crate::store::{CommitGroup, Part, Position, Write};

use super::{Stream, state};

impl<C> Stream<C> {
    /// Adds to `group` all that the store does not know of: new messages, records that were let go, how far consumers came. Does so in
    /// steps, as [`Queue::take_commit`](crate::queue::Queue::take_commit) does.
    pub fn take_commit(
        &mut self,
        group: &mut CommitGroup,
        records: &mut Records,
        taking: &mut Taking,
    ) -> bool {
        let to = taking.begin(self.tail);
        if !self.take_messages(group, records, taking) && self.taken < to {
            return false;
        }
        self.remove_obsolete(group);
        let state = state::encode(
            self.taken,
            self.paused,
            self.retention.active.min(self.taken),
        );
        if state != self.state {
            self.state = state.clone();
            group.writes.push(Write::Settle {
                queue: self.id,
                part: Part::WHOLE,
                data: state,
            });
        }
        let queue = self.id;
        let unstored = self.tracking.take_unstored();
        let settle = |(part, data)| Write::Settle { queue, part, data };
        group.writes.extend(unstored.map(settle));
        true
    }

    /// Takes new messages; true if there are no more.
    fn take_messages(
        &mut self,
        group: &mut CommitGroup,
        records: &mut Records,
        taking: &mut Taking,
    ) -> bool {
        let from = self.find(self.taken);
        let mut bytes = 0;
        for chunk in self.chunks.iter_mut().skip(from) {
            if bytes >= TAKEN_BYTES {
                return false;
            }
            let start = self.taken.max(chunk.base);
            let (first, end) = (chunk.index(start), chunk.end());
            let Some(block) = &chunk.block else {
                continue;
            };
            let mut cutter = Cutter::new(self.id, false, group, records, &mut chunk.records);
            for (position, index) in (start..end).zip(first..) {
                if let Some(message) = block.message(index) {
                    cutter.add(position, &message, block.expires_at(index));
                }
            }
            self.counters.stored += cutter.finish();
            taking.appended();
            bytes += chunk.memory();
            self.taken = end;
        }
        self.taken = self.tail;
        true
    }

    /// The group with what was taken is durable. Returns whether dispatch is due.
    pub fn committed(&mut self) -> bool {
        let before = std::mem::replace(&mut self.durable, self.taken);
        self.trim();
        before < self.durable && !self.readers.is_empty()
    }

    /// The stream is deleted: everything that the store has of it goes, and all that is in memory.
    pub fn take_deletion(&mut self, group: &mut CommitGroup) {
        while !self.chunks.is_empty() {
            self.drop_chunk(0);
        }
        self.remove_obsolete(group);
        let queue = self.id;
        let parts = self.tracking.parts().chain([Part::WHOLE]);
        let forget = |part| Write::Forget { queue, part };
        group.writes.extend(parts.map(forget));
    }

    /// Takes back a chunk that was read. Dispatch is due afterwards.
    ///
    /// # Errors
    /// The data is not what was written; the chunk stays away.
    pub fn page_in(&mut self, base: Position, data: &[RecordData]) -> Result<(), Malformed> {
        let at = self.find(base);
        let is_last = at + 1 == self.chunks.len();
        let Some(chunk) = self
            .chunks
            .get_mut(at)
            .filter(|chunk| chunk.base == base && chunk.block.is_none())
        else {
            return Ok(());
        };
        let mut block = Block::default();
        for record in data {
            let mut is_next = true;
            read_record(&record.data, &record.bodies, |position, message, time| {
                is_next &= position == chunk.base + block.len() as Position;
                block.push(&message, PERSISTENT | STORED, time);
            })?;
            if !is_next {
                return Err(Malformed("a record holds a position that is not its own"));
            }
        }
        if block.len() != chunk.len as usize {
            return Err(Malformed("a record does not hold all of its positions"));
        }
        self.counters.read_back += u64::from(chunk.len);
        chunk.page_in(block);
        self.resident += if is_last { 0 } else { chunk.memory() };
        self.loaded.insert(base);
        Ok(())
    }

    /// A chunk cannot be read back: its messages are given up. Returns the positions from first to last.
    pub fn lose(&mut self, base: Position) -> Option<(Position, Position)> {
        let at = self.find(base);
        let chunk = self.chunks.get(at).filter(|chunk| chunk.base == base)?;
        let span = (chunk.base, chunk.end() - 1);
        self.drop_chunk(at);
        Some(span)
    }

    fn remove_obsolete(&mut self, group: &mut CommitGroup) {
        for record in self.obsolete.drain(..) {
            group.writes.push(Write::Remove {
                queue: self.id,
                record,
            });
        }
        if self.obsolete.capacity() > OBSOLETE_KEPT_MAX {
            self.obsolete = Vec::new();
        }
    }
}

/// A list above this size is not kept.
const OBSOLETE_KEPT_MAX: usize = 4096;
