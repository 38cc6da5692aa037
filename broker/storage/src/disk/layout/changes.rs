//! What a group changed of records and settlements, until it stands where it belongs.
//!
//! ```text
//! key      02, group u64
//! payload  changes, one after the other:
//!          01, queue u32, first position u64, record id u64, extent as in `idx`      a record was appended, its data are in `seg`
//!          05, the same, length u32, data                                           a record was appended; the checksum in its extent is not
//!                                                                                   read: it is 0, or the data's in directories of format 2
//!          02, record id u64                                                        a record was removed
//!          03, queue u32, part u64, length u32, the core's bytes                    a part of a settlement was set
//!          04, queue u32, part u64                                                  a part was forgotten
//! version  1
//! ```

use amphora_core::store::{Part, QueueId, RecordId};
use bytes::Bytes;

use super::index::{self, IndexEntry};
use super::{envelope, take};
use crate::kept;

const VERSION: u8 = 1;
/// What all these keys begin with.
pub(in crate::disk) const PREFIX: [u8; 1] = [0x02];

const APPENDED: u8 = 1;
const REMOVED: u8 = 2;
const SETTLED: u8 = 3;
const FORGOTTEN: u8 = 4;
const HELD: u8 = 5;

/// What a record that was appended takes at most, beside its data: its kind, its key, its extent with shared bodies, and a length.
const APPENDED_BYTES: usize = 1 + 20 + 38 + 4;
const REMOVED_BYTES: usize = 1 + 8;
const SETTLED_BYTES: usize = 1 + 4 + 8 + 4;

/// Where the data of a record are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::disk) enum Data {
    /// Here; the checksum of the group's entry covers them.
    Held(Bytes),
    /// In `seg`, and have this checksum.
    Apart(u64),
}

impl Data {
    /// How many bytes are here.
    pub(in crate::disk) fn held_bytes(&self) -> usize {
        match self {
            Self::Held(data) => data.len(),
            Self::Apart(_) => 0,
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::disk) enum Change {
    Appended(IndexEntry, Data),
    Removed(RecordId),
    /// `None` for forgotten.
    Settled(QueueId, Part, Option<Bytes>),
}

impl Change {
    /// How many bytes of a record or a settlement it holds.
    pub(in crate::disk) fn data_bytes(&self) -> usize {
        match self {
            Self::Appended(_, data) => data.held_bytes(),
            Self::Settled(_, _, data) => data.as_ref().map_or(0, Bytes::len),
            Self::Removed(_) => 0,
        }
    }

    /// How many bytes of an entry it takes, at most.
    fn bytes_max(&self) -> usize {
        let beside_data = match self {
            Self::Appended(..) => APPENDED_BYTES,
            Self::Removed(_) => REMOVED_BYTES,
            Self::Settled(..) => SETTLED_BYTES,
        };
        beside_data + self.data_bytes()
    }

    /// The same, to be stored as it is.
    pub(in crate::disk) fn kept(&self) -> Self {
        match self {
            Self::Appended(entry, Data::Held(data)) => {
                Self::Appended(entry.clone(), Data::Held(kept(data)))
            }
            other => other.clone(),
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

/// The value under a group's key. From then on the changes hold the data of records as parts of it: the database keeps it in memory for as
/// long as they are recent, as both end with a checkpoint at the latest.
pub(in crate::disk) fn encode(key: &[u8], changes: &mut [Change]) -> Bytes {
    // What is reserved beyond need is kept as long as the rest.
    let bytes_max = changes.iter().map(Change::bytes_max).sum();
    let mut value = envelope::begin(VERSION, bytes_max);
    let mut held = Vec::with_capacity(changes.len());
    for change in &*changes {
        match change {
            Change::Appended(entry, data) => {
                let (kind, checksum) = match data {
                    Data::Held(_) => (HELD, 0),
                    Data::Apart(checksum) => (APPENDED, *checksum),
                };
                value.push(kind);
                value.extend_from_slice(&index::key(entry.queue, &entry.record));
                index::write_extent(&mut value, &entry.record, checksum);
                if let Data::Held(data) = data {
                    write_bytes(&mut value, data);
                    held.push(value.len() - data.len()..value.len());
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
    let value = Bytes::from(envelope::end(key, value));
    let data = changes.iter_mut().filter_map(|change| match change {
        Change::Appended(_, Data::Held(data)) => Some(data),
        _ => None,
    });
    for (data, place) in data.zip(held) {
        *data = value.slice(place);
    }
    value
}

/// The changes in their order, or what is wrong with them. They are copied: nothing else keeps the value in memory here.
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
            let (entry, checksum) = index::read_extent(key, payload)?;
            let data = if kind == HELD {
                Data::Held(read_bytes(payload)?)
            } else {
                Data::Apart(checksum)
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
                let data = match u.arbitrary::<Option<Vec<u8>>>()? {
                    Some(data) => Data::Held(data.into()),
                    None => Data::Apart(u.arbitrary()?),
                };
                Change::Appended(entry, data)
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
            let before = changes.clone();
            let value = encode(&key, &mut changes);
            assert_eq!(changes, before);
            let bytes_max: usize = changes.iter().map(Change::bytes_max).sum();
            assert!(value.len() - envelope::seal(VERSION, &key, &[]).len() <= bytes_max);
            let memory = value.as_ptr_range();
            // The database takes it as it is, or all of it would be in memory twice.
            let stored = fjall::Slice::from(value.clone());
            assert_eq!(stored.as_ptr(), value.as_ptr());
            for change in &changes {
                if let Change::Appended(_, Data::Held(data)) = change
                    && !data.is_empty()
                {
                    assert!(memory.contains(&data.as_ptr()), "{data:?} is a copy");
                }
            }
            assert_eq!(decode(&key, &value), Ok(changes));
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
        };
        let mut changes = [
            Change::Appended(entry.clone(), Data::Apart(4)),
            Change::Appended(entry, Data::Held(Bytes::from_static(b"cd"))),
            Change::Removed(RecordId(6)),
            Change::Settled(QueueId(7), Part(8), Some(Bytes::from_static(b"ab"))),
            Change::Settled(QueueId(9), Part::WHOLE, None),
        ];
        let key = key(10);
        assert_eq!(key, b"\x02\0\0\0\0\0\0\0\x0a");
        let value = encode(&key, &mut changes);
        let payload = &value[..value.len() - 8];
        let expected: &[&[u8]] = &[
            b"\x01",
            b"\x01\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03",
            b"\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\x04",
            b"\x05\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03",
            b"\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\0",
            b"\0\0\0\x02cd",
            b"\x02\0\0\0\0\0\0\0\x06",
            b"\x03\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\x02ab",
            b"\x04\0\0\0\x09\0\0\0\0\0\0\0\0",
        ];
        assert_eq!(payload, expected.concat());
    }

    #[test]
    fn the_checksum_of_held_data_is_not_read() {
        let payload: &[&[u8]] = &[
            b"\x05\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03",
            b"\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0\x02\0\0\0\0\0\0\0\x04",
            b"\0\0\0\x02cd",
        ];
        let key = key(1);
        let value = envelope::seal(VERSION, &key, &payload.concat());
        let changes = decode(&key, &value).expect("as format 2 has it");
        let [Change::Appended(_, data)] = &*changes else {
            panic!("{changes:?}");
        };
        assert_eq!(*data, Data::Held(Bytes::from_static(b"cd")));
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
