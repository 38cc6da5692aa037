//! What of a queue's stored messages is done with, as the store keeps it.
//!
//! Layout, version 3, numbers of variable length:
//! ```text
//! u8 version = 3
//! u8 1 if the queue is paused, else 0
//! floor: every position below is settled
//! head: positions below were delivered before
//! tail: the position that the next message gets
//! bytes: of the bodies of all messages that are stored and not settled
//! count of ranges, each: distance from the end of the one before (from `floor` for the first), length - 1
//! count of messages that came back, each: distance from the position before (from `floor` for the first), how many
//!   deliveries failed, how many there were, when the next is due
//! ```
//! Ranges and messages that came back are only of positions that are in a record, so that a record's live messages can be
//! counted without reading it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_varint};
use crate::store::Position;

use super::block::{SETTLED, STORED};
use super::log::Log;
use super::returns::Attempts;

const VERSION: u8 = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settlement {
    pub(super) paused: bool,
    pub(super) floor: Position,
    pub(super) head: Position,
    pub(super) tail: Position,
    pub(super) bytes: u64,
    /// First and last position, ascending.
    pub(super) ranges: Vec<(Position, Position)>,
    /// How often messages came back that are not settled.
    pub(super) attempts: BTreeMap<Position, Attempts>,
}

pub(super) fn encode(
    log: &Log,
    head: Position,
    attempts: &BTreeMap<Position, Attempts>,
    paused: bool,
) -> Bytes {
    let mut ranges: Vec<(Position, Position)> = Vec::new();
    let stored = |segment: &&super::segment::Segment| !segment.records.is_empty();
    for segment in log.segments.iter().filter(stored) {
        if segment.live == segment.len {
            continue;
        }
        for (index, position) in (segment.base..segment.end()).enumerate() {
            if segment.flags(index) & (SETTLED | STORED) != SETTLED | STORED {
                continue;
            }
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == position => *last = position,
                _ => ranges.push((position, position)),
            }
        }
    }
    let floor = log
        .segments
        .iter()
        .find(stored)
        .map_or(log.tail(), |segment| segment.base);
    Settlement {
        paused,
        floor,
        head,
        tail: log.tail(),
        bytes: log.persistent().1,
        ranges,
        attempts: attempts
            .iter()
            .filter(|&(&position, _)| log.is_stored(position))
            .map(|(&position, &attempts)| (position, attempts))
            .collect(),
    }
    .to_bytes()
}

impl Log {
    /// Whether the message is in a record that survives a restart, and not settled.
    fn is_stored(&self, position: Position) -> bool {
        let segment = self.find(position).and_then(|at| self.segments.get(at));
        segment.is_some_and(|segment| {
            segment.flags(segment.index(position)) & (SETTLED | STORED) == STORED
        })
    }
}

impl Settlement {
    fn to_bytes(&self) -> Bytes {
        let mut out = vec![VERSION, u8::from(self.paused)];
        put_varint(&mut out, self.floor);
        put_varint(&mut out, self.head);
        put_varint(&mut out, self.tail);
        put_varint(&mut out, self.bytes);
        put_varint(&mut out, self.ranges.len() as u64);
        let mut end = self.floor;
        for &(first, last) in &self.ranges {
            put_varint(&mut out, first - end);
            put_varint(&mut out, last - first);
            end = last;
        }
        put_varint(&mut out, self.attempts.len() as u64);
        let mut before = self.floor;
        for (&position, attempts) in &self.attempts {
            put_varint(&mut out, position - before);
            put_varint(&mut out, attempts.failed.into());
            put_varint(&mut out, attempts.acquired.into());
            put_varint(&mut out, attempts.due);
            before = position;
        }
        Bytes::from(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed("unknown version of a settlement"));
        }
        let paused = match reader.byte()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("a queue is paused or it is not")),
        };
        let mut settlement = Self {
            paused,
            floor: reader.varint()?,
            head: reader.varint()?,
            tail: reader.varint()?,
            bytes: reader.varint()?,
            ..Self::default()
        };
        let overflow = Malformed("a position is too large");
        let mut end = settlement.floor;
        for _ in 0..reader.varint()? {
            let first = end.checked_add(reader.varint()?).ok_or(overflow)?;
            end = first.checked_add(reader.varint()?).ok_or(overflow)?;
            settlement.ranges.push((first, end));
        }
        let mut position = settlement.floor;
        for _ in 0..reader.varint()? {
            position = position.checked_add(reader.varint()?).ok_or(overflow)?;
            let many = |_| Malformed("a message came back too often");
            let attempts = Attempts {
                failed: u32::try_from(reader.varint()?).map_err(many)?,
                acquired: u32::try_from(reader.varint()?).map_err(many)?,
                due: reader.varint()?,
            };
            settlement.attempts.insert(position, attempts);
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
                floor: u.int_in_range(0..=1 << 30)?,
                head: u.int_in_range(0..=1 << 40)?,
                tail: u.int_in_range(0..=1 << 40)?,
                bytes: u.arbitrary()?,
                ..Settlement::default()
            };
            let mut end = settlement.floor;
            for _ in 0..u.int_in_range(0..=20)? {
                let first = end + u.int_in_range(1..=1000)?;
                end = first + u.int_in_range(0..=1000)?;
                settlement.ranges.push((first, end));
            }
            for _ in 0..u.int_in_range(0..=5)? {
                let position = settlement.floor + u.int_in_range(0..=1000)?;
                let attempts = Attempts {
                    failed: u.arbitrary()?,
                    acquired: u.arbitrary()?,
                    due: u.arbitrary()?,
                };
                settlement.attempts.insert(position, attempts);
            }
            let bytes = settlement.to_bytes();
            assert_eq!(Settlement::decode(&bytes), Ok(settlement));
            for cut in 0..bytes.len() {
                assert!(Settlement::decode(&bytes[..cut]).is_err());
            }
            Ok(())
        });
    }
}
