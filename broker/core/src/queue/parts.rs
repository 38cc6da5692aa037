//! A queue's settlement by stretches of positions: each is stored by itself, so that a change costs what it changes,
//! however many messages wait or are settled out of order.
//!
//! Layout of a part, version 1, numbers of variable length unless said otherwise:
//! ```text
//! u8 version = 1
//! count of settled ranges, each: distance from the end of the one before (from the stretch's first position for the first),
//!   length - 1
//! count of messages that something is known of, each:
//!   distance from the position before (from the stretch's first for the first)
//!   u8: 1 if it came back before; twice the number of a reason for death if it is dying
//!   if it came back: how many deliveries failed, how many there were, when the next is due
//!   if it is dying, or a next delivery was set: length of its body
//! ```
//! Only positions that are in a record are in a part, so that a record's live messages can be counted without reading it.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_varint};
use crate::store::{Part, Position};

use super::death::DeathReason;
use super::returns::Attempts;

const VERSION: u8 = 1;

/// Positions in a stretch: few enough that one message in each does not cost much, so many that there are not too many parts.
const STRETCH: Position = 256;

const CAME_BACK: u8 = 1;

/// The part that a position belongs to.
pub(super) fn part_of(position: Position) -> Part {
    Part(position / STRETCH + 1)
}

/// The positions that a part speaks of.
pub(super) fn positions(part: Part) -> Range<Position> {
    let first = part.0.saturating_sub(1).saturating_mul(STRETCH);
    first..first.saturating_add(STRETCH)
}

/// The parts that have changed since they were taken.
#[derive(Debug, Default)]
pub(super) struct Changed {
    parts: BTreeSet<Part>,
    last: Option<Part>,
}

impl Changed {
    pub(super) fn note(&mut self, position: Position) {
        self.note_part(part_of(position));
    }

    pub(super) fn note_all(&mut self, positions: Range<Position>) {
        if positions.is_empty() {
            return;
        }
        let parts = part_of(positions.start).0..=part_of(positions.end - 1).0;
        parts.for_each(|part| self.note_part(Part(part)));
    }

    pub(super) fn note_part(&mut self, part: Part) {
        if self.last != Some(part) {
            self.last = Some(part);
            self.parts.insert(part);
        }
    }

    pub(super) fn take(&mut self) -> BTreeSet<Part> {
        self.last = None;
        std::mem::take(&mut self.parts)
    }
}

/// What is known of a message that is not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// How often it came back; nothing of that if it was never acquired.
    pub(super) attempts: Attempts,
    /// It is on its way to the dead-letter exchange.
    pub(super) dying: Option<DeathReason>,
    /// The length of its body, if it is set aside.
    pub(super) bytes: u32,
}

impl Mark {
    /// Whether it may be ready for nobody, so that the length of its body must be known.
    pub(super) fn is_aside(&self) -> bool {
        self.dying.is_some() || self.attempts.due > 0
    }
}

/// One part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    /// First and last position that are settled, ascending.
    pub(super) ranges: Vec<(Position, Position)>,
    /// Ascending.
    pub(super) marks: Vec<(Position, Mark)>,
}

impl Stretch {
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.marks.is_empty()
    }

    /// Adds a settled position above all others.
    pub(super) fn settled(&mut self, position: Position) {
        match self.ranges.last_mut() {
            Some((_, last)) if *last + 1 == position => *last = position,
            _ => self.ranges.push((position, position)),
        }
    }

    pub(super) fn encode(&self, part: Part) -> Bytes {
        let first = positions(part).start;
        // Enough for most, which so need not grow.
        let mut out = Vec::with_capacity(16);
        out.push(VERSION);
        put_varint(&mut out, self.ranges.len() as u64);
        let mut end = first;
        for &(first, last) in &self.ranges {
            put_varint(&mut out, first - end);
            put_varint(&mut out, last - first);
            end = last;
        }
        put_varint(&mut out, self.marks.len() as u64);
        let mut before = first;
        for (position, mark) in &self.marks {
            let attempts = mark.attempts;
            put_varint(&mut out, position - before);
            before = *position;
            let came_back = attempts.acquired > 0;
            let reason = mark.dying.map_or(0, |reason| reason.number() << 1);
            out.push(reason | if came_back { CAME_BACK } else { 0 });
            if came_back {
                put_varint(&mut out, attempts.failed.into());
                put_varint(&mut out, attempts.acquired.into());
                put_varint(&mut out, attempts.due);
            }
            if mark.is_aside() {
                put_varint(&mut out, mark.bytes.into());
            }
        }
        Bytes::from(out)
    }

    pub(super) fn decode(part: Part, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed("unknown version of a part of a settlement"));
        }
        let overflow = Malformed("a position is too large");
        let mut stretch = Self::default();
        let mut end = positions(part).start;
        for _ in 0..reader.varint()? {
            let first = end.checked_add(reader.varint()?).ok_or(overflow)?;
            end = first.checked_add(reader.varint()?).ok_or(overflow)?;
            stretch.ranges.push((first, end));
        }
        let mut position = positions(part).start;
        for _ in 0..reader.varint()? {
            position = position.checked_add(reader.varint()?).ok_or(overflow)?;
            let mark = mark(&mut reader)?;
            stretch.marks.push((position, mark));
        }
        if reader.rest().is_empty() {
            Ok(stretch)
        } else {
            Err(Malformed("bytes are left over"))
        }
    }
}

fn mark(reader: &mut Reader<'_>) -> Result<Mark, Malformed> {
    let what = reader.byte()?;
    let mut mark = Mark::default();
    if what & CAME_BACK != 0 {
        mark.attempts = Attempts {
            failed: reader.varint32()?,
            acquired: reader.varint32()?,
            due: reader.varint()?,
        };
    }
    mark.dying = match what >> 1 {
        0 => None,
        number => Some(DeathReason::numbered(number).ok_or(Malformed("unknown reason"))?),
    };
    if mark.is_aside() {
        mark.bytes = reader.varint32()?;
    }
    Ok(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_whole_and_never_cut() {
        arbtest::arbtest(|u| {
            let part = Part(u.int_in_range(1..=1 << 30)?);
            let first = positions(part).start;
            let mut stretch = Stretch::default();
            let mut next = first;
            for _ in 0..u.int_in_range(0..=5)? {
                let start = next + u.int_in_range(0..=20)?;
                let end = start + u.int_in_range(0..=20)?;
                stretch.ranges.push((start, end));
                next = end + 1;
            }
            for position in first..first + u.int_in_range(0..=5)? {
                let mut mark = Mark::default();
                if u.arbitrary()? {
                    mark.attempts = Attempts {
                        failed: u.arbitrary()?,
                        acquired: u.int_in_range(1..=u32::MAX)?,
                        due: u.arbitrary()?,
                    };
                }
                mark.dying = DeathReason::numbered(u.int_in_range(0..=4)?);
                if mark.is_aside() {
                    mark.bytes = u.arbitrary()?;
                }
                stretch.marks.push((position, mark));
            }
            let bytes = stretch.encode(part);
            assert_eq!(Stretch::decode(part, &bytes), Ok(stretch));
            for cut in 0..bytes.len() {
                assert!(Stretch::decode(part, &bytes[..cut]).is_err());
            }
            Ok(())
        });
    }

    #[test]
    fn what_changes_is_noted_once() {
        let mut changed = Changed::default();
        for position in [0, 1, STRETCH - 1, 5 * STRETCH] {
            changed.note(position);
        }
        changed.note_all(STRETCH - 1..2 * STRETCH);
        changed.note_all(7..7);
        let parts: Vec<Part> = changed.take().into_iter().collect();
        assert_eq!(parts, [Part(1), Part(2), Part(6)]);
        // Also the part that was noted last.
        changed.note(2 * STRETCH - 1);
        assert_eq!(changed.take().len(), 1);
        assert_eq!(positions(Part(2)), STRETCH..2 * STRETCH);
    }
}
