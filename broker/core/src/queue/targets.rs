//! The targets of the messages in one block, each of them once.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Targets above this number are found through a map.
const SEARCHED: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Targets {
    list: Vec<Box<[u8]>>,
    numbers: HashMap<Box<[u8]>, u16, FixedState>,
    last: u16,
}

/// The target of the last of several messages, and its number in the one block that they go into. Messages that repeat each other share one slice,
/// which is known again without looking into it.
#[derive(Debug, Default)]
pub(super) struct KnownTarget<'m>(Option<(&'m [u8], u16)>);

impl Targets {
    /// Whether there is no number for another one.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= usize::from(u16::MAX)
    }

    #[inline]
    pub(super) fn get(&self, number: u16) -> Option<&[u8]> {
        self.list.get(usize::from(number)).map(|target| &**target)
    }

    /// A target's number, a new one if need be, which there is as long as they are not [full](Self::is_full).
    pub(super) fn number_of(&mut self, target: &[u8]) -> u16 {
        if let Some(last) = self.list.get(usize::from(self.last))
            && **last == *target
        {
            return self.last;
        }
        let known = if self.list.len() <= SEARCHED {
            self.list
                .iter()
                .position(|known| **known == *target)
                .and_then(|index| u16::try_from(index).ok())
        } else {
            self.numbers.get(target).copied()
        };
        self.last = known.unwrap_or_else(|| self.add(target));
        self.last
    }

    /// As [`Targets::number_of`], for one of several messages of which many have the same target.
    #[inline]
    pub(super) fn number_of_next<'m>(
        &mut self,
        target: &'m [u8],
        known: &mut KnownTarget<'m>,
    ) -> u16 {
        let same = known.0.filter(|(known, _)| std::ptr::eq(*known, target));
        let next = same.unwrap_or_else(|| (target, self.number_of(target)));
        known.0 = Some(next);
        next.1
    }

    fn add(&mut self, target: &[u8]) -> u16 {
        let number = u16::try_from(self.list.len()).unwrap_or(u16::MAX);
        self.list.push(target.into());
        if self.list.len() == SEARCHED + 1 {
            self.numbers = self.list.iter().cloned().zip(0..).collect();
        } else if self.list.len() > SEARCHED {
            self.numbers.insert(target.into(), number);
        }
        number
    }

    /// Forgets them if they are many; few may come again.
    pub(super) fn trim(&mut self) {
        if self.list.len() > SEARCHED {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_keeps_its_number() {
        let mut targets = Targets::default();
        let all: Vec<[u8; 2]> = (0..200u8).map(|n| [n, n]).collect();
        for _ in 0..3 {
            for (number, target) in (0..).zip(&all) {
                assert_eq!(targets.number_of(target), number);
                assert_eq!(targets.get(number), Some(&target[..]));
            }
        }
        assert_eq!(targets.get(200), None);
        targets.trim();
        assert_eq!(targets.get(0), None);
        assert_eq!(targets.number_of(b"xy"), 0);
        targets.trim();
        assert_eq!(targets.get(0), Some(&b"xy"[..]), "one is not many");
    }

    #[test]
    fn the_next_one_has_the_number_that_it_would_have_alone() {
        let mut targets = Targets::default();
        let mut known = KnownTarget::default();
        let (one, other, one_again) = (*b"one", *b"other", *b"one");
        for (target, number) in [
            (&one[..], 0),
            (&one, 0),
            (&other, 1),
            (&one_again, 0),
            (&other, 1),
        ] {
            assert_eq!(targets.number_of_next(target, &mut known), number);
        }
    }
}
