//! What the committer takes from a queue, and how messages leave memory.
//!
//! A message is *taken* once: its bytes go into a record, and the record into the group that is being committed. Only
//! when that group is durable may its block leave memory. One group is under way at a time; a group that failed is
//! tried again unchanged, so what was taken stays taken.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::store::{CommitGroup, Part, Position, QueueId, Write};

use super::Queue;
use super::block::{PERSISTENT, SETTLED, SPILLED, STORED};
use super::bodies::Records;
use super::cutter::Cutter;
use super::death::Deaths;
use super::levels::level_of;
use super::log::Log;
use super::returns::Returns;
use super::segment::Segment;
use super::settlement::Settlement;

/// Bytes of messages, roughly, that are taken under one hold of the queue's lock.
pub(crate) const TAKEN_BYTES: usize = 2 << 20;

/// Bytes of messages, roughly, that one group takes of a queue only to relieve memory: they are in memory twice until it is durable.
const SPILLED_BYTES: usize = 32 << 20;

/// How far a queue has come in telling the store.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Persistent messages below are in a record, or were settled before they could be.
    pub(super) taken_to: Position,
    /// All messages below are in a record, also those that need not survive a restart; a segment begins here.
    spilled_to: Position,
    /// Nothing from here on was ever delivered.
    pub(super) delivered_to: Position,
    /// What the settlement that was written last says, see [`Settlement`](super::settlement::Settlement).
    pub(super) floor: Position,
    pub(super) below: u64,
    /// What was written last of the queue as a whole, to leave out what says the same.
    pub(super) settlement: Bytes,
    /// The other parts that the store has.
    pub(super) parts: BTreeSet<Part>,
}

/// What one commit group takes of a queue, in steps: see [`Queue::take_commit`].
#[derive(Debug, Default)]
pub struct Taking {
    spill: bool,
    /// What was published before the first step.
    to: Option<Position>,
    spilled: usize,
    appended: bool,
    more: bool,
}

impl Taking {
    /// With `spill`, messages that need not survive a restart are taken, too, so that they can leave memory.
    pub fn new(spill: bool) -> Self {
        Self {
            spill,
            ..Self::default()
        }
    }

    /// The position up to which messages are to be taken: where the tail was at the first step.
    pub(crate) fn begin(&mut self, tail: Position) -> Position {
        *self.to.get_or_insert(tail)
    }

    pub(crate) fn appended(&mut self) {
        self.appended = true;
    }

    /// Whether something was taken that a publisher may wait for.
    pub fn has_appended(&self) -> bool {
        self.appended
    }

    /// Whether something was left for the next group that should leave memory.
    pub fn has_more(&self) -> bool {
        self.more
    }
}

impl<C> Queue<C> {
    /// Adds to `group` all that the store does not know of: new persistent messages, what was settled, records that
    /// have become obsolete. Does so in steps, each of bounded work, so that the queue's lock can be given up in between: to be called again, with
    /// the same group, until it returns true. What is published meanwhile may be left for the next group.
    pub fn take_commit(
        &mut self,
        group: &mut CommitGroup,
        records: &mut Records,
        taking: &mut Taking,
    ) -> bool {
        if taking.to.is_none() && taking.spill {
            self.log.seal();
        }
        let to = taking.begin(self.log.tail());
        let before = group.writes.len();
        let complete = self.take_persistent(group, records, to)
            && (!taking.spill || self.take_transient(group, records, taking));
        taking.appended |= group.writes.len() > before;
        if !complete {
            return false;
        }
        for record in self.log.obsolete.drain(..) {
            group.writes.push(Write::Remove {
                queue: self.id,
                record,
            });
        }
        if self.durable {
            self.take_settlement(group);
        }
        true
    }

    /// The group with what was taken is durable. With `spill`, blocks that are far from the head leave memory.
    pub fn committed(&mut self, spill: bool) {
        if !spill {
            return;
        }
        self.log.trim();
        let next = self.next_ready().unwrap_or(self.log.tail());
        let end = |segment: &Segment| segment.end();
        let head = self.log.segments.partition_point(|s| end(s) <= next);
        let known_from = self.head.max(self.aside_to);
        let spilled_to = self.persist.spilled_to;
        let stored = self.log.segments.partition_point(|s| end(s) <= spilled_to);
        for index in 0..stored {
            let ahead = index.checked_sub(head);
            let near = ahead.is_some_and(|ahead| {
                let segment = self.log.segments.get(index);
                segment.is_some_and(|segment| segment.is_near(ahead))
            });
            if !near {
                self.log.page_out(index, known_from);
            }
        }
    }

    /// The queue is deleted: everything that the store has of it goes, and all that is in memory. Whoever still holds one
    /// of its messages, or the queue itself, would keep it there.
    pub fn take_deletion(&mut self, group: &mut CommitGroup) {
        let log = std::mem::replace(&mut self.log, Log::new(false));
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
        let parts = std::mem::take(&mut self.persist.parts);
        let parts = parts.into_iter().chain([Part::WHOLE]);
        let queue = self.id;
        group
            .writes
            .extend(parts.map(|part| Write::Forget { queue, part }));
    }

    /// Takes persistent messages; true if all below `to` are taken.
    fn take_persistent(
        &mut self,
        group: &mut CommitGroup,
        records: &mut Records,
        to: Position,
    ) -> bool {
        let from = self.persist.taken_to;
        let segments = &mut self.log.segments;
        let first = segments.partition_point(|segment| segment.end() <= from);
        let mut bytes = 0;
        for segment in segments.iter_mut().skip(first) {
            if bytes >= TAKEN_BYTES {
                return self.persist.taken_to >= to;
            }
            let start = segment.index(self.persist.taken_to.max(segment.base));
            self.counters.stored +=
                take_segment(self.id, segment, start, Kind::Persistent, group, records);
            self.persist.taken_to = segment.end();
            bytes += segment.memory();
        }
        self.persist.taken_to = self.log.tail();
        true
    }

    /// Takes messages that need not survive a restart; true if that is enough for this group.
    fn take_transient(
        &mut self,
        group: &mut CommitGroup,
        records: &mut Records,
        taking: &mut Taking,
    ) -> bool {
        let from = self.persist.spilled_to;
        let segments = &mut self.log.segments;
        let first = segments.partition_point(|segment| segment.end() <= from);
        // The last one is still written to.
        let count = segments.len().saturating_sub(1);
        let mut bytes = 0;
        for segment in segments.iter_mut().take(count).skip(first) {
            taking.more = taking.spilled >= SPILLED_BYTES;
            if taking.more || bytes >= TAKEN_BYTES {
                return taking.more;
            }
            self.counters.stored += if self.levels.is_some() {
                take_slices(self.id, segment, group, records)
            } else {
                take_segment(self.id, segment, 0, Kind::Transient, group, records)
            };
            self.persist.spilled_to = segment.end();
            bytes += segment.memory();
            taking.spilled += segment.memory();
        }
        true
    }

    /// All that the queue has is from the store, which knows what was delivered.
    pub(super) fn resume(&mut self, settlement: &Settlement, parts: &BTreeMap<Part, Bytes>) {
        let tail = self.log.tail();
        self.persist = Progress {
            taken_to: tail,
            spilled_to: tail,
            delivered_to: settlement.head,
            floor: settlement.floor,
            below: settlement.below,
            settlement: Bytes::new(),
            parts: parts.keys().copied().collect(),
        };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Persistent,
    Transient,
}

/// Puts the segment's messages of one kind, from index `start` on, into records. Returns how many there were.
fn take_segment(
    queue: QueueId,
    segment: &mut Segment,
    start: usize,
    kind: Kind,
    group: &mut CommitGroup,
    records: &mut Records,
) -> u64 {
    let Some(block) = &mut segment.block else {
        return 0;
    };
    let (wanted, taken) = match kind {
        Kind::Persistent => (PERSISTENT, STORED),
        Kind::Transient => (0, SPILLED),
    };
    let transient = kind == Kind::Transient;
    let mut cutter = Cutter::new(queue, transient, group, records, &mut segment.records);
    let base = segment.base;
    let looked_at = PERSISTENT | SETTLED | STORED | SPILLED;
    block.take(start, (looked_at, wanted), taken, |index, message, at| {
        cutter.add(base + index as Position, message, at);
    });
    cutter.finish()
}

/// Puts the segment's transient messages into records, those of each level of priority into records of their own: levels are read
/// back one after the other, over all segments. Returns how many there were.
fn take_slices(
    queue: QueueId,
    segment: &mut Segment,
    group: &mut CommitGroup,
    records: &mut Records,
) -> u64 {
    let Some(block) = &mut segment.block else {
        return 0;
    };
    let mut levels: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for index in 0..block.len() {
        let flags = block.flags(index);
        if flags & (PERSISTENT | SETTLED | STORED | SPILLED) == 0 {
            levels.entry(level_of(flags)).or_default().push(index);
            block.add_flags(index, SPILLED);
        }
    }
    let several = levels.len() > 1;
    let mut count = 0;
    for (level, indexes) in levels {
        let from = segment.records.len();
        let mut cutter = Cutter::new(queue, true, group, records, &mut segment.records);
        let block = segment.block.as_ref();
        for index in indexes {
            if let Some(block) = block
                && let Some(message) = block.message(index)
            {
                let position = segment.base + index as Position;
                cutter.add(position, &message, block.expires_at(index));
            }
        }
        count += cutter.finish();
        if several {
            segment.note_slices(level, from);
        }
    }
    count
}
