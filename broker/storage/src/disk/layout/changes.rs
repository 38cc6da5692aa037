//! What a group changed of records and settlements, until it stands where it belongs.
//!
//! ```text
//! key      02, group u64
//! payload  changes, one after the other:
//!          01, queue u32, first position u64, record id u64, extent as in `idx`      a record was appended, its data are in `seg`
//!          05, the same, length u32, data                                           a record was appended
//!          02, record id u64                                                        a record was removed
//!          03, queue u32, part u64, length u32, the core's bytes                    a part of a settlement was set
//!          04, queue u32, part u64                                                  a part was forgotten
//! version  1
//! ```

use amphora_core::store::{Part, QueueId, RecordId};
use bytes::Bytes;

use super::index::{self, IndexEntry};
use super::{envelope, take};

const VERSION: u8 = 1;
/// What all these keys begin with.
pub(in crate::disk) const PREFIX: [u8; 1] = [0x02];

const APPENDED: u8 = 1;
const REMOVED: u8 = 2;
const SETTLED: u8 = 3;
const FORGOTTEN: u8 = 4;
const HELD: u8 = 5;

/// What most changes take, about.
const CHANGE_BYTES: usize = 64;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::disk) enum Change {
    /// With its data, if they are not in `seg`.
    Appended(IndexEntry, Option<Bytes>),
    Removed(RecordId),
    /// `None` for forgotten.
    Settled(QueueId, Part, Option<Bytes>),
}

impl Change {
    /// How many bytes of a record or a settlement it holds.
    pub(in crate::disk) fn data_bytes(&self) -> usize {
        match self {
            Self::Appended(_, data) | Self::Settled(_, _, data) => {
                data.as_ref().map_or(0, Bytes::len)
            }
            Self::Removed(_) => 0,
        }
    }
}

/// The key of a group's changes.
pub(in crate::disk) fn key(group: u64) -> Vec<u8> {
    [&PREFIX[..], &group.to_be_bytes()].concat()
}

/// The group of a key; `None` for what is no such key.
pub(in crate::disk) fn decode_key(key: &[u8]) -> Option<u64> {
    let group = key.strip_prefix(&PREFIX)?;
    Some(u64::from_be_bytes(group.try_into().ok()?))
}

/// The value under a group's key.
pub(in crate::disk) fn encode(key: &[u8], changes: &[Change]) -> Vec<u8> {
    let bytes = changes
        .iter()
        .map(|change| CHANGE_BYTES + change.data_bytes());
    let mut value = envelope::begin(VERSION, bytes.sum());
    for change in changes {
        match change {
            Change::Appended(entry, data) => {
                value.push(if data.is_some() { HELD } else { APPENDED });
                value.extend_from_slice(&index::key(entry.queue, &entry.record));
                index::write_extent(&mut value, &entry.record, entry.data_checksum);
                if let Some(data) = data {
                    write_bytes(&mut value, data);
                }
            }
            Change::Removed(id) => {
                value.push(REMOVED);
                value.extend_from_slice(&id.0.to_be_bytes());
            }
            Change::Settled(queue, part, data) => {
                value.push(if data.is_some() { SETTLED } else { FORGOTTEN });
                value.extend_from_slice(&queue.0.to_be_bytes());
                value.extend_from_slice(&part.0.to_be_bytes());
                if let Some(data) = data {
                    write_bytes(&mut value, data);
                }
            }
        }
    }
    envelope::end(key, value)
}

/// The changes in their order, or what is wrong with them. They are copied, for they are small and may live long.
pub(in crate::disk) fn decode(key: &[u8], value: &[u8]) -> Result<Vec<Change>, String> {
    let mut payload = envelope::open(VERSION, key, value)?;
    let mut changes = Vec::new();
    while !payload.is_empty() {
        let change = read(&mut payload).ok_or("one of its changes is malformed")?;
        changes.push(change);
    }
    Ok(changes)
}

fn read(payload: &mut &[u8]) -> Option<Change> {
    let [kind] = *take(payload)?;
    match kind {
        APPENDED | HELD => {
            let key = take(payload)?;
            let entry = index::read_extent(key, payload)?;
            let data = if kind == HELD {
                Some(read_bytes(payload)?)
            } else {
                None
            };
            Some(Change::Appended(entry, data))
        }
        REMOVED => {
            let id = u64::from_be_bytes(*take(payload)?);
            Some(Change::Removed(RecordId(id)))
        }
        SETTLED | FORGOTTEN => {
            let queue = QueueId(u32::from_be_bytes(*take(payload)?));
            let part = Part(u64::from_be_bytes(*take(payload)?));
            let data = if kind == SETTLED {
                Some(read_bytes(payload)?)
            } else {
                None
            };
            Some(Change::Settled(queue, part, data))
        }
        _ => None,
    }
}

fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    // The database takes no longer values.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}

fn read_bytes(from: &mut &[u8]) -> Option<Bytes> {
    let length = u32::from_be_bytes(*take(from)?);
    let (bytes, rest) = from.split_at_checked(length.try_into().ok()?)?;
    *from = rest;
    Some(Bytes::copy_from_slice(bytes))
}

#[cfg(test)]
mod tests {
    use amphora_core::store::RecordRef;
    use arbtest::arbitrary::{Result, Unstructured};

    use super::*;
    use crate::disk::layout::index::tests::any_entry;

    fn any(u: &mut Unstructured<'_>) -> Result<Change> {
        Ok(match u.int_in_range(0..=2)? {
            0 => {
                let entry = any_entry(u)?;
                let data = u.arbitrary::<Option<Vec<u8>>>()?;
                Change::Appended(entry, data.map(Bytes::from))
            }
            1 => Change::Removed(RecordId(u.arbitrary()?)),
            _ => {
                let data = u.arbitrary::<Option<Vec<u8>>>()?.map(Bytes::from);
                Change::Settled(QueueId(u.arbitrary()?), Part(u.arbitrary()?), data)
            }
        })
    }

    #[test]
    fn changes_round_trip() {
        arbtest::arbtest(|u| {
            let group = u.arbitrary()?;
            let mut changes = Vec::new();
            while !u.is_empty() {
                changes.push(any(u)?);
            }
            let key = key(group);
            assert_eq!(decode_key(&key), Some(group));
            assert_eq!(decode(&key, &encode(&key, &changes)), Ok(changes));
            Ok(())
        });
    }

    #[test]
    fn the_layout_is_this() {
        let record = RecordRef {
            id: RecordId(3),
            first: 1,
            last: 2,
            count: 2,
            bytes: 9,
            transient: true,
            bodies: None,
        };
        let entry = IndexEntry {
            queue: QueueId(5),
            record,
            data_checksum: 4,
        };
        let changes = [
            Change::Appended(entry.clone(), None),
            Change::Appended(entry, Some(Bytes::from_static(b"cd"))),
            Change::Removed(RecordId(6)),
            Change::Settled(QueueId(7), Part(8), Some(Bytes::from_static(b"ab"))),
            Change::Settled(QueueId(9), Part::WHOLE, None),
        ];
        let key = key(10);
        assert_eq!(key, b"\x02\0\0\0\0\0\0\0\x0a");
        let value = encode(&key, &changes);
        let payload = &value[..value.len() - 8];
        let expected: &[&[u8]] = &[
            b"\x01",
            b"\x01\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03",
            b"\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\x04",
            b"\x05\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03",
            b"\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\x04",
            b"\0\0\0\x02cd",
            b"\x02\0\0\0\0\0\0\0\x06",
            b"\x03\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\x02ab",
            b"\x04\0\0\0\x09\0\0\0\0\0\0\0\0",
        ];
        assert_eq!(payload, expected.concat());
    }

    #[test]
    fn what_is_cut_or_unknown_is_refused() {
        let key = key(1);
        for payload in [
            &b"\x06"[..],
            b"\x02\0",
            b"\x01\0\0\0\x05",
            b"\x03\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\x03ab",
        ] {
            let value = envelope::seal(VERSION, &key, payload);
            assert_eq!(
                decode(&key, &value),
                Err("one of its changes is malformed".to_owned())
            );
        }
    }
}
