//! Journals that end in the middle, or are damaged.
//!
//! Each store holds ten groups of three records of 20 KB; what a row does to its journal is what a crash can do.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use amphora_core::store::{Durability, Store};
use amphora_storage::{FjallStore, OpenError, Options};

use crate::{Data, append, commit, group, ids};

const GROUPS: usize = 10;
const RECORDS: u64 = 3;
const RECORD_BYTES: usize = 20_000;
/// Behind the start of a batch and its counters: well inside the data of one of its records.
const IN_A_VALUE: usize = 4096;
const PAGE: usize = 4096;

/// A closed store and where its batches are.
struct Written {
    data: Data,
    journal: PathBuf,
    batches: Vec<Range<usize>>,
}

fn written(durability: impl Fn(usize) -> Durability) -> Written {
    let data = Data::new();
    let store = data.open();
    for index in 0..GROUPS {
        store
            .commit(&group(appends(index)), durability(index))
            .expect("commits");
    }
    drop(store);
    let journal = newest_journal(&data.path());
    let batches = batches(&fs::read(&journal).expect("readable"));
    assert_eq!(batches.len(), GROUPS);
    Written {
        data,
        journal,
        batches,
    }
}

fn appends(index: usize) -> impl Iterator<Item = amphora_core::store::Write> {
    let first = index as u64 * RECORDS;
    (first..first + RECORDS).map(|id| append(1, id, RECORD_BYTES))
}

fn newest_journal(data: &Path) -> PathBuf {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
    fs::read_dir(data.join("db"))
        .expect("the database's directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .max_by_key(number)
        .expect("a journal")
}

/// Batches end in a mark that no record of these tests contains.
fn batches(journal: &[u8]) -> Vec<Range<usize>> {
    let mut start = 0;
    let ends = (4..=journal.len()).filter(|end| &journal[end - 4..*end] == b"FJL\x03");
    ends.map(|end| std::mem::replace(&mut start, end)..end)
        .collect()
}

impl Written {
    fn edit(&self, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(&self.journal).expect("readable");
        edit(&mut bytes);
        fs::write(&self.journal, bytes).expect("writable");
    }

    fn try_open(&self) -> Result<FjallStore, OpenError> {
        FjallStore::open(self.data.path(), Options::default())
    }

    /// The store opens with the first groups, takes others, and is as good as ever.
    fn assert_keeps(&self, groups: usize, case: &str) {
        let kept = groups as u64 * RECORDS;
        let store = self
            .try_open()
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(ids(&store), (0..kept).collect::<Vec<_>>(), "{case}");
        commit(&store, appends(GROUPS));
        drop(store);
        let expected: Vec<_> = (0..kept).chain(30..33).collect();
        assert_eq!(ids(&self.data.open()), expected, "{case}, opened again");
    }

    fn assert_refused(&self, batch: usize, case: &str) {
        let before = fs::read(&self.journal).expect("readable");
        match self.try_open() {
            Err(OpenError::Damaged { file, offset, .. }) => {
                assert_eq!(
                    (file, offset),
                    (self.journal.clone(), self.batches[batch].start as u64),
                    "{case}"
                );
            }
            result => panic!("{case}: {result:?}"),
        }
        assert!(
            fs::read(&self.journal).expect("readable") == before,
            "{case}: nothing may be changed"
        );
    }

    fn torn(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.data.path().join("torn")) else {
            return vec![];
        };
        let entries = entries.map(|entry| entry.expect("an entry"));
        entries
            .map(|e| {
                (
                    e.file_name().into_string().expect("text"),
                    fs::read(e.path()).expect("readable"),
                )
            })
            .collect()
    }
}

fn all_synced(_: usize) -> Durability {
    Durability::Fsync
}

#[test]
fn a_whole_journal_is_left_alone() {
    let written = written(all_synced);
    written.assert_keeps(GROUPS, "whole");
    assert_eq!(written.torn(), []);
}

/// What happens to a batch; offsets are from its start.
#[derive(Clone, Debug)]
enum Damage {
    Truncated(usize),
    Zeroed(Range<usize>),
    Flipped(usize),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>, batch: &Range<usize>) {
        match self {
            Self::Truncated(at) => bytes.truncate(batch.start + at),
            Self::Zeroed(range) => {
                bytes[batch.start + range.start..batch.start + range.end].fill(0);
            }
            Self::Flipped(at) => bytes[batch.start + at] ^= 1,
        }
    }
}

#[test]
fn an_unfinished_last_batch_is_cut() {
    let bytes = written(all_synced).batches[GROUPS - 1].len();
    let cases = [
        ("truncated", Damage::Truncated(bytes / 2)),
        ("truncated in its first entry", Damage::Truncated(15)),
        ("second half", Damage::Zeroed(bytes / 2..bytes)),
        ("start", Damage::Zeroed(0..100)),
        ("an entry's header", Damage::Zeroed(13..34)),
        ("trailer", Damage::Zeroed(bytes - 13..bytes)),
        (
            "a page of a value",
            Damage::Zeroed(IN_A_VALUE..IN_A_VALUE + PAGE),
        ),
        ("a bit of a value", Damage::Flipped(IN_A_VALUE)),
    ];
    for (case, damage) in cases {
        let written = written(all_synced);
        let last = &written.batches[GROUPS - 1];
        written.edit(|bytes| damage.apply(bytes, last));
        written.assert_keeps(GROUPS - 1, case);
        let torn = written.torn();
        assert_eq!(torn.len(), 1, "{case}");
        assert_eq!(torn[0].0, format!("0.jnl.from-{}", last.start), "{case}");
        assert!(torn[0].1.len() <= last.len(), "{case}");
    }
}

#[test]
fn garbage_behind_the_last_batch_is_cut() {
    for zeros in [0, 1_000_000] {
        let written = written(all_synced);
        let end = written.batches[GROUPS - 1].end;
        written.edit(|bytes| {
            bytes.truncate(end);
            bytes.extend_from_slice(b"\x01\x02abc");
            bytes.extend_from_slice(&[0x55; 9000]);
            bytes.resize(bytes.len() + zeros, 0);
        });
        written.assert_keeps(GROUPS, "garbage");
        assert_eq!(written.torn().len(), 1);
    }
}

#[test]
fn damage_before_what_was_synced_is_refused() {
    let bytes = written(all_synced).batches[0].len();
    let cases = [
        ("a bit of a value", Damage::Flipped(IN_A_VALUE)),
        (
            "a page of a value",
            Damage::Zeroed(IN_A_VALUE..IN_A_VALUE + PAGE),
        ),
        ("start", Damage::Zeroed(0..13)),
        ("all of it", Damage::Zeroed(0..bytes)),
    ];
    for (case, damage) in cases {
        for batch in [0, 4, GROUPS - 2] {
            let written = written(all_synced);
            written.edit(|bytes| damage.apply(bytes, &written.batches[batch]));
            written.assert_refused(batch, case);
        }
    }
}

#[test]
fn pages_lost_among_unsynced_batches_are_cut() {
    // The seventh group is synced, and with it all before; the others are the operating system's to write in any order.
    let written = written(|index| {
        if index == 6 {
            Durability::Fsync
        } else {
            Durability::Os
        }
    });
    written.edit(|bytes| bytes[written.batches[8].start + IN_A_VALUE..][..PAGE].fill(0));
    written.assert_keeps(8, "the ninth group");

    let written = self::written(|index| {
        if index == 6 {
            Durability::Fsync
        } else {
            Durability::Os
        }
    });
    written.edit(|bytes| bytes[written.batches[5].start + IN_A_VALUE..][..PAGE].fill(0));
    written.assert_refused(5, "the sixth group");
}

/// Moves the batches from `first` on to a journal of their own.
fn split(written: &Written, first: usize) {
    let next = written.journal.with_file_name("1.jnl");
    let (start, end) = (
        written.batches[first].start,
        written.batches[GROUPS - 1].end,
    );
    written.edit(|bytes| {
        fs::write(next, &bytes[start..end]).expect("writable");
        bytes.truncate(start);
    });
}

#[test]
fn older_journals_are_checked_as_well() {
    let written = written(all_synced);
    split(&written, 4);
    written.assert_keeps(GROUPS, "two journals");

    let written = self::written(all_synced);
    split(&written, 4);
    written.edit(|bytes| bytes.truncate(bytes.len() - 1));
    written.assert_refused(3, "the end of the older journal");

    let written = self::written(all_synced);
    written.edit(|bytes| bytes.truncate(written.batches[9].end - 1));
    fs::write(written.journal.with_file_name("1.jnl"), vec![0; 64]).expect("writable");
    written.assert_keeps(9, "a crash just after the next journal was begun");
}
