//! Which records exist, in a bit each.

use std::collections::BTreeMap;

use amphora_core::store::RecordId;

/// Ids per chunk.
const CHUNK_BITS: u64 = 4096;
const WORD_BITS: u64 = 64;
const WORDS: usize = (CHUNK_BITS / WORD_BITS) as usize;

/// The set of the stored records' ids.
///
/// It answers without the database whether a record is stored, and which is the oldest. Ids are dense, so a million records
/// take about 128 KiB; a lone record among removed ones takes half a KiB.
#[derive(Debug, Default)]
pub(super) struct LiveSet {
    /// Bitmaps by id / `CHUNK_BITS`, none of them empty.
    chunks: BTreeMap<u64, Box<[u64; WORDS]>>,
}

impl LiveSet {
    pub(super) fn insert(&mut self, id: RecordId) {
        let (chunk, word, bit) = place(id);
        let words = self
            .chunks
            .entry(chunk)
            .or_insert_with(|| Box::new([0; WORDS]));
        if let Some(word) = words.get_mut(word) {
            *word |= bit;
        }
    }

    pub(super) fn remove(&mut self, id: RecordId) {
        let (chunk, word, bit) = place(id);
        let Some(words) = self.chunks.get_mut(&chunk) else {
            return;
        };
        if let Some(word) = words.get_mut(word) {
            *word &= !bit;
        }
        if words.iter().all(|word| *word == 0) {
            self.chunks.remove(&chunk);
        }
    }

    pub(super) fn contains(&self, id: RecordId) -> bool {
        let (chunk, word, bit) = place(id);
        self.chunks
            .get(&chunk)
            .and_then(|words| words.get(word))
            .is_some_and(|word| word & bit != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The oldest record.
    pub(super) fn lowest(&self) -> Option<RecordId> {
        let (chunk, words) = self.chunks.first_key_value()?;
        let (index, word) = (0..).zip(words.iter()).find(|(_, word)| **word != 0)?;
        Some(RecordId(
            chunk * CHUNK_BITS + index * WORD_BITS + u64::from(word.trailing_zeros()),
        ))
    }
}

/// The chunk, the word in it and the bit in that.
fn place(id: RecordId) -> (u64, usize, u64) {
    let within = id.0 % CHUNK_BITS;
    let word = (within / WORD_BITS) as usize;
    (id.0 / CHUNK_BITS, word, 1 << (within % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_a_set() {
        arbtest::arbtest(|u| {
            let (mut set, mut model) = (LiveSet::default(), BTreeSet::new());
            while !u.is_empty() {
                // A few chunks, the last one at the end of the range.
                let id = RecordId(u.int_in_range(0..=3 * CHUNK_BITS)?.wrapping_sub(CHUNK_BITS));
                if u.arbitrary()? {
                    set.insert(id);
                    model.insert(id);
                } else {
                    set.remove(id);
                    model.remove(&id);
                }
                assert_eq!(set.contains(id), model.contains(&id));
                assert_eq!(set.lowest(), model.first().copied());
                assert_eq!(set.is_empty(), model.is_empty());
            }
            Ok(())
        });
    }
}
