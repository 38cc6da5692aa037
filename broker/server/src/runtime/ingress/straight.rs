//! Kinds of messages, each of which goes straight to the same queues: found again at little cost where several take turns. Mostly, all messages with one
//! target are of one kind; where an exchange looks at headers, those are that have the same properties, too.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::Slots;

/// Places for kinds at first, and at most; powers of two.
const PLACES_MIN: usize = 64;
const PLACES_MAX: usize = 1024;
/// So many times as many are made of them if that is worth a try.
const GROWTH: usize = 4;

/// Queues to which those in all places may lead. Those that lead to more than one place's share are not kept: finding them again costs little
/// beside what the queues cost, and each connection has a list for each kind.
const SLOTS_MAX: usize = 256 * PLACES_MIN;

/// Longer properties are not kept: they belong to one message mostly, and each connection has its own.
const PROPERTIES_MAX: usize = 512;

/// Kinds that had to go for others, after which it is looked how many came again.
const TRIED: u32 = 512;
/// If fewer than this did, more places are tried.
const FOUND_WISHED: u32 = 8 * TRIED;
/// Fewer are not worth it, where there are no more places to try.
const FOUND_MIN: u32 = TRIED / 2;
/// Kinds that are not kept then before that is tried again: more take turns than there are places.
const PAUSE: u32 = 100 * TRIED;

/// What messages have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind<'a> {
    pub(super) target: &'a [u8],
    /// If the route depends on them.
    pub(super) properties: Option<&'a [u8]>,
}

/// Where messages of one kind go.
#[derive(Clone, Debug, Default)]
pub(super) struct Straight {
    /// The target and what comes with it. A target says how long it is, so that no other one has the same octets.
    kind: Vec<u8>,
    with_properties: bool,
    /// Where they are counted.
    pub(super) exchange: u32,
    pub(super) slots: Slots,
}

impl Straight {
    fn is_of(&self, kind: Kind<'_>) -> bool {
        let properties = kind.properties.unwrap_or_default();
        self.with_properties == kind.properties.is_some()
            && self.kind.strip_prefix(kind.target) == Some(properties)
    }

    fn become_of(&mut self, kind: Kind<'_>) {
        self.kind.clear();
        self.kind.extend_from_slice(kind.target);
        self.kind
            .extend_from_slice(kind.properties.unwrap_or_default());
        self.with_properties = kind.properties.is_some();
    }
}

/// One of several kinds that share a place is kept: the last one.
#[derive(Debug, Default)]
pub(super) struct Straights {
    /// As long as there was no other, there is nothing to keep.
    only: Straight,
    places: Vec<Straight>,
    /// Some kinds are those of messages with the same properties.
    look_further: bool,
    /// Since the last look, those that had to go for another one, and those that came again.
    displaced: u32,
    found: u32,
    pause: u32,
}

impl Straights {
    #[inline]
    pub(super) fn find(&mut self, target: &[u8], properties: &[u8]) -> Option<&Straight> {
        let mut kind = Kind {
            target,
            properties: None,
        };
        let mut place = place(kind, self.places.len());
        let mut found = self.is_at(place, kind);
        if !found && self.look_further {
            kind.properties = Some(properties);
            place = self::place(kind, self.places.len());
            found = self.is_at(place, kind);
        }
        if !found {
            return None;
        }
        self.found = self.found.saturating_add(1);
        self.places.get(place)
    }

    #[inline]
    fn is_at(&self, place: usize, kind: Kind<'_>) -> bool {
        let kept = self.places.get(place);
        kept.is_some_and(|kept| kept.is_of(kind))
    }

    pub(super) fn keep(&mut self, kind: Kind<'_>, exchange: u32, slots: &Slots) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let properties = kind.properties.map_or(0, <[u8]>::len);
        if slots.len() * self.places.len().max(PLACES_MIN) > SLOTS_MAX
            || properties > PROPERTIES_MAX
        {
            return;
        }
        self.look_further |= kind.properties.is_some();
        if self.places.is_empty() {
            if self.only.kind.is_empty() {
                self.only.become_of(kind);
            }
            if self.only.is_of(kind) {
                return;
            }
            self.places.resize(PLACES_MIN, Straight::default());
        }
        if self.is_taken(kind) {
            self.displaced += 1;
        }
        if self.displaced == TRIED {
            let found = std::mem::take(&mut self.found);
            self.displaced = 0;
            let places = self.places.len();
            if found < FOUND_WISHED && places < PLACES_MAX {
                self.places.clear();
                self.places.resize(places * GROWTH, Straight::default());
            } else if found < FOUND_MIN {
                self.clear();
                self.pause = PAUSE;
                return;
            }
        }
        let place = place(kind, self.places.len());
        if let Some(kept) = self.places.get_mut(place) {
            kept.become_of(kind);
            kept.exchange = exchange;
            kept.slots.clone_from(slots);
        }
    }

    /// Whether another kind would have to go for this one.
    fn is_taken(&self, kind: Kind<'_>) -> bool {
        let kept = self.places.get(place(kind, self.places.len()));
        kept.is_some_and(|kept| !kept.kind.is_empty())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Which of so many places. Routing keys of one kind mostly differ at their end. The factor is that of Fibonacci hashing, and it is taken twice so
/// that each octet counts wherever it stands.
#[inline]
fn place(kind: Kind<'_>, places: usize) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let target = kind.target;
    let end = target.last_chunk().copied().unwrap_or_else(|| {
        let mut end = [0; 8];
        end.iter_mut()
            .zip(target)
            .for_each(|(to, from)| *to = *from);
        end
    });
    let mut mixed = u64::from_le_bytes(end) ^ target.len() as u64;
    if let Some(properties) = kind.properties {
        mixed ^= FixedState::default().hash_one(properties);
    }
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(FACTOR);
    }
    // Without any place, whatever comes out is beyond the last.
    usize::try_from(mixed >> (u64::BITS - places.trailing_zeros())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn all(target: &[u8]) -> Kind<'_> {
        Kind {
            target,
            properties: None,
        }
    }

    #[test]
    fn a_second_target_has_both_kept_from_then_on() {
        let mut straights = Straights::default();
        straights.keep(all(b"\0\x01a"), 1, &smallvec![1]);
        assert!(straights.places.is_empty());
        for _ in 0..2 {
            straights.keep(all(b"\0\x01b"), 2, &smallvec![2, 3]);
            straights.keep(all(b"\0\x01a"), 1, &smallvec![1]);
        }
        let mut found = |target: &[u8]| {
            let found = straights.find(target, b"any");
            found.map(|found| (found.exchange, found.slots.to_vec()))
        };
        assert_eq!(found(b"\0\x01a"), Some((1, vec![1])));
        assert_eq!(found(b"\0\x01b"), Some((2, vec![2, 3])));
        assert_eq!(found(b"\0\x01c"), None);
        straights.clear();
        assert!(straights.find(b"\0\x01a", b"any").is_none());
    }

    #[test]
    fn long_lists_of_queues_are_not_kept_once_more() {
        let mut straights = Straights::default();
        let (long, longest): (Slots, Slots) = ((0..300).collect(), (0..256).collect());
        for target in [&b"a"[..], b"b", b"a"] {
            straights.keep(all(target), 1, &long);
        }
        assert!(straights.places.is_empty());
        for target in [&b"a"[..], b"b"] {
            straights.keep(all(target), 1, &longest);
        }
        assert!(straights.find(b"b", b"any").is_some());
    }

    #[test]
    fn more_targets_than_there_are_places_are_not_kept() {
        let mut straights = Straights::default();
        let mut kept = 0;
        for number in 0..20_000_u32 {
            let target = number.to_be_bytes();
            if straights.find(&target, b"any").is_none() {
                straights.keep(all(&target), 1, &smallvec![1]);
            }
            kept += u32::from(!straights.places.is_empty());
        }
        assert!(kept < 3_000, "{kept}");
        // Few that take turns are kept again after a while.
        for number in 0..PAUSE + TRIED {
            let target = (number % 4).to_be_bytes();
            if straights.find(&target, b"any").is_none() {
                straights.keep(all(&target), 1, &smallvec![1]);
            }
        }
        assert!(straights.find(&1_u32.to_be_bytes(), b"any").is_some());
    }

    #[test]
    fn as_many_places_are_made_as_the_targets_need() {
        for (targets, places) in [(20, PLACES_MIN), (100, 256), (500, PLACES_MAX)] {
            let mut straights = Straights::default();
            let mut found = 0;
            for number in 0..100 * targets {
                let target = format!("\0\x09key-{:05}", number % targets);
                if straights.find(target.as_bytes(), b"any").is_some() {
                    found += 1;
                } else {
                    straights.keep(all(target.as_bytes()), 1, &smallvec![1]);
                }
            }
            assert!(straights.places.len() >= places, "{targets}");
            assert!(found > 50 * targets, "{found} of {targets} in turn");
        }
        // Many places have room for few queues each.
        let mut straights = Straights {
            places: vec![Straight::default(); PLACES_MAX],
            ..Straights::default()
        };
        straights.only.kind.push(0);
        for (queues, is_kept) in [(17, false), (16, true)] {
            straights.keep(all(b"key"), 1, &(0..queues).collect());
            assert_eq!(
                straights.find(b"key", b"any").is_some(),
                is_kept,
                "{queues}"
            );
        }
    }

    #[test]
    fn keys_that_are_numbered_have_places_of_their_own() {
        let places: std::collections::BTreeSet<usize> = (0..16)
            .map(|number| place(all(format!("\0\x09key-{number:05}").as_bytes()), PLACES_MIN))
            .collect();
        assert!(places.len() >= 12, "{places:?}");
    }

    #[test]
    fn where_routes_depend_on_properties_each_has_its_own() {
        let mut straights = Straights::default();
        let with = |target, properties| Kind {
            target,
            properties: Some(properties),
        };
        // Two exchanges that look at headers, and one that does not.
        let (first, second, direct) = (&b"\x01h\x01k"[..], &b"\x01g\x01k"[..], &b"\x01d\x01k"[..]);
        let long = vec![7; PROPERTIES_MAX + 1];
        let found = |straights: &mut Straights, target: &[u8], properties: &[u8]| {
            let found = straights.find(target, properties);
            found.map(|found| found.slots.to_vec())
        };
        straights.keep(all(b"\x01d\x01z"), 3, &smallvec![9]);
        for (slot, (target, properties)) in [
            (first, &b"one"[..]),
            (first, b""),
            (second, b"one"),
            (second, &long[1..]),
        ]
        .into_iter()
        .enumerate()
        {
            let slots: Slots = smallvec![u32::try_from(slot).unwrap()];
            straights.keep(with(target, properties), 1, &slots);
            assert_eq!(
                found(&mut straights, target, properties),
                Some(slots.to_vec())
            );
            straights.keep(with(first, &long), 1, &slots);
            for (target, properties) in [(first, &b"two"[..]), (second, b""), (first, &long)] {
                assert_eq!(found(&mut straights, target, properties), None);
            }
        }
        straights.keep(all(direct), 3, &smallvec![4]);
        for properties in [&b"one"[..], b"", b"two"] {
            assert_eq!(found(&mut straights, direct, properties), Some(vec![4]));
        }
    }
}
