//! Pure answers of a plugin, by what it saw of the message: worth their memory only where messages look the same to it again.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::Slots;

/// Bytes that the answers for one exchange take at most, on each connection.
const BYTES_MAX: usize = 256 << 10;
/// What an answer takes beside what the plugin saw, roughly.
const OVERHEAD: usize = 64;
/// What the plugin saw of one message is not kept if it is longer.
const SEEN_MAX: usize = 1024;

/// Hits for each answer that was kept, below which keeping them is in vain: one for so many.
const KEPT_FOR_HIT: usize = 8;
/// Answers that are not kept then, for each that was, before it is tried again.
const PAUSE: usize = 16;

/// The destinations of messages that a plugin saw so.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: HashMap<Box<[u8]>, Slots, FixedState>,
    bytes: usize,
    hits: usize,
    /// So many answers are not kept, because those before were in vain.
    pause: usize,
}

impl Answers {
    /// Nothing is known.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Where a message goes that the plugin sees so, if that is known.
    #[inline]
    pub(super) fn find(&mut self, seen: &[u8]) -> Option<&Slots> {
        let found = self.known.get(seen);
        self.hits += usize::from(found.is_some());
        found
    }

    /// Remembers an answer, unless that is in vain.
    pub(super) fn keep(&mut self, seen: &[u8], slots: &Slots) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let bytes = seen.len() + std::mem::size_of_val(slots.as_slice()) + OVERHEAD;
        if seen.len() > SEEN_MAX || bytes > BYTES_MAX {
            return;
        }
        if self.bytes + bytes > BYTES_MAX {
            let kept = self.known.len();
            let in_vain = self.hits < kept / KEPT_FOR_HIT;
            self.clear();
            if in_vain {
                self.pause = kept * PAUSE;
                return;
            }
        }
        if self.known.insert(seen.into(), slots.clone()).is_none() {
            self.bytes += bytes;
        }
    }

    /// Forgets all answers, and gives their memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(number: u32) -> Vec<u8> {
        let mut seen = number.to_be_bytes().to_vec();
        seen.resize(1000, 0);
        seen
    }

    fn slots(number: u32) -> Slots {
        Slots::from_slice(&[number])
    }

    #[test]
    fn answers_that_come_again_are_kept() {
        let mut answers = Answers::default();
        for turn in 0..3 {
            for number in 0..100 {
                let expected = (turn > 0).then(|| slots(number));
                assert_eq!(answers.find(&seen(number)), expected.as_ref());
                answers.keep(&seen(number), &slots(number));
            }
        }
        // Full of what is used, it begins anew, and keeps what comes then.
        for number in 100..1000 {
            answers.hits += 1;
            answers.keep(&seen(number), &slots(number));
            assert_eq!(answers.find(&seen(number)), Some(&slots(number)));
        }
    }

    #[test]
    fn what_never_comes_again_takes_little_memory_and_is_tried_seldom() {
        let mut answers = Answers::default();
        let mut kept = 0;
        for number in 0..100_000 {
            assert_eq!(answers.find(&seen(number)), None);
            answers.keep(&seen(number), &slots(number));
            kept += usize::from(answers.find(&seen(number)).is_some());
            // Only the test has asked for it.
            answers.hits = 0;
            assert!(answers.bytes <= BYTES_MAX, "{} bytes", answers.bytes);
        }
        assert!((1_000..10_000).contains(&kept), "{kept} were kept");
    }

    #[test]
    fn what_is_long_is_not_kept() {
        let mut answers = Answers::default();
        answers.keep(&[0; SEEN_MAX + 1], &slots(0));
        assert!(answers.is_empty());
    }
}
