//! The store's own numbers, the first entry of every batch.
//!
//! ```text
//! key      00
//! payload  group u64, synced u64, next record u64
//! version  1
//! ```
//!
//! *group* numbers the batches 1, 2, 3 …; *synced* is the newest group that was known to be on the disk when this one was
//! written. With these the journal itself tells whether a damaged part of it was ever promised to anyone.

use super::envelope;

const VERSION: u8 = 1;
/// The key.
pub(in crate::disk) const KEY: [u8; 1] = [0x00];

/// The numbers as of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::disk) struct Counters {
    /// The number of the group.
    pub(in crate::disk) group: u64,
    /// The newest group on the disk.
    pub(in crate::disk) synced: u64,
    /// An id above every record's that was ever stored.
    pub(in crate::disk) next_record: u64,
}

impl Counters {
    /// The value.
    pub(in crate::disk) fn encode(self) -> Vec<u8> {
        let numbers = [self.group, self.synced, self.next_record].map(u64::to_be_bytes);
        envelope::seal(VERSION, &KEY, numbers.as_flattened())
    }

    /// Reads a value, or says what is wrong with it.
    pub(in crate::disk) fn decode(value: &[u8]) -> Result<Self, String> {
        let payload = envelope::open(VERSION, &KEY, value)?;
        let numbers: [u8; 24] = payload
            .try_into()
            .map_err(|_| "its entry has a wrong length")?;
        match numbers.as_chunks::<8>().0 {
            [group, synced, next_record] => Ok(Self {
                group: u64::from_be_bytes(*group),
                synced: u64::from_be_bytes(*synced),
                next_record: u64::from_be_bytes(*next_record),
            }),
            _ => Err("its entry has a wrong length".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_round_trip() {
        arbtest::arbtest(|u| {
            let counters = Counters {
                group: u.arbitrary()?,
                synced: u.arbitrary()?,
                next_record: u.arbitrary()?,
            };
            assert_eq!(Counters::decode(&counters.encode()), Ok(counters));
            Ok(())
        });
    }
}
