//! How far consumers came, by their tags: one that comes back without an offset goes on from there.
//!
//! Each remembered tag has a slot, and each slot is a part of its own in the store: one consumer that goes on costs the disk no more
//! where many are remembered. Layout of a slot's part, version 1, numbers of variable length:
//! ```text
//! u8 version = 1
//! changed: those that changed later have a higher number
//! length and bytes of the tag
//! the offset that it gets next
//! ```

use std::collections::{BTreeMap, BTreeSet};

use amphora_protocol::wire::types::ConsumerTag;
use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_slice, put_varint};
use crate::store::{Part, Position};

/// So many consumers are remembered; of more, those that acknowledged longest ago are forgotten. Clients that make up a new tag each
/// time must not fill the disk.
const TRACKED_MAX: usize = 1024;

const VERSION: u8 = 1;

#[derive(Debug, PartialEq, Eq)]
struct Tracked {
    tag: Box<str>,
    /// What the consumer gets next.
    next: Position,
    /// Rises with every change.
    changed: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tracking {
    /// A tag that is forgotten leaves its slot to another.
    slots: Vec<Tracked>,
    by_tag: BTreeMap<Box<str>, usize>,
    changes: u64,
    /// Slots that are no longer as they were stored.
    unstored: BTreeSet<usize>,
}

impl Tracking {
    pub(super) fn of(&self, tag: &ConsumerTag) -> Option<Position> {
        let slot = self.by_tag.get(tag.as_str())?;
        self.slots.get(*slot).map(|tracked| tracked.next)
    }

    /// Whether that is something new.
    pub(super) fn set(&mut self, tag: &ConsumerTag, next: Position) -> bool {
        self.changes += 1;
        let changed = self.changes;
        let known = self.by_tag.get(tag.as_str()).copied();
        if let Some(slot) = known
            && let Some(tracked) = self.slots.get_mut(slot)
        {
            tracked.changed = changed;
            self.unstored.insert(slot);
            return std::mem::replace(&mut tracked.next, next) != next;
        }
        self.add(Tracked {
            tag: tag.as_str().into(),
            next,
            changed,
        });
        true
    }

    /// Remembers a tag that is not known, in a new slot or in place of another.
    fn add(&mut self, tracked: Tracked) {
        let full = self.slots.len() >= TRACKED_MAX;
        let mut slots = self.slots.iter_mut().enumerate();
        let oldest = full.then(|| slots.by_ref().min_by_key(|(_, known)| known.changed));
        let tag = tracked.tag.clone();
        let slot = if let Some((slot, oldest)) = oldest.flatten() {
            let before = std::mem::replace(oldest, tracked);
            self.by_tag.remove(&before.tag);
            slot
        } else {
            self.slots.push(tracked);
            self.slots.len() - 1
        };
        self.by_tag.insert(tag, slot);
        self.unstored.insert(slot);
    }

    /// All tags and their offsets.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Position)> {
        let slots = self
            .by_tag
            .values()
            .filter_map(|slot| self.slots.get(*slot));
        slots.map(|known| (&*known.tag, known.next))
    }

    /// The parts that are no longer as they were stored; they are taken as stored from now on.
    pub(super) fn take_unstored(&mut self) -> impl Iterator<Item = (Part, Bytes)> {
        let unstored = std::mem::take(&mut self.unstored);
        let slots = unstored.into_iter();
        slots.filter_map(|slot| Some((part_of(slot), self.slots.get(slot)?.encode())))
    }

    /// All parts that the store may have.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        (0..self.slots.len()).map(part_of)
    }

    /// What the parts say, of which there is one for each slot from the first on.
    pub(super) fn recover(parts: &BTreeMap<Part, Bytes>) -> Result<Self, Malformed> {
        let mut tracking = Self::default();
        for (slot, (part, bytes)) in parts.iter().enumerate() {
            if *part != part_of(slot) {
                return Err(Malformed("a tracked consumer is missing"));
            }
            let tracked = Tracked::decode(bytes)?;
            tracking.changes = tracking.changes.max(tracked.changed);
            tracking.add(tracked);
        }
        tracking.unstored.clear();
        Ok(tracking)
    }

    /// Reads the list that the first version of a stream's state had: the count and, for each, length and bytes of the tag and the
    /// offset; those that changed last come last. All of it is to be stored in parts.
    pub(super) fn decode_list(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut tracking = Self::default();
        for changed in 0..reader.varint()? {
            let tag = read_tag(reader)?;
            let next = reader.varint()?;
            tracking.changes = changed;
            tracking.add(Tracked { tag, next, changed });
        }
        Ok(tracking)
    }
}

/// The part of a stream's state that a slot is.
fn part_of(slot: usize) -> Part {
    Part(Part::WHOLE.0 + 1 + slot as u64)
}

fn read_tag(reader: &mut Reader<'_>) -> Result<Box<str>, Malformed> {
    let tag = std::str::from_utf8(reader.slice()?);
    tag.map(Into::into)
        .map_err(|_| Malformed("a consumer tag is no text"))
}

impl Tracked {
    fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.changed);
        put_slice(&mut out, self.tag.as_bytes());
        put_varint(&mut out, self.next);
        Bytes::from(out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed("unknown version of a tracked consumer"));
        }
        let changed = reader.varint()?;
        let tag = read_tag(&mut reader)?;
        let next = reader.varint()?;
        if reader.rest().is_empty() {
            Ok(Self { tag, next, changed })
        } else {
            Err(Malformed("bytes are left over"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(number: usize) -> ConsumerTag {
        ConsumerTag::new(format!("c{number}")).expect("short")
    }

    #[test]
    fn the_most_recent_are_kept() {
        let mut tracking = Tracking::default();
        for number in 0..TRACKED_MAX {
            assert!(tracking.set(&tag(number), 1));
        }
        assert!(!tracking.set(&tag(0), 1), "nothing new");
        assert!(tracking.set(&tag(TRACKED_MAX), 5));
        assert_eq!(tracking.of(&tag(0)), Some(1), "was just used");
        assert_eq!(tracking.of(&tag(1)), None);
        assert_eq!(tracking.of(&tag(TRACKED_MAX)), Some(5));

        let parts: BTreeMap<_, _> = tracking.take_unstored().collect();
        assert!(parts.keys().copied().eq(tracking.parts()));
        let mut read = Tracking::recover(&parts).expect("whole");
        assert_eq!(read, tracking);
        read.set(&tag(7000), 1);
        assert_eq!(read.of(&tag(2)), None, "the order of the changes is kept");
        assert_eq!(read.of(&tag(0)), Some(1));
    }

    #[test]
    fn only_what_changed_is_stored_again() {
        let mut tracking = Tracking::default();
        for number in 0..1000 {
            tracking.set(&tag(number), 1);
        }
        assert_eq!(tracking.take_unstored().count(), 1000);
        assert_eq!(tracking.take_unstored().count(), 0);
        tracking.set(&tag(500), 2);
        let bytes: usize = tracking.take_unstored().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes < 16, "{bytes}");
    }

    #[test]
    fn damaged_parts_are_refused() {
        let mut tracking = Tracking::default();
        tracking.set(&tag(0), 70_000);
        tracking.set(&tag(1), 1);
        let parts: BTreeMap<_, _> = tracking.take_unstored().collect();
        let (part, whole) = parts.first_key_value().expect("two parts");
        for cut in 0..whole.len() {
            let mut parts = parts.clone();
            parts.insert(*part, whole.slice(..cut));
            assert!(Tracking::recover(&parts).is_err());
        }
        let mut without_first = parts.clone();
        without_first.pop_first();
        assert!(Tracking::recover(&without_first).is_err());
    }
}
