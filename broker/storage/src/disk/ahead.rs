//! Gives the journal's next bytes their place on the disk before they are written.
//!
//! The database sets the length of a journal when it begins it, but what was never written is a hole. A sync that has to
//! allocate blocks waits for what the file system notes about them, too. Therefore, while groups are small, zeros are written
//! into the hole behind the journal's last batch. The file reads as it did before.
//!
//! A journal that was there when the database was opened ends where its last batch does, and one may grow beyond the length
//! that it was begun with: there is no hole then, and syncs take what they take. File systems that copy on write allocate
//! anyway; there the zeros are wasted.

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
/// How many small groups without a larger one are taken for a sign of more.
const SMALL_GROUPS: u32 = 16;

/// When the journal is to be prepared.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// How much more is written to the journal before it is looked at.
    until_next: u64,
    /// How many small groups were synced since the last larger one.
    small_groups: u32,
    /// It failed once, and would again.
    given_up: bool,
}

impl Ahead {
    /// Takes note of a group that took about so much of the journal. Whether the journal should be prepared.
    pub(super) fn is_due_after(&mut self, bytes: u64, durability: Durability) -> bool {
        self.until_next = self.until_next.saturating_sub(bytes);
        if bytes > SMALL_BYTES {
            self.small_groups = 0;
        } else if durability == Durability::Fsync {
            self.small_groups = self.small_groups.saturating_add(1);
        }
        self.until_next == 0 && self.small_groups >= SMALL_GROUPS && !self.given_up
    }

    /// More was written than a group says.
    pub(super) fn lose_count(&mut self) {
        self.until_next = 0;
    }

    /// Writes zeros where the next groups go, if there is space to spare. No batch may be on its way to the journal.
    ///
    /// Of no consequence for what was committed, and so is a failure, after which syncs take longer.
    pub(super) fn prepare(&mut self, shared: &Shared) {
        // Whatever comes of it: asking for each group would cost what is to be saved. A bit early, for what a group takes is
        // only estimated.
        self.until_next = AHEAD_BYTES / 8 * 7;
        let reserve = shared.reserve.load(Ordering::Relaxed);
        if shared.require_space(AHEAD_BYTES, reserve).is_ok()
            && let Err(error) = prepare(&shared.directory.database())
        {
            tracing::warn!(%error, "journals are not prepared for what comes any more, so that syncs take longer");
            self.given_up = true;
        }
    }
}

fn prepare(database: &Path) -> Result<(), OpenError> {
    let Some((_, newest)) = repair::journal_paths(database)?.pop() else {
        return Ok(());
    };
    match write_zeros(&newest) {
        // The database is about to begin it, or has done with it already.
        Err(error) if is_passing(&error) => Ok(()),
        result => result.map_err(OpenError::io("prepare", &newest)),
    }
}

fn is_passing(error: &io::Error) -> bool {
    let is_empty = error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
    is_empty || error.kind() == io::ErrorKind::NotFound
}

/// Writes zeros into the first hole: up to there are batches, and zeros of an earlier time.
fn write_zeros(journal: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(journal)?;
    let hole = rustix::fs::seek(&file, SeekFrom::Hole(0))?;
    let left = file.metadata()?.len().saturating_sub(hole);
    let mut zeros = Vec::new();
    (&file)
        .take(left.min(AHEAD_BYTES))
        .read_to_end(&mut zeros)?;
    // Should it not be as this store believes, better nothing is written over.
    if zeros.iter().any(|byte| *byte != 0) {
        let what = format!("there is something behind its first hole, which is at byte {hole}");
        return Err(io::Error::other(what));
    }
    file.write_all_at(&zeros, hole)
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
        // The database has begun it when the next batch is in it.
        id += 1;
        commit(&store, vec![append(id, 1)], Durability::Os);
        let newest = newest(home.path());
        let end = || journal::scan(&newest, u64::MAX).expect("readable").end;
        let first_hole = || {
            let file = fs::File::open(&newest).expect("exists");
            rustix::fs::seek(&file, SeekFrom::Hole(0)).expect("has an end")
        };
        if first_hole() == fs::metadata(&newest).expect("exists").len() {
            // This file system does not tell.
            return;
        }
        // A hole begins with a block.
        assert!(first_hole() < end() + AHEAD_BYTES / 4);
        let mut prepared = 0;
        let from = id;
        for small in from + 1..=from + 400 {
            commit(&store, vec![append(small, 1_000)], Durability::Fsync);
            let is_prepared = small.is_multiple_of(20) && first_hole() > end() + AHEAD_BYTES / 16;
            prepared += u32::from(is_prepared);
        }
        // The first groups go into the hole.
        assert!(prepared >= 18, "{prepared} of 20 times");
        drop(store);
        let recovered = open().recover().expect("recovers");
        let records = recovered.queues.iter().flat_map(|queue| &queue.records);
        let ids: Vec<_> = records.map(|record| record.id.0).collect();
        assert_eq!(ids, (from..=from + 400).collect::<Vec<_>>());
    }

    #[test]
    fn it_is_due_while_groups_are_small() {
        let (small, large) = (SMALL_BYTES, SMALL_BYTES + 1);
        let mut ahead = Ahead::default();
        let mut due = |bytes, durability, groups| {
            let dues = (0..groups).map(|_| ahead.is_due_after(bytes, durability));
            dues.filter(|is_due| *is_due).count()
        };
        assert_eq!(
            due(small, Durability::Os, 100),
            0,
            "nobody waits for a sync"
        );
        assert_eq!(due(small, Durability::Fsync, SMALL_GROUPS - 1), 0);
        assert_eq!(due(large, Durability::Os, 1), 0);
        assert_eq!(due(small, Durability::Fsync, SMALL_GROUPS - 1), 0);
        assert_eq!(due(small, Durability::Os, 3), 0, "no sign of large ones");
        assert_eq!(due(small, Durability::Fsync, 2), 2);

        let mut ahead = Ahead {
            until_next: 10 * small,
            small_groups: SMALL_GROUPS,
            given_up: false,
        };
        assert!(!ahead.is_due_after(small, Durability::Fsync));
        ahead.lose_count();
        assert!(ahead.is_due_after(small, Durability::Fsync));
        ahead.given_up = true;
        ahead.lose_count();
        assert!(!ahead.is_due_after(small, Durability::Fsync));
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
        journal.write_all_at(b"?", 300_000).expect("writable");
        let before = fs::read(&path).expect("readable");
        let error = prepare(home.path()).expect_err("refuses").to_string();
        assert!(
            error.contains("7.jnl: there is something behind "),
            "{error}"
        );
        assert!(fs::read(&path).expect("readable") == before);
    }
}
