//! The destinations that one lookup of an exchange leads to.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

/// Where a binding leads: the slot of a queue or of an exchange in the topology's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    Queue(u32),
    Exchange(u32),
}

/// A place in a table, in the width in which it is kept: four thousand million of anything do not fit in memory.
pub(crate) fn slot(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Above this many destinations their places are indexed, so that a removal need not search.
const UNINDEXED_MAX: usize = 32;

/// Destinations of one message of which no more are held than there are, and as many again.
const MATCHED_LONG: usize = 16 << 10;

type Places = HashMap<Target, usize, RandomState>;

/// A bag of destinations: each is held once, with the number of bindings that lead to it.
///
/// Adding and removing take constant time, also for a fanout to 100,000 queues that go away one by one.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    entries: SmallVec<[(Target, u32); 1]>,
    places: Option<Box<Places>>,
}

impl Targets {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Counts one more binding to the destination.
    pub(crate) fn add(&mut self, target: Target) {
        let place = self.place(target);
        if let Some((_, bindings)) = place.and_then(|place| self.entries.get_mut(place)) {
            *bindings += 1;
            return;
        }
        let place = self.entries.len();
        self.entries.push((target, 1));
        if let Some(places) = &mut self.places {
            places.insert(target, place);
        } else if self.entries.len() > UNINDEXED_MAX {
            let places = self
                .entries
                .iter()
                .enumerate()
                .map(|(place, (target, _))| (*target, place));
            self.places = Some(Box::new(places.collect()));
        }
    }

    /// Counts one binding to the destination less; the destination goes with its last.
    pub(crate) fn remove(&mut self, target: Target) {
        let Some(place) = self.place(target) else {
            return;
        };
        let Some((_, bindings)) = self.entries.get_mut(place) else {
            return;
        };
        *bindings -= 1;
        if *bindings > 0 {
            return;
        }
        self.entries.swap_remove(place);
        if let Some(places) = &mut self.places {
            places.remove(&target);
            if let Some((moved, _)) = self.entries.get(place) {
                places.insert(*moved, place);
            }
        }
    }

    /// Appends each destination once. A list that has grown long loses what it holds repeatedly before it grows further: a message may have
    /// thousands of routing keys or headers that each lead to the same thousands of queues.
    pub(crate) fn append_to(&self, matched: &mut Vec<Target>) {
        if matched.len() > MATCHED_LONG && matched.capacity() - matched.len() < self.entries.len() {
            matched.sort_unstable();
            matched.dedup();
        }
        matched.extend(self.entries.iter().map(|(target, _)| *target));
    }

    fn place(&self, target: Target) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&target).copied(),
            None => self.entries.iter().position(|(held, _)| *held == target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, Targets};

    fn slots(targets: &Targets) -> Vec<Target> {
        let mut slots = Vec::new();
        targets.append_to(&mut slots);
        slots.sort_by_key(|target| match target {
            Target::Queue(slot) => (0, *slot),
            Target::Exchange(slot) => (1, *slot),
        });
        slots
    }

    #[test]
    fn a_destination_stays_until_its_last_binding_goes() {
        let mut targets = Targets::default();
        targets.add(Target::Queue(1));
        targets.add(Target::Exchange(1));
        targets.add(Target::Queue(1));
        targets.remove(Target::Queue(1));
        assert_eq!(slots(&targets), [Target::Queue(1), Target::Exchange(1)]);
        targets.remove(Target::Queue(1));
        assert_eq!(slots(&targets), [Target::Exchange(1)]);
        targets.remove(Target::Queue(1));
        targets.remove(Target::Exchange(1));
        assert!(targets.is_empty());
    }

    #[test]
    fn what_matches_repeatedly_does_not_pile_up() {
        let mut targets = Targets::default();
        for slot in 0..10_000 {
            targets.add(Target::Queue(slot));
        }
        let mut matched = Vec::new();
        for _ in 0..1000 {
            targets.append_to(&mut matched);
        }
        assert!(matched.capacity() < 100_000, "{}", matched.capacity());
        matched.sort_unstable();
        matched.dedup();
        assert_eq!(matched, slots(&targets));
    }

    /// Random additions and removals, held against a plain list: below and above the size from which places are indexed.
    #[test]
    fn agrees_with_a_list() {
        arbtest::arbtest(|u| {
            let mut targets = Targets::default();
            let mut list = Vec::new();
            for _ in 0..u.int_in_range(0..=400)? {
                let target = Target::Queue(u.int_in_range(0..=60)?);
                if u.ratio(3, 5)? {
                    targets.add(target);
                    list.push(target);
                } else {
                    targets.remove(target);
                    if let Some(place) = list.iter().position(|held| *held == target) {
                        list.swap_remove(place);
                    }
                }
            }
            let mut expected = list;
            expected.sort_by_key(|target| match target {
                Target::Queue(slot) | Target::Exchange(slot) => *slot,
            });
            expected.dedup();
            assert_eq!(slots(&targets), expected);
            Ok(())
        });
    }
}
