//! How far consumers came, by their tags: one that comes back without an offset goes on from there.

use std::collections::BTreeMap;

use amphora_protocol::wire::types::ConsumerTag;

use crate::codec::{Malformed, Reader, put_slice, put_varint};
use crate::store::Position;

/// So many consumers are remembered; of more, those that acknowledged longest ago are forgotten. Clients that make up a new tag each
/// time must not fill the disk.
const TRACKED_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tracked {
    /// What the consumer gets next.
    next: Position,
    /// Rises with every change.
    changed: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tracking {
    by_tag: BTreeMap<Box<str>, Tracked>,
    changes: u64,
}

impl Tracking {
    pub(super) fn of(&self, tag: &ConsumerTag) -> Option<Position> {
        self.by_tag.get(tag.as_str()).map(|tracked| tracked.next)
    }

    /// Whether that is something new.
    pub(super) fn set(&mut self, tag: &ConsumerTag, next: Position) -> bool {
        self.changes += 1;
        let changed = self.changes;
        if let Some(tracked) = self.by_tag.get_mut(tag.as_str()) {
            tracked.changed = changed;
            return std::mem::replace(&mut tracked.next, next) != next;
        }
        if self.by_tag.len() >= TRACKED_MAX {
            let oldest = self.by_tag.iter().min_by_key(|(_, known)| known.changed);
            if let Some(oldest) = oldest.map(|(tag, _)| tag.clone()) {
                self.by_tag.remove(&oldest);
            }
        }
        self.by_tag
            .insert(tag.as_str().into(), Tracked { next, changed });
        true
    }

    /// All tags and their offsets.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Position)> {
        self.by_tag.iter().map(|(tag, known)| (&**tag, known.next))
    }

    /// Appends the count and, for each, length and bytes of the tag and the offset; those that changed last come last.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.by_tag.len() as u64);
        let mut all: Vec<_> = self.by_tag.iter().collect();
        all.sort_unstable_by_key(|(_, known)| known.changed);
        for (tag, known) in all {
            put_slice(out, tag.as_bytes());
            put_varint(out, known.next);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut tracking = Self::default();
        for changed in 0..reader.varint()? {
            let tag = std::str::from_utf8(reader.slice()?);
            let tag = tag.map_err(|_| Malformed("a consumer tag is no text"))?;
            let next = reader.varint()?;
            let known = Tracked { next, changed };
            tracking.by_tag.insert(tag.into(), known);
            tracking.changes = changed;
        }
        Ok(tracking)
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

        let mut bytes = Vec::new();
        tracking.encode(&mut bytes);
        let mut read = Tracking::decode(&mut Reader::new(&bytes)).expect("whole");
        read.set(&tag(7000), 1);
        assert_eq!(read.of(&tag(2)), None, "the order of the changes is kept");
        assert_eq!(read.of(&tag(0)), Some(1));
        for cut in 0..bytes.len() {
            assert!(Tracking::decode(&mut Reader::new(&bytes[..cut])).is_err());
        }
    }
}
