//! Marks that forget everything in constant time.

/// Which slots were seen since the last [`Marks::begin`].
///
/// One `u32` per slot that was ever seen, kept from message to message: starting anew costs one increment.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    seen: Vec<u32>,
    round: u32,
}

impl Marks {
    /// Forgets all slots.
    pub(crate) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.fill(0);
            self.round = 1;
        }
    }

    /// Marks the slot, and tells whether this is its first time in this round.
    pub(crate) fn mark(&mut self, slot: u32) -> bool {
        let slot = slot as usize;
        if slot >= self.seen.len() {
            self.seen.resize((slot + 1).next_power_of_two(), 0);
        }
        match self.seen.get_mut(slot) {
            Some(seen) if *seen == self.round => false,
            Some(seen) => {
                *seen = self.round;
                true
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn a_round_knows_only_its_own_slots() {
        let mut marks = Marks::default();
        marks.begin();
        assert!(marks.mark(3));
        assert!(!marks.mark(3));
        assert!(marks.mark(100));
        marks.begin();
        assert!(marks.mark(3));
    }

    #[test]
    fn rounds_start_over_after_four_thousand_million() {
        let mut marks = Marks {
            seen: Vec::new(),
            round: u32::MAX - 1,
        };
        marks.begin();
        assert!(marks.mark(0));
        marks.begin();
        assert!(marks.mark(0));
        assert!(!marks.mark(0));
        assert!(marks.mark(1));
    }
}
