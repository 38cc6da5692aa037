//! A record's data.
//!
//! ```text
//! key    record id u64
//! value  the data as the core gave it; version and checksum are in the record's index entry
//! ```
//!
//! Ids rise with the order of the commits, and a checkpoint lets nothing wait that belongs here, so that tables do not overlap and old ones can
//! be dropped whole.
//! A checkpoint also writes a marker: the key of the newest record and `FF`, which sorts behind that record and before the next.

use amphora_core::store::RecordId;

/// The record's key.
pub(in crate::disk) fn key(id: RecordId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// The key of the marker behind all records with ids below `next`.
pub(in crate::disk) fn marker_key(next: u64) -> Vec<u8> {
    let mut key = next.saturating_sub(1).to_be_bytes().to_vec();
    key.push(0xFF);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_id_and_markers_between() {
        arbtest::arbtest(|u| {
            let (a, b): (u64, u64) = u.arbitrary()?;
            assert_eq!(a.cmp(&b), key(RecordId(a)).cmp(&key(RecordId(b))));
            if a > 0 {
                assert!(key(RecordId(a - 1)).as_slice() < marker_key(a).as_slice());
                assert!(marker_key(a).as_slice() < key(RecordId(a)).as_slice());
            }
            Ok(())
        });
    }
}
