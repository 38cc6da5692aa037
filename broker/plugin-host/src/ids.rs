//! The binding ids that an instance may name in its answers.

/// Numbers that are mostly dense: one bit each, from the first one on. Whoever binds and unbinds without an end moves the first one up, and
/// if an old binding keeps it down, the numbers are searched instead.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    sorted: Vec<u32>,
    first: u32,
    bits: Vec<u64>,
}

/// Words of bits for each number, at most, before they are searched instead.
const WORDS_PER_ID: usize = 4;

/// Words that no one minds.
const WORDS_FREE: usize = 64;

impl Ids {
    /// All of them, in order.
    pub(crate) fn sorted(&self) -> &[u32] {
        &self.sorted
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Changes what is there. What is to be removed is in order.
    pub(crate) fn change(&mut self, add: impl Iterator<Item = u32>, remove: &[u32]) {
        if !remove.is_empty() {
            self.sorted.retain(|id| remove.binary_search(id).is_err());
        }
        self.sorted.extend(add);
        self.sorted.sort_unstable();
        self.first = self.sorted.first().copied().unwrap_or(0);
        let last = self.sorted.last();
        let words = last.map_or(0, |last| (last - self.first) as usize / 64 + 1);
        self.bits.clear();
        if words > WORDS_FREE + WORDS_PER_ID * self.sorted.len() {
            return;
        }
        self.bits.resize(words, 0);
        for id in &self.sorted {
            let offset = (id - self.first) as usize;
            if let Some(word) = self.bits.get_mut(offset / 64) {
                *word |= 1 << (offset % 64);
            }
        }
    }

    #[inline]
    pub(crate) fn contains(&self, id: u32) -> bool {
        if self.bits.is_empty() {
            return self.sorted.binary_search(&id).is_ok();
        }
        let offset = id.wrapping_sub(self.first) as usize;
        self.bits
            .get(offset / 64)
            .is_some_and(|word| word >> (offset % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn exactly_what_is_there_is_found() {
        arbtest::arbtest(|u| {
            let mut ids = Ids::default();
            let mut there = std::collections::BTreeSet::new();
            let sparse: bool = u.arbitrary()?;
            for _ in 0..u.int_in_range(1..=8)? {
                let mut add: Vec<u32> = u.arbitrary()?;
                if !sparse {
                    add = add.into_iter().map(|id| id % 1000).collect();
                }
                let remove: Vec<u32> = there.iter().copied().filter(|id| id % 3 == 1).collect();
                there.retain(|id| id % 3 != 1);
                add.retain(|id| there.insert(*id));
                ids.change(add.into_iter(), &remove);
                assert!(ids.sorted().iter().eq(&there));
                for id in there
                    .iter()
                    .flat_map(|id| [id.wrapping_sub(1), *id, id.wrapping_add(1)])
                {
                    assert_eq!(ids.contains(id), there.contains(&id), "{id}");
                }
            }
            Ok(())
        });
    }

    #[test]
    fn an_old_binding_among_new_ones_does_not_cost_memory() {
        let mut ids = Ids::default();
        ids.change([1, 4_000_000_000].into_iter(), &[]);
        assert!(ids.bits.is_empty());
        assert!(ids.contains(1) && ids.contains(4_000_000_000) && !ids.contains(2));
    }
}
