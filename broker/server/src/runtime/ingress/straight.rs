//! Targets whose messages all go straight to the same queues: found again at little cost where messages with different targets
//! take turns.

use super::Slots;

/// Targets that are kept; a power of two.
const PLACES: usize = 64;

/// Targets that lead to more queues are not kept: finding them again costs little beside what the queues cost, and each connection has a list
/// for each target.
const SLOTS_MAX: usize = 256;

/// Targets that were kept, after which it is looked whether any came again.
const TRIED: u32 = 512;
/// Targets that are not kept, if not one in two did, before that is tried again: more take turns than there are places.
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
    /// Since the last look.
    kept: u32,
    found: u32,
    pause: u32,
}

impl Straights {
    #[inline]
    pub(super) fn find(&mut self, target: &[u8]) -> Option<&Straight> {
        let kept = self.places.get(place(target))?;
        let found = *kept.target == *target;
        self.found = self.found.saturating_add(found.into());
        found.then_some(kept)
    }

    pub(super) fn keep(&mut self, target: &[u8], exchange: u32, slots: &Slots) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        if slots.len() > SLOTS_MAX {
            return;
        }
        if self.places.is_empty() {
            if self.only.is_empty() {
                self.only.extend_from_slice(target);
            }
            if self.only == target {
                return;
            }
            self.places.resize(PLACES, Straight::default());
        }
        self.kept += 1;
        if self.kept == TRIED {
            let in_vain = self.found < TRIED / 2;
            (self.kept, self.found) = (0, 0);
            if in_vain {
                self.clear();
                self.pause = PAUSE;
                return;
            }
        }
        if let Some(kept) = self.places.get_mut(place(target)) {
            kept.target.clear();
            kept.target.extend_from_slice(target);
            kept.exchange = exchange;
            kept.slots.clone_from(slots);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Routing keys of one kind mostly differ at their end. The factor is that of Fibonacci hashing.
#[inline]
fn place(target: &[u8]) -> usize {
    const BITS: u32 = PLACES.trailing_zeros();
    let end = target.last_chunk().copied().unwrap_or_else(|| {
        let mut end = [0; 8];
        end.iter_mut()
            .zip(target)
            .for_each(|(to, from)| *to = *from);
        end
    });
    let mixed = (u64::from_le_bytes(end) ^ target.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (u64::BITS - BITS)).unwrap_or_default()
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
            let target = (number % 500).to_be_bytes();
            if straights.find(&target).is_none() {
                straights.keep(&target, 1, &smallvec![1]);
            }
            kept += u32::from(!straights.places.is_empty());
        }
        assert!(kept < 2_000, "{kept}");
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
    fn keys_that_are_numbered_have_places_of_their_own() {
        let places: std::collections::BTreeSet<usize> = (0..16)
            .map(|number| place(format!("\0\x09key-{number:05}").as_bytes()))
            .collect();
        assert!(places.len() >= 12, "{places:?}");
    }
}
