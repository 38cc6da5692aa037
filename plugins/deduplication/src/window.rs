//! For how long, and for how many messages, something counts as seen.
//!
//! An identity is an entry of the store whose life is the window's time. If the window is also one of so many messages, a ring of as many entries
//! has the identities in the order in which they came, and a new one pushes out the one whose place it takes.

use amphora_sdk::kv;

/// How far back a duplicate is noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Milliseconds since the first one.
    pub(crate) time_ms: u64,
    /// Other messages since the first one. None for no limit but the time.
    pub(crate) count: Option<u32>,
}

/// Whether something was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    First,
    Again,
}

impl Window {
    /// Notes an identity. Of several instances that note the same one at the same time, one is told that it was the first.
    ///
    /// # Errors
    /// The store is full.
    pub(crate) fn see(self, place: &[u8], identity: &[u8]) -> Result<Seen, String> {
        let key = [b"i", identity].concat();
        if !kv::insert(&key, &[], Some(self.time_ms))? {
            return Ok(Seen::Again);
        }
        if let Some(count) = self.count
            && let Err(error) = self.push(place, &key, count)
        {
            // It would not be pushed out, and the publisher is told to try again.
            kv::remove(&key);
            return Err(error);
        }
        Ok(Seen::First)
    }

    fn push(self, place: &[u8], key: &[u8], count: u32) -> Result<(), String> {
        let number = kv::add(&[b"n", place].concat(), 1)?;
        kv::set(key, &number.to_le_bytes(), Some(self.time_ms))?;
        let slot = number.rem_euclid(count.into()).to_le_bytes();
        let slot = [b"r", place, slot.as_slice()].concat();
        let entry = [number.to_le_bytes().as_slice(), key].concat();
        let before = kv::set(&slot, &entry, Some(self.time_ms))?;
        if let Some(before) = before
            && let Some((number, key)) = before.split_at_checked(8)
            // If it expired and came again meanwhile, it has another number, and stays.
            && kv::get(key).as_deref() == Some(number)
        {
            kv::remove(key);
        }
        Ok(())
    }
}
