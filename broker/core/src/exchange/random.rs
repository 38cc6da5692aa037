//! The random exchanges (`x-random`, `x-local-random`): one binding, each with the same chance.
//!
//! The core draws no lots of its own: the exchange counts its messages, and a mixed counter is as good. No two messages of one exchange have the
//! same number, whoever publishes them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::stable_hash::mix;
use super::targets::Target;

/// The bindings of a random exchange. A publish costs one step, however many there are; unbinding costs one step per binding.
#[derive(Debug, Default)]
pub(crate) struct Random {
    /// A destination that is bound several times is there as often.
    targets: Vec<Target>,
    drawn: AtomicU64,
}

impl Random {
    pub(crate) fn bind(&mut self, target: Target) {
        self.targets.push(target);
    }

    pub(crate) fn unbind(&mut self, target: Target) {
        if let Some(place) = self.targets.iter().position(|held| *held == target) {
            self.targets.swap_remove(place);
        }
    }

    /// Appends all destinations among which lots are drawn.
    pub(crate) fn candidates(&self, matched: &mut Vec<Target>) {
        matched.extend(&self.targets);
    }

    pub(crate) fn route(&self, matched: &mut Vec<Target>) {
        let count = self.targets.len() as u64;
        let place = match count {
            0 => return,
            1 => 0,
            count => mix(self.drawn.fetch_add(1, Ordering::Relaxed)) % count,
        };
        let place = usize::try_from(place).unwrap_or(0);
        matched.extend(self.targets.get(place));
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, Target};

    #[test]
    fn every_binding_has_the_same_chance() {
        let mut random = Random::default();
        let mut matched = Vec::new();
        random.route(&mut matched);
        assert!(matched.is_empty());
        for slot in [1, 2, 2, 3] {
            random.bind(Target::Queue(slot));
        }
        for _ in 0..40_000 {
            random.route(&mut matched);
        }
        assert_eq!(matched.len(), 40_000);
        for (slot, expected) in [(1, 10_000), (2, 20_000), (3, 10_000)] {
            let drawn = matched.iter().filter(|held| **held == Target::Queue(slot));
            let drawn = i64::try_from(drawn.count()).expect("few");
            assert!(
                (drawn - expected).abs() < 500,
                "{slot} was drawn {drawn} times"
            );
        }
        random.unbind(Target::Queue(1));
        random.unbind(Target::Queue(2));
        random.unbind(Target::Queue(3));
        matched.clear();
        random.route(&mut matched);
        assert_eq!(matched, [Target::Queue(2)]);
    }
}
