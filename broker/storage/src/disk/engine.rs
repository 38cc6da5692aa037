//! The database and its keyspaces, set up as a queue store needs them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use amphora_core::store::{Durability, RecordId};
use fjall::config::CompressionPolicy;
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch,
    PersistMode,
};

use super::directory::{DataDirectory, create_private, sync_directory};
use super::layout::counters::{self, Counters};
use super::layout::{MARKER, segment};
use super::options::{OpenError, Options};

/// Of two or more, the first one takes and sends on what is to be compacted, over and over, for as long as another one compacts: a tenth to a quarter of
/// what a persistent load costs. One alone would block for ever on its own queue of a thousand requests if that were full when it makes room in the journals. So no keyspace
/// rotates by itself, and no checkpoint is made while [`FLUSHES_MAX`] are not done.
const WORKER_THREADS: usize = 1;
/// Memtables that wait to be flushed, of all keyspaces: two for each.
const FLUSHES_MAX: usize = 8;
/// What the database accepts at least.
const JOURNAL_BYTES_MIN: u64 = 64 * 1024 * 1024;
const FLUSH_POLL: Duration = Duration::from_millis(1);

/// An open database. Dropping it closes the files; what was committed stays.
pub(super) struct Engine {
    database: Database,
    pub(super) seg: Keyspace,
    pub(super) idx: Keyspace,
    pub(super) ack: Keyspace,
    pub(super) meta: Keyspace,
}

impl Engine {
    /// Creates an empty database if there is none. A crash in between leaves none.
    pub(super) fn create_if_absent(
        directory: &DataDirectory,
        options: &Options,
    ) -> Result<(), OpenError> {
        let (path, new) = (directory.database(), directory.new_database());
        if path.exists() {
            return Ok(());
        }
        if new.exists() {
            fs::remove_dir_all(&new).map_err(OpenError::io("remove", &new))?;
        }
        create_private(&new)?;
        drop(Self::open(&new, options)?);
        fs::rename(&new, &path).map_err(OpenError::io("rename", &new))?;
        sync_directory(directory.path())
    }

    /// Opens the database. Its journals must have been checked.
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let database = Database::builder(path)
            .worker_threads(WORKER_THREADS)
            .manual_journal_persist(true)
            .journal_compression(CompressionType::None)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes_max.max(JOURNAL_BYTES_MIN))
            .open()
            .map_err(OpenError::database(path))?;
        let keyspace = |name| {
            database
                .keyspace(name, keyspace_options)
                .map_err(OpenError::database(path))
        };
        let (seg, idx, ack, meta) = (
            keyspace("seg")?,
            keyspace("idx")?,
            keyspace("ack")?,
            keyspace("meta")?,
        );
        Ok(Self {
            database,
            seg,
            idx,
            ack,
            meta,
        })
    }

    /// A batch whose first entry are the counters.
    pub(super) fn batch(
        &self,
        durability: Durability,
        counters: Counters,
        capacity: usize,
    ) -> OwnedWriteBatch {
        let mode = match durability {
            Durability::Fsync => PersistMode::SyncData,
            Durability::Os => PersistMode::Buffer,
        };
        let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), capacity + 1)
            .durability(Some(mode));
        batch.insert(&self.meta, counters::KEY, counters.encode());
        batch
    }

    /// Hands everything in memory to the flusher, so that the journals so far can be deleted.
    ///
    /// A journal is deleted only once every keyspace has a *table* that is newer. A flush whose appends and removals cancel
    /// out makes none, and a keyspace that is rarely written makes none for long. So each gets an entry that nothing
    /// cancels, and all are flushed together.
    pub(super) fn checkpoint(&self, counters: Counters) -> fjall::Result<()> {
        let mut batch = self.batch(Durability::Os, counters, 3);
        batch.insert(&self.seg, segment::marker_key(counters.next_record), []);
        batch.insert(&self.idx, MARKER, []);
        batch.insert(&self.ack, MARKER, []);
        batch.commit()?;
        for keyspace in self.keyspaces() {
            keyspace.rotate_memtable()?;
        }
        Ok(())
    }

    /// How many memtables of one keyspace wait to be flushed. At four, the database itself would stop a commit for long.
    pub(super) fn flush_backlog(&self) -> usize {
        self.keyspaces()
            .iter()
            .map(|keyspace| keyspace.sealed_memtable_count())
            .max()
            .unwrap_or(0)
    }

    /// Whether more flushes may be asked for.
    pub(super) fn takes_flushes(&self) -> bool {
        self.database.outstanding_flushes() < FLUSHES_MAX
    }

    /// Waits until fewer than `backlog` memtables of a keyspace wait, and more flushes may be asked for; an error if the flusher has died.
    pub(super) fn await_flush(&self, backlog: usize) -> fjall::Result<()> {
        while self.flush_backlog() >= backlog || !self.takes_flushes() {
            self.database.persist(PersistMode::Buffer)?;
            // The database has no event for this.
            std::thread::sleep(FLUSH_POLL);
        }
        Ok(())
    }

    /// Deletes the tables of `seg` that hold only records below this one. Waits for a running compaction.
    ///
    /// The journal does not know of it: after a crash such records may be back, without an index entry.
    pub(super) fn drop_segments_below(&self, id: RecordId) -> fjall::Result<()> {
        Ok(self.seg.tree.drop_range(..segment::key(id))?)
    }

    fn keyspaces(&self) -> [&Keyspace; 4] {
        [&self.seg, &self.idx, &self.ack, &self.meta]
    }
}

/// Whether the operating system refused, which may pass: too many open files, a device error. What was written may be whole.
pub(super) fn is_unavailable(error: &fjall::Error) -> bool {
    matches!(
        error,
        fjall::Error::Io(_)
            | fjall::Error::Storage(fjall::LsmError::Io(_))
            | fjall::Error::Poisoned
    )
}

/// What the database said, without the types around it.
pub(super) fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            error.to_string()
        }
        fjall::Error::Storage(error) => format!("{error:?}"),
        fjall::Error::Poisoned => "an earlier write or flush failed".to_owned(),
        error => format!("{error:?}"),
    }
}

/// Keyspaces never rotate by themselves: one that does posts a message per commit that its workers may choke on, and leaves
/// the others to pin the journals. These options are stored with a keyspace when it is created.
fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(u64::MAX)
        .manual_journal_persist(true)
        .expect_point_read_hits(true)
        .data_block_compression_policy(CompressionPolicy::disabled())
}
