//! Gives the journal's next bytes their place on the disk before they are written.
//!
//! The database sets the length of a journal when it begins it, but what was never written is a hole. A sync that has to give
//! it a place waits for the file system's own journal, too, and so takes half as long again. Therefore, while groups are small
//! and each is synced, zeros are written where the next ones will go. The file reads as it did before.
//!
//! A journal that was there when the database was opened ends where its last batch does: it has no hole, but the next one will.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use amphora_core::store::Durability;
use rustix::fs::SeekFrom;

use super::options::OpenError;
use super::{Shared, repair};

/// How much at a time. The group after it syncs that, too, and takes a millisecond longer: the more, the rarer and the longer.
const AHEAD_BYTES: u64 = 256 << 10;
/// The syncs of larger groups take so long for their data that as much again in zeros would cost what it gives.
const SMALL_BYTES: u64 = 8 << 10;
/// How many small groups in a row are taken for a sign of more.
const SMALL_GROUPS: u32 = 16;

/// How groups came since the journal was prepared.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// What is left, about, of what was prepared.
    left: u64,
    /// How many small groups came in a row.
    small_groups: u32,
}

impl Ahead {
    /// Takes note of a group that took about so much of the journal. Whether the journal should be prepared.
    pub(super) fn is_due_after(&mut self, bytes: u64, durability: Durability) -> bool {
        self.left = self.left.saturating_sub(bytes);
        self.small_groups = if durability == Durability::Fsync && bytes <= SMALL_BYTES {
            self.small_groups.saturating_add(1)
        } else {
            0
        };
        self.left == 0 && self.small_groups >= SMALL_GROUPS
    }

    /// Writes zeros where the next groups go, if there is space to spare. No batch may be on its way to the journal.
    ///
    /// Of no consequence for what was committed, and so is a failure.
    pub(super) fn prepare(&mut self, shared: &Shared) {
        // Whatever comes of it: asking for each group would cost what is to be saved. A bit early, for what a group took is
        // known about only.
        self.left = AHEAD_BYTES / 8 * 7;
        let reserve = shared.reserve.load(Ordering::Relaxed);
        if shared.require_space(AHEAD_BYTES, reserve).is_ok()
            && let Err(error) = prepare(&shared.directory.database())
        {
            tracing::warn!(%error, "the journal is not prepared for what comes, so that syncs take longer");
        }
    }
}

fn prepare(database: &Path) -> Result<(), OpenError> {
    match repair::journal_paths(database)?.last() {
        Some((_, newest)) => write_zeros(newest).map_err(OpenError::io("prepare", newest)),
        None => Ok(()),
    }
}

/// Writes zeros into the first hole, which is where what was written ends.
fn write_zeros(journal: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(journal)?;
    let end = rustix::fs::seek(&file, SeekFrom::Hole(0))?;
    let left = file.metadata()?.len().saturating_sub(end);
    let mut zeros = Vec::new();
    (&file)
        .take(left.min(AHEAD_BYTES))
        .read_to_end(&mut zeros)?;
    // Should it not be as this store believes, better nothing is written over.
    if zeros.iter().any(|byte| *byte != 0) {
        let what = format!("there is something behind its last batch, at byte {end} or later");
        return Err(io::Error::other(what));
    }
    file.write_all_at(&zeros, end)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use amphora_core::store::{CommitGroup, QueueId, RecordId, RecordRef, Store, Write};
    use bytes::Bytes;

    use super::super::journal;
    use super::*;
    use crate::{FjallStore, Options};

    fn record(id: u64, bytes: u32) -> RecordRef {
        RecordRef {
            id: RecordId(id),
            first: id,
            last: id,
            count: 1,
            bytes,
            transient: false,
            bodies: None,
        }
    }

    fn append(id: u64, bytes: u32) -> Write {
        Write::Append {
            queue: QueueId(1),
            record: record(id, bytes),
            data: Bytes::from(vec![1; bytes as usize]),
        }
    }

    fn remove(id: u64, bytes: u32) -> Write {
        Write::Remove {
            queue: QueueId(1),
            record: record(id, bytes),
        }
    }

    fn commit(store: &FjallStore, writes: Vec<Write>, durability: Durability) {
        store
            .commit(&CommitGroup { writes }, durability)
            .expect("commits");
    }

    fn newest(home: &Path) -> PathBuf {
        let journals = repair::journal_paths(&home.join("db")).expect("a directory");
        journals.into_iter().next_back().expect("a journal").1
    }

    #[test]
    fn it_gives_a_new_journal_its_place_and_loses_nothing() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let open = || FjallStore::open(home.path(), Options::default()).expect("opens");
        let store = open();
        let first = newest(home.path());
        let mut id = 0;
        while newest(home.path()) == first {
            id += 1;
            commit(&store, vec![append(id, 1 << 20)], Durability::Os);
            commit(&store, vec![remove(id, 1 << 20)], Durability::Os);
            assert!(id < 1_000, "the database begins a journal after 64 MB");
        }
        let newest = newest(home.path());
        let end = || journal::scan(&newest, u64::MAX).expect("readable").end;
        let first_hole = || {
            let file = fs::File::open(&newest).expect("exists");
            rustix::fs::seek(&file, SeekFrom::Hole(0)).expect("has an end")
        };
        assert!(first_hole() < end() + 4096);
        let mut prepared = 0;
        for small in id + 1..=id + 1_000 {
            commit(&store, vec![append(small, 1_000)], Durability::Fsync);
            let is_prepared = small.is_multiple_of(50) && first_hole() > end() + 4096;
            prepared += u32::from(is_prepared);
        }
        // Nearly always: what a group takes is known about only.
        assert!(prepared >= 16, "{prepared} of 20 times");
        drop(store);
        let recovered = open().recover().expect("recovers");
        let records = recovered.queues.iter().flat_map(|queue| &queue.records);
        let ids: Vec<_> = records.map(|record| record.id.0).collect();
        assert_eq!(ids, (id + 1..=id + 1_000).collect::<Vec<_>>());
    }

    #[test]
    fn it_never_writes_over_anything() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("7.jnl");
        let batches = vec![1; 100_000];
        let journal = fs::File::create(&path).expect("writable");
        journal.write_all_at(&batches, 0).expect("writable");
        prepare(home.path()).expect("there is nothing to prepare");
        assert!(fs::read(&path).expect("readable") == batches);

        journal.set_len(4 << 20).expect("writable");
        journal.write_all_at(b"?", 150_000).expect("writable");
        let before = fs::read(&path).expect("readable");
        let error = prepare(home.path()).expect_err("refuses").to_string();
        assert!(
            error.contains("7.jnl: there is something behind "),
            "{error}"
        );
        assert!(fs::read(&path).expect("readable") == before);
    }
}
