//! What of a queue's stored messages is done with, as the store keeps it: what concerns the whole queue, and [parts](super::parts).
//!
//! Layout of what concerns the whole queue, version 5, numbers of variable length:
//! ```text
//! u8 version = 5
//! u8 1 if the queue is paused; 2 if some of the messages may expire: only then, the head is looked at after a restart
//! floor: every position below is settled
//! below: positions below the floor that the record has within which the floor is
//! head: positions below were delivered before
//! tail: the position that the next message gets
//! bytes: of the bodies of all messages that are stored and not settled
//! count of stretches that were purged, each: distance from the end of the one before, length. All that is in their records is
//!   settled, but for what is dying.
//! ```
//! Version 4 does not say whether messages may expire, and is read as if some may.

use std::ops::Range;

use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_varint};
use crate::store::{CommitGroup, Part, Position, RecordRef, Write};

use super::Queue;
use super::block::{SETTLED, STORED};
use super::parts::{Mark, Stretch, part_of, positions};
use super::segment::Segment;

const VERSION: u8 = 5;
/// The one before.
const VERSION_WITHOUT_EXPIRY: u8 = 4;

const PAUSED: u8 = 1;
const MAY_EXPIRE: u8 = 2;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settlement {
    pub(super) paused: bool,
    /// Some of the messages may expire.
    pub(super) may_expire: bool,
    pub(super) floor: Position,
    pub(super) below: u64,
    pub(super) head: Position,
    pub(super) tail: Position,
    pub(super) bytes: u64,
    /// First position and the one behind the last, ascending.
    pub(super) purged: Vec<(Position, Position)>,
}

impl<C> Queue<C> {
    /// Adds what has changed of the settlement since it was taken last.
    pub(super) fn take_settlement(&mut self, group: &mut CommitGroup) {
        let floor = self.log.next_live(self.persist.floor);
        let below = self.stored_below(floor);
        (self.persist.floor, self.persist.below) = (floor, below);
        if floor == self.log.tail() {
            // There is nothing left that could.
            self.expiry.messages = self.expiry.ttl.is_some();
        }
        let purged = self.log.segments.iter().filter(|segment| segment.purged);
        let settlement = Settlement {
            paused: self.paused,
            may_expire: self.expiry.messages,
            floor,
            below,
            head: self.persist.delivered_to,
            tail: self.log.tail(),
            bytes: self.log.persistent().1 - self.untaken_bytes(),
            purged: purged
                .map(|segment| (segment.base, segment.end()))
                .collect(),
        };
        let data = settlement.to_bytes();
        if data != self.persist.settlement {
            self.persist.settlement = data.clone();
            group.writes.push(Write::Settle {
                queue: self.id,
                part: Part::WHOLE,
                data,
            });
        }
        self.take_parts(floor, group);
    }

    /// Bodies of persistent messages that were published while others were taken. They begin with a segment.
    fn untaken_bytes(&self) -> u64 {
        let segments = self.log.segments.iter().rev();
        let untaken = segments.take_while(|segment| segment.base >= self.persist.taken_to);
        untaken.map(|segment| segment.persistent_bytes).sum()
    }

    fn take_parts(&mut self, floor: Position, group: &mut CommitGroup) {
        let queue = self.id;
        for part in self.log.changed.take() {
            if positions(part).end <= floor {
                // It goes below, if it is stored.
                continue;
            }
            if positions(part).end.min(self.log.tail()) > self.persist.taken_to {
                // What is not stored yet is told when it is.
                self.log.changed.note_part(part);
            }
            let stretch = self.stretch(part, floor);
            if !stretch.is_empty() {
                self.persist.parts.insert(part);
                group.writes.push(Write::Settle {
                    queue,
                    part,
                    data: stretch.encode(part),
                });
            } else if self.persist.parts.remove(&part) {
                group.writes.push(Write::Forget { queue, part });
            }
        }
        let kept = self.persist.parts.split_off(&part_of(floor));
        let below = std::mem::replace(&mut self.persist.parts, kept);
        let forgotten = below.into_iter().map(|part| Write::Forget { queue, part });
        group.writes.extend(forgotten);
    }

    /// What there is to say of the positions of a part, from `floor` on.
    fn stretch(&self, part: Part, floor: Position) -> Stretch {
        let span = positions(part);
        let span = span.start.max(floor)..span.end;
        let mut stretch = Stretch::default();
        let first = (self.log.segments).partition_point(|segment| segment.end() <= span.start);
        let segments = self.log.segments.iter().skip(first);
        for segment in segments.take_while(|segment| segment.base < span.end) {
            if segment.records.is_empty() {
                continue;
            }
            for position in span.start.max(segment.base)..span.end.min(segment.end()) {
                let flags = segment.flags(segment.index(position));
                if flags & (SETTLED | STORED) == SETTLED | STORED {
                    stretch.settled(position);
                } else if flags & STORED != 0
                    && let Some(mark) = self.mark(position)
                {
                    stretch.marks.push((position, mark));
                }
            }
        }
        stretch
    }

    /// What is to be kept of a message that is not settled.
    fn mark(&self, position: Position) -> Option<Mark> {
        let attempts = self.returns.attempts.get(&position).copied();
        let dying = self.deaths.reason(position);
        if attempts.is_none() && dying.is_none() {
            return None;
        }
        let attempts = attempts.unwrap_or_default();
        let mut mark = Mark {
            attempts,
            dying,
            bytes: 0,
        };
        if mark.is_aside() {
            mark.bytes = u32::try_from(self.log.body_len(position)).unwrap_or(u32::MAX);
        }
        Some(mark)
    }

    /// How many of the positions below `floor` are in the record within which it is.
    fn stored_below(&self, floor: Position) -> u64 {
        let segment = self.log.find(floor);
        let Some(segment) = segment.and_then(|at| self.log.segments.get(at)) else {
            return 0;
        };
        let within =
            |record: &&RecordRef| !record.transient && record.first < floor && floor <= record.last;
        let Some(record) = segment.records.iter().find(within) else {
            return 0;
        };
        let (known_to, known) = (self.persist.floor, self.persist.below);
        let (from, known) = if known_to > record.first && known_to <= floor {
            (known_to, known)
        } else {
            (record.first, 0)
        };
        known + stored(segment, from..floor)
    }
}

fn stored(segment: &Segment, positions: Range<Position>) -> u64 {
    let is_stored = |&position: &Position| segment.flags(segment.index(position)) & STORED != 0;
    positions.filter(is_stored).count() as u64
}

impl Settlement {
    fn to_bytes(&self) -> Bytes {
        let paused = if self.paused { PAUSED } else { 0 };
        let may_expire = if self.may_expire { MAY_EXPIRE } else { 0 };
        // Enough for most, which so need not grow.
        let mut out = Vec::with_capacity(32);
        out.extend([VERSION, paused | may_expire]);
        put_varint(&mut out, self.floor);
        put_varint(&mut out, self.below);
        put_varint(&mut out, self.head);
        put_varint(&mut out, self.tail);
        put_varint(&mut out, self.bytes);
        put_varint(&mut out, self.purged.len() as u64);
        let mut before = 0;
        for &(first, end) in &self.purged {
            put_varint(&mut out, first - before);
            put_varint(&mut out, end - first);
            before = end;
        }
        Bytes::from(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let (version, flags) = (reader.byte()?, reader.byte()?);
        let known = match version {
            VERSION => PAUSED | MAY_EXPIRE,
            VERSION_WITHOUT_EXPIRY => PAUSED,
            _ => return Err(Malformed("unknown version of a settlement")),
        };
        if flags & !known != 0 {
            return Err(Malformed("unknown flags of a settlement"));
        }
        let mut settlement = Self {
            paused: flags & PAUSED != 0,
            may_expire: version == VERSION_WITHOUT_EXPIRY || flags & MAY_EXPIRE != 0,
            floor: reader.varint()?,
            below: reader.varint()?,
            head: reader.varint()?,
            tail: reader.varint()?,
            bytes: reader.varint()?,
            purged: Vec::new(),
        };
        let overflow = Malformed("a position is too large");
        let mut before = 0u64;
        for _ in 0..reader.varint()? {
            let first = before.checked_add(reader.varint()?).ok_or(overflow)?;
            before = first.checked_add(reader.varint()?).ok_or(overflow)?;
            settlement.purged.push((first, before));
        }
        if reader.rest().is_empty() {
            Ok(settlement)
        } else {
            Err(Malformed("bytes are left over"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_whole_and_never_in_part() {
        arbtest::arbtest(|u| {
            let mut settlement = Settlement {
                paused: u.arbitrary()?,
                may_expire: u.arbitrary()?,
                floor: u.arbitrary()?,
                below: u.arbitrary()?,
                head: u.arbitrary()?,
                tail: u.arbitrary()?,
                bytes: u.arbitrary()?,
                purged: Vec::new(),
            };
            let mut end = 0;
            for _ in 0..u.int_in_range(0..=20)? {
                let first = end + u.int_in_range(0..=1000)?;
                end = first + u.int_in_range(1..=1000)?;
                settlement.purged.push((first, end));
            }
            let bytes = settlement.to_bytes();
            assert_eq!(Settlement::decode(&bytes), Ok(settlement));
            for cut in 0..bytes.len() {
                assert!(Settlement::decode(&bytes[..cut]).is_err());
            }
            Ok(())
        });
    }

    #[test]
    fn one_of_the_version_before_is_read_as_if_its_messages_may_expire() {
        let settlement = Settlement {
            paused: true,
            floor: 5,
            head: 6,
            tail: 7,
            bytes: 80,
            ..Settlement::default()
        };
        let mut bytes = settlement.to_bytes().to_vec();
        bytes[0] = VERSION_WITHOUT_EXPIRY;
        let expected = Settlement {
            may_expire: true,
            ..settlement
        };
        assert_eq!(Settlement::decode(&bytes), Ok(expected));
        bytes[1] |= MAY_EXPIRE;
        let unknown = Malformed("unknown flags of a settlement");
        assert_eq!(Settlement::decode(&bytes), Err(unknown));
    }
}
