//! Where a queue's messages are: one entry per record.
//!
//! ```text
//! key      queue u32, first position u64, record id u64
//! payload  flags u8 (1 = transient), last position u64, count u32, bytes u32, XXH3 of the data u64;
//!          only in version 2: the record of shared bodies u64, bytes of those that this record refers to u32
//! version  1, or 2 if the record refers to shared bodies: the data stands under its id in `seg` as it is
//! ```

use amphora_core::store::{BodiesRef, QueueId, RecordId, RecordRef};

use super::{envelope, take};

const VERSION: u8 = 1;
const VERSION_WITH_BODIES: u8 = 2;
const TRANSIENT: u8 = 1;
const KEY_BYTES: usize = 20;
const PAYLOAD_BYTES: usize = 25;
const BODIES_BYTES: usize = 12;

/// A record, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::disk) struct IndexEntry {
    pub(in crate::disk) queue: QueueId,
    pub(in crate::disk) record: RecordRef,
}

/// The record's key.
pub(in crate::disk) fn key(queue: QueueId, record: &RecordRef) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let (of_queue, rest) = key.split_at_mut(size_of::<u32>());
    let (of_first, of_id) = rest.split_at_mut(size_of::<u64>());
    of_queue.copy_from_slice(&queue.0.to_be_bytes());
    of_first.copy_from_slice(&record.first.to_be_bytes());
    of_id.copy_from_slice(&record.id.0.to_be_bytes());
    key
}

/// The record's value.
pub(in crate::disk) fn encode(queue: QueueId, record: &RecordRef, data_checksum: u64) -> Vec<u8> {
    let mut payload = Vec::with_capacity(PAYLOAD_BYTES + BODIES_BYTES);
    write_payload(&mut payload, record, data_checksum);
    envelope::seal(version(record), &key(queue, record), &payload)
}

/// Version and payload, for a value that holds more than this.
pub(super) fn write_extent(to: &mut Vec<u8>, record: &RecordRef, data_checksum: u64) {
    to.push(version(record));
    write_payload(to, record, data_checksum);
}

fn version(record: &RecordRef) -> u8 {
    if record.bodies.is_some() {
        VERSION_WITH_BODIES
    } else {
        VERSION
    }
}

fn write_payload(to: &mut Vec<u8>, record: &RecordRef, data_checksum: u64) {
    to.push(if record.transient { TRANSIENT } else { 0 });
    to.extend_from_slice(&record.last.to_be_bytes());
    to.extend_from_slice(&record.count.to_be_bytes());
    to.extend_from_slice(&record.bytes.to_be_bytes());
    to.extend_from_slice(&data_checksum.to_be_bytes());
    if let Some(bodies) = record.bodies {
        to.extend_from_slice(&bodies.record.0.to_be_bytes());
        to.extend_from_slice(&bodies.bytes.to_be_bytes());
    }
}

/// Which queue and position a key speaks of, even if its value is damaged; `None` for what is no record's key.
pub(in crate::disk) fn decode_key(key: &[u8]) -> Option<(QueueId, u64, RecordId)> {
    let (queue, rest) = key.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let id = rest.try_into().ok()?;
    Some((
        QueueId(u32::from_be_bytes(*queue)),
        u64::from_be_bytes(*first),
        RecordId(u64::from_be_bytes(id)),
    ))
}

/// Reads an entry and the checksum of the record's data, or says what is wrong with it.
pub(in crate::disk) fn decode(key: &[u8], value: &[u8]) -> Result<(IndexEntry, u64), String> {
    let has_bodies = value.first() == Some(&VERSION_WITH_BODIES);
    let version = if has_bodies {
        VERSION_WITH_BODIES
    } else {
        VERSION
    };
    decode_key(key).ok_or("its key is malformed")?;
    let mut payload = envelope::open(version, key, value)?;
    read_payload(key, has_bodies, &mut payload)
        .filter(|_| payload.is_empty())
        .ok_or_else(|| "its entry has a wrong length".to_owned())
}

/// Reads what [`write_extent`] wrote of the record with this key: what it is, and its checksum.
pub(super) fn read_extent(key: &[u8; KEY_BYTES], from: &mut &[u8]) -> Option<(IndexEntry, u64)> {
    let [version] = *take(from)?;
    match version {
        VERSION => read_payload(key, false, from),
        VERSION_WITH_BODIES => read_payload(key, true, from),
        _ => None,
    }
}

fn read_payload(key: &[u8], has_bodies: bool, from: &mut &[u8]) -> Option<(IndexEntry, u64)> {
    let (queue, first, id) = decode_key(key)?;
    let [flags] = *take(from)?;
    let last = u64::from_be_bytes(*take(from)?);
    let count = u32::from_be_bytes(*take(from)?);
    let bytes = u32::from_be_bytes(*take(from)?);
    let data_checksum = u64::from_be_bytes(*take(from)?);
    let bodies = if has_bodies {
        Some(BodiesRef {
            record: RecordId(u64::from_be_bytes(*take(from)?)),
            bytes: u32::from_be_bytes(*take(from)?),
        })
    } else {
        None
    };
    let record = RecordRef {
        id,
        first,
        last,
        count,
        bytes,
        transient: flags & TRANSIENT != 0,
        bodies,
    };
    Some((IndexEntry { queue, record }, data_checksum))
}

#[cfg(test)]
pub(super) mod tests {
    use arbtest::arbitrary::{Result, Unstructured};

    use super::*;

    pub(in crate::disk::layout) fn any_entry(u: &mut Unstructured<'_>) -> Result<IndexEntry> {
        Ok(IndexEntry {
            queue: QueueId(u.arbitrary()?),
            record: RecordRef {
                id: RecordId(u.arbitrary()?),
                first: u.arbitrary()?,
                last: u.arbitrary()?,
                count: u.arbitrary()?,
                bytes: u.arbitrary()?,
                transient: u.arbitrary()?,
                bodies: u.arbitrary::<Option<(u64, u32)>>()?.map(|(record, bytes)| {
                    let record = RecordId(record);
                    BodiesRef { record, bytes }
                }),
            },
        })
    }

    #[test]
    fn entries_round_trip_and_sort_by_queue_and_position() {
        arbtest::arbtest(|u| {
            let entry = any_entry(u)?;
            let (queue, record) = (entry.queue, entry.record);
            let key_bytes = key(queue, &record);
            let data_checksum = u.arbitrary()?;
            let value = encode(queue, &record, data_checksum);
            assert_eq!(decode(&key_bytes, &value), Ok((entry, data_checksum)));

            let other = any_entry(u)?;
            let (other_queue, other) = (other.queue, other.record);
            assert_eq!(
                (queue, record.first, record.id).cmp(&(other_queue, other.first, other.id)),
                key_bytes.cmp(&key(other_queue, &other))
            );
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
        assert_eq!(
            key(QueueId(5), &record),
            *b"\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03"
        );
        assert_eq!(
            encode(QueueId(5), &record, 4),
            b"\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\x04\xb3\x98\xbd\x3f\x41\x3c\x07\xc7"
        );
        let with_bodies = RecordRef {
            bodies: Some(BodiesRef {
                record: RecordId(6),
                bytes: 7,
            }),
            ..record
        };
        let value = encode(QueueId(5), &with_bodies, 4);
        let payload = &value[..value.len() - 8];
        assert_eq!(
            payload,
            b"\x02\x01\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x06\0\0\0\x07"
        );
    }
}
