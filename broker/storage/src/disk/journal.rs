//! Reads the database's journal files to find where their good part ends.
//!
//! The database itself stops at a bad header and drops what follows, and refuses to open on a bad checksum, be it of a batch
//! that was never finished. Here both are told apart before it sees the files.
//!
//! ```text
//! batch  start, item*, end             numbers little-endian
//! start  01, items u32, sequence u64
//! item   02, type u8, compression u8, keyspace u64, key length u16, length u32, stored length u32, key, value
//! clear  04, keyspace u64              counts as an item
//! end    03, XXH3 of the items u64, "FJL" 03
//! ```
//!
//! Files are preallocated: zeros up to the end are no damage.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::layout::counters::{self, Counters};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8; 4] = b"FJL\x03";
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// What one journal file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Where the last good batch ends.
    pub(super) end: u64,
    /// The last good batch's group, if there is one.
    pub(super) last_group: Option<u64>,
    /// What comes behind.
    pub(super) rest: Rest,
}

/// What comes behind the last good batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes that are no batch, and no batch behind them.
    Torn,
    /// Bytes that are no batch, and behind them good ones. They know that all groups up to `synced` were on the disk.
    Damaged { synced: u64 },
    /// A good batch of a group above the limit.
    AboveLimit,
}

/// A good batch.
struct Batch {
    bytes: u64,
    counters: Option<Counters>,
}

/// Reads a journal up to the first batch that is not good, or whose group is above the limit.
pub(super) fn scan(path: &Path, limit: u64) -> io::Result<Scan> {
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, File::open(path)?);
    let mut scan = Scan::default();
    while let Some(batch) = read_batch(&mut reader)? {
        if batch
            .counters
            .is_some_and(|counters| counters.group > limit)
        {
            scan.rest = Rest::AboveLimit;
            return Ok(scan);
        }
        scan.end += batch.bytes;
        scan.last_group = batch
            .counters
            .map(|counters| counters.group)
            .or(scan.last_group);
    }
    reader.seek(SeekFrom::Start(scan.end))?;
    let mut rest = Vec::new();
    read_without_zeros(&mut reader, &mut rest)?;
    scan.rest = classify(&rest, scan.last_group.unwrap_or(0))?;
    Ok(scan)
}

/// Reads to the end of the file, without the zeros there, which can be most of it.
pub(super) fn read_without_zeros(reader: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = vec![0; READ_BUFFER_BYTES];
    let mut zeros = 0;
    loop {
        let read = reader.read(&mut chunk)?;
        let Some(chunk) = chunk.get(..read).filter(|chunk| !chunk.is_empty()) else {
            return Ok(());
        };
        match chunk.iter().rposition(|byte| *byte != 0) {
            Some(last) => {
                bytes.resize(bytes.len() + zeros, 0);
                bytes.extend_from_slice(chunk);
                bytes.truncate(bytes.len() - (read - last - 1));
                zeros = read - last - 1;
            }
            None => zeros += read,
        }
    }
}

/// What the bytes behind a journal's good part are.
///
/// Message bodies may hold anything, even journals: only a batch of a later group counts as one of this journal.
fn classify(rest: &[u8], last_group: u64) -> io::Result<Rest> {
    if rest.is_empty() {
        return Ok(Rest::Empty);
    }
    let mut damaged = None::<u64>;
    let mut remaining = rest;
    while let Some(start) = remaining.iter().position(|byte| *byte == START) {
        remaining = remaining.get(start..).unwrap_or_default();
        let mut reader = remaining;
        let counters = read_batch(&mut reader)?.and_then(|batch| batch.counters);
        match counters.filter(|counters| counters.group > last_group) {
            Some(counters) => {
                damaged = damaged.max(Some(counters.synced));
                remaining = reader;
            }
            None => remaining = remaining.get(1..).unwrap_or_default(),
        }
    }
    Ok(damaged.map_or(Rest::Torn, |synced| Rest::Damaged { synced }))
}

/// Reads one batch; `None` if there is no good one here.
fn read_batch(reader: &mut impl Read) -> io::Result<Option<Batch>> {
    match try_read_batch(reader) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        result => result,
    }
}

fn try_read_batch(reader: &mut impl Read) -> io::Result<Option<Batch>> {
    let [START, start @ ..] = read_array::<13>(reader)? else {
        return Ok(None);
    };
    let mut items = Items {
        reader,
        hash: Xxh3::new(),
        bytes: 0,
    };
    let mut counters = None;
    let [a, b, c, d, ..] = start;
    for item in 0..u32::from_le_bytes([a, b, c, d]) {
        match items.read::<1>()? {
            [ITEM] => {
                let value = items.read_item(item == 0)?;
                counters = counters.or(value.and_then(|value| Counters::decode(&value).ok()));
            }
            [CLEAR] => drop(items.read::<8>()?),
            _ => return Ok(None),
        }
    }
    let Items {
        reader,
        hash,
        bytes,
    } = items;
    let [END, end @ ..] = read_array::<13>(reader)? else {
        return Ok(None);
    };
    let good = end
        .split_last_chunk::<4>()
        .is_some_and(|(checksum, trailer)| {
            trailer == TRAILER && *checksum == hash.digest().to_le_bytes()
        });
    Ok(good.then_some(Batch {
        bytes: bytes + 26,
        counters,
    }))
}

/// Reads and hashes the items of a batch.
struct Items<'a, R> {
    reader: &'a mut R,
    hash: Xxh3,
    bytes: u64,
}

impl<R: Read> Items<'_, R> {
    /// Reads an item behind its tag. Answers the value if the item may be the counters.
    fn read_item(&mut self, first: bool) -> io::Result<Option<Vec<u8>>> {
        let [_type, _compression] = self.read()?;
        let _keyspace = self.read::<8>()?;
        let key_bytes = u16::from_le_bytes(self.read()?);
        let _bytes = self.read::<4>()?;
        let stored_bytes = u32::from_le_bytes(self.read()?);
        if first && usize::from(key_bytes) == counters::KEY.len() && stored_bytes < 256 {
            let [key] = self.read()?;
            let mut value = Vec::new();
            self.copy(u64::from(stored_bytes), |chunk| {
                value.extend_from_slice(chunk);
            })?;
            return Ok(([key] == counters::KEY).then_some(value));
        }
        self.copy(u64::from(key_bytes) + u64::from(stored_bytes), |_| ())?;
        Ok(None)
    }

    fn read<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = read_array(self.reader)?;
        self.hash.update(&bytes);
        self.bytes += N as u64;
        Ok(bytes)
    }

    fn copy(&mut self, mut bytes: u64, mut seen: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while bytes > 0 {
            let wanted = usize::try_from(bytes)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let Some(chunk) = buffer.get_mut(..wanted) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            self.reader.read_exact(chunk)?;
            self.hash.update(chunk);
            seen(chunk);
            self.bytes += wanted as u64;
            bytes -= wanted as u64;
        }
        Ok(())
    }
}

fn read_array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    /// A batch as the database writes it: the counters, and the values under keys of their own.
    fn batch(group: u64, synced: u64, values: &[&[u8]]) -> Vec<u8> {
        let counters = Counters {
            group,
            synced,
            next_record: 0,
        }
        .encode();
        let mut items = item(&counters::KEY, &counters);
        for value in values {
            items.extend(item(b"another key", value));
        }
        let count = u32::try_from(values.len() + 1).expect("few");
        let start = [&[START][..], &count.to_le_bytes(), &[7; 8]].concat();
        let end = [&[END][..], &xxh3_64(&items).to_le_bytes(), TRAILER].concat();
        [start, items, end].concat()
    }

    fn item(key: &[u8], value: &[u8]) -> Vec<u8> {
        let key_bytes = u16::try_from(key.len()).expect("short").to_le_bytes();
        let bytes = u32::try_from(value.len()).expect("short").to_le_bytes();
        [
            &[ITEM, 0, 0][..],
            &[9; 8],
            &key_bytes,
            &bytes,
            &bytes,
            key,
            value,
        ]
        .concat()
    }

    fn scan_bytes(bytes: &[u8], limit: u64) -> Scan {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("writable");
        scan(file.path(), limit).expect("readable")
    }

    fn whole() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let ends = (1..=4).map(|group| {
            bytes.extend(batch(group, group - 1, &[b"some value", b"", &[0; 50]]));
            bytes.len()
        });
        let ends = ends.collect();
        (bytes, ends)
    }

    #[test]
    fn whole_batches_are_counted_and_zeros_behind_them_ignored() {
        let (mut bytes, ends) = whole();
        let expected = Scan {
            end: ends[3] as u64,
            last_group: Some(4),
            rest: Rest::Empty,
        };
        assert_eq!(scan_bytes(&bytes, u64::MAX), expected);
        bytes.resize(bytes.len() + 2 * READ_BUFFER_BYTES, 0);
        assert_eq!(scan_bytes(&bytes, u64::MAX), expected);
        assert_eq!(scan_bytes(&[], u64::MAX), Scan::default());
        assert_eq!(scan_bytes(&[0; 100], u64::MAX), Scan::default());
    }

    #[test]
    fn a_limit_ends_the_good_part() {
        let (bytes, ends) = whole();
        let expected = Scan {
            end: ends[1] as u64,
            last_group: Some(2),
            rest: Rest::AboveLimit,
        };
        assert_eq!(scan_bytes(&bytes, 2), expected);
    }

    #[test]
    fn truncated_anywhere_the_whole_batches_before_remain() {
        let (bytes, ends) = whole();
        for length in 0..bytes.len() {
            let scan = scan_bytes(&bytes[..length], u64::MAX);
            let complete = ends.iter().filter(|end| **end <= length).count();
            let end = complete.checked_sub(1).map_or(0, |last| ends[last]);
            let rest = if length == end {
                Rest::Empty
            } else {
                Rest::Torn
            };
            assert_eq!((scan.end, scan.rest), (end as u64, rest), "{length} bytes");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found_and_so_is_what_follows() {
        let (bytes, ends) = whole();
        for at in 0..bytes.len() {
            // The sequence number is not covered by the checksum.
            let in_batch = at - ends.iter().rfind(|end| **end <= at).unwrap_or(&0);
            if (5..13).contains(&in_batch) {
                continue;
            }
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let scan = scan_bytes(&damaged, u64::MAX);
            let batch = ends.iter().filter(|end| **end <= at).count();
            let rest = if batch == 3 {
                Rest::Torn
            } else {
                Rest::Damaged { synced: 3 }
            };
            assert_eq!(
                (scan.last_group.unwrap_or(0), scan.rest),
                (batch as u64, rest),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_journal_inside_a_message_is_no_batch() {
        let mut bytes = batch(5, 4, &[]);
        let end = bytes.len() as u64;
        let body = [batch(3, 2, &[b"old"]), batch(5, 4, &[])].concat();
        bytes.extend(batch(6, 5, &[&body]));
        bytes.pop();
        assert_eq!(
            scan_bytes(&bytes, u64::MAX),
            Scan {
                end,
                last_group: Some(5),
                rest: Rest::Torn
            }
        );
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        arbtest::arbtest(|u| {
            let mut bytes = whole().0;
            for _ in 0..u.int_in_range(1..=20)? {
                let at = u.choose_index(bytes.len())?;
                bytes[at] = *u.choose(&[0, 1, 2, 3, 4, 0xFF])?;
            }
            let scan = scan_bytes(&bytes, u64::MAX);
            assert!(scan.end <= bytes.len() as u64);
            Ok(())
        });
    }
}
