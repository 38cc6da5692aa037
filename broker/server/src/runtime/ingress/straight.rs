//! Targets whose messages all go straight to the same queues: found again at little cost where messages with different targets
//! take turns.

use super::Slots;

/// Places for targets at first, and at most; powers of two.
const PLACES_MIN: usize = 64;
const PLACES_MAX: usize = 1024;
/// So many times as many are made of them if that is worth a try.
const GROWTH: usize = 4;

/// Queues to which the targets in all places may lead. Those that lead to more than one place's share are not kept: finding them again costs little
/// beside what the queues cost, and each connection has a list for each target.
const SLOTS_MAX: usize = 256 * PLACES_MIN;

/// Targets that had to go for others, after which it is looked how many came again.
const TRIED: u32 = 512;
/// If fewer than this did, more places are tried.
const FOUND_WISHED: u32 = 4 * TRIED;
/// Fewer are not worth it, where there are no more places to try.
const FOUND_MIN: u32 = TRIED / 2;
/// Targets that are not kept then before that is tried again: more take turns than there are places.
const PAUSE: u32 = 100 * TRIED;

/// Where messages with one target go.
#[derive(Clone, Debug, Default)]
pub(super) struct Straight {
    target: Vec<u8>,
    /// Where they are counted.
    pub(super) exchange: u32,
    pub(super) slots: Slots,
}

/// One of several targets that share a place is kept: the last one.
#[derive(Debug, Default)]
pub(super) struct Straights {
    /// As long as there was no other, there is nothing to keep.
    only: Vec<u8>,
    places: Vec<Straight>,
    /// Since the last look, those that had to go for another one, and those that came again.
    displaced: u32,
    found: u32,
    pause: u32,
}

impl Straights {
    #[inline]
    pub(super) fn find(&mut self, target: &[u8]) -> Option<&Straight> {
        let kept = self.places.get(place(target, self.places.len()))?;
        let found = *kept.target == *target;
        self.found = self.found.saturating_add(found.into());
        found.then_some(kept)
    }

    pub(super) fn keep(&mut self, target: &[u8], exchange: u32, slots: &Slots) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        if slots.len() * self.places.len().max(PLACES_MIN) > SLOTS_MAX {
            return;
        }
        if self.places.is_empty() {
            if self.only.is_empty() {
                self.only.extend_from_slice(target);
            }
            if self.only == target {
                return;
            }
            self.places.resize(PLACES_MIN, Straight::default());
        }
        if self.is_taken(target) {
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
        let place = place(target, self.places.len());
        if let Some(kept) = self.places.get_mut(place) {
            kept.target.clear();
            kept.target.extend_from_slice(target);
            kept.exchange = exchange;
            kept.slots.clone_from(slots);
        }
    }

    /// Whether another target would have to go for this one.
    fn is_taken(&self, target: &[u8]) -> bool {
        let kept = self.places.get(place(target, self.places.len()));
        kept.is_some_and(|kept| !kept.target.is_empty())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Which of so many places. Routing keys of one kind mostly differ at their end. The factor is that of Fibonacci hashing, and it is taken twice so
/// that each octet counts wherever it stands.
#[inline]
fn place(target: &[u8], places: usize) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let end = target.last_chunk().copied().unwrap_or_else(|| {
        let mut end = [0; 8];
        end.iter_mut()
            .zip(target)
            .for_each(|(to, from)| *to = *from);
        end
    });
    let mut mixed = u64::from_le_bytes(end) ^ target.len() as u64;
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

    #[test]
    fn a_second_target_has_both_kept_from_then_on() {
        let mut straights = Straights::default();
        straights.keep(b"\0\x01a", 1, &smallvec![1]);
        assert!(straights.places.is_empty());
        for _ in 0..2 {
            straights.keep(b"\0\x01b", 2, &smallvec![2, 3]);
            straights.keep(b"\0\x01a", 1, &smallvec![1]);
        }
        let mut found = |target: &[u8]| {
            let found = straights.find(target);
            found.map(|found| (found.exchange, found.slots.to_vec()))
        };
        assert_eq!(found(b"\0\x01a"), Some((1, vec![1])));
        assert_eq!(found(b"\0\x01b"), Some((2, vec![2, 3])));
        assert_eq!(found(b"\0\x01c"), None);
        straights.clear();
        assert!(straights.find(b"\0\x01a").is_none());
    }

    #[test]
    fn long_lists_of_queues_are_not_kept_once_more() {
        let mut straights = Straights::default();
        let (long, longest): (Slots, Slots) = ((0..300).collect(), (0..256).collect());
        for target in [&b"a"[..], b"b", b"a"] {
            straights.keep(target, 1, &long);
        }
        assert!(straights.places.is_empty());
        for target in [&b"a"[..], b"b"] {
            straights.keep(target, 1, &longest);
        }
        assert!(straights.find(b"b").is_some());
    }

    #[test]
    fn more_targets_than_there_are_places_are_not_kept() {
        let mut straights = Straights::default();
        let mut kept = 0;
        for number in 0..20_000_u32 {
            let target = number.to_be_bytes();
            if straights.find(&target).is_none() {
                straights.keep(&target, 1, &smallvec![1]);
            }
            kept += u32::from(!straights.places.is_empty());
        }
        assert!(kept < 3_000, "{kept}");
        // Few that take turns are kept again after a while.
        for number in 0..PAUSE + TRIED {
            let target = (number % 4).to_be_bytes();
            if straights.find(&target).is_none() {
                straights.keep(&target, 1, &smallvec![1]);
            }
        }
        assert!(straights.find(&1_u32.to_be_bytes()).is_some());
    }

    #[test]
    fn as_many_places_are_made_as_the_targets_need() {
        for (targets, places) in [(20, PLACES_MIN), (100, 256), (500, PLACES_MAX)] {
            let mut straights = Straights::default();
            let mut found = 0;
            for number in 0..100 * targets {
                let target = format!("\0\x09key-{:05}", number % targets);
                if straights.find(target.as_bytes()).is_some() {
                    found += 1;
                } else {
                    straights.keep(target.as_bytes(), 1, &smallvec![1]);
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
        straights.only.push(0);
        for (queues, is_kept) in [(17, false), (16, true)] {
            straights.keep(b"key", 1, &(0..queues).collect());
            assert_eq!(straights.find(b"key").is_some(), is_kept, "{queues}");
        }
    }

    #[test]
    fn keys_that_are_numbered_have_places_of_their_own() {
        let places: std::collections::BTreeSet<usize> = (0..16)
            .map(|number| place(format!("\0\x09key-{number:05}").as_bytes(), PLACES_MIN))
            .collect();
        assert!(places.len() >= 12, "{places:?}");
    }
}
