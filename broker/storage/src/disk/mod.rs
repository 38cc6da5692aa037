//! The store on disk.
//!
//! One database with four keyspaces ([`layout`]); a group is one batch in its journal. What it changes of records and
//! settlements is one entry at first ([`recent`]). Threads: the caller of
//! [`Store::commit`], a worker of the database that flushes and compacts, and [`reclaim`]'s. Locks, in this order:
//! `writer` (one commit at a time), `reclaiming` (tables are being dropped), `engine` (read while the database is used,
//! written while it is exchanged after a failure), `recent`.

mod ahead;
mod batch;
mod directory;
mod engine;
mod journal;
mod layout;
mod live;
mod options;
mod recent;
mod reclaim;
mod recovery;
mod repair;
mod space;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::store::{
    CommitGroup, Durability, QueueId, RecordRef, Recovered, Store, StoreError,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use xxhash_rust::xxh3::xxh3_64;

use crate::damaged_record;
use directory::DataDirectory;
use engine::Engine;
use layout::changes::Data;
use layout::{index, segment};
pub use options::{OpenError, Options};
use recent::Recent;
use reclaim::{Reclaimer, Waker};
use writer::Writer;

/// A [`Store`] on disk.
///
/// # Guarantees
/// * `commit` with [`Durability::Fsync`] returns after an fdatasync of the one journal; with `Os` after a write to it.
/// * After a failed commit nothing of its group is visible. The next commit reopens the database; when that succeeds, all that
///   was acknowledged is there and nothing that was not.
/// * A commit that would leave less than [`Options::disk_reserve_bytes`] on the disk is refused without touching anything; one
///   that only settles and removes may use three quarters of it. Where a GiB more is free, what others took in the last 50 ms may
///   be missed.
///
/// # Costs
/// A commit is one write per 8 KiB or per larger value, plus the sync. It blocks longer while flushing lags behind. Of small
/// synced ones, each that fills another 256 KiB writes as many zeros, so that the syncs of the others are short.
/// A record that goes straight to where it belongs (above 16 KiB, or while most records stay) is not copied, so that the memory
/// behind it stays in use until it is flushed; one that its group's entry holds shares the entry's. Now and then a commit
/// also writes what is left of about a thousand earlier changes, at most 4 MiB. `read` is two point reads at most.
/// `recover` reads all definitions, settlements and index entries, about 1 µs each, but no data.
pub struct FjallStore {
    shared: Arc<Shared>,
    /// Declared last, for its thread ends only after `shared` is gone.
    _reclaimer: Reclaimer,
}

/// What the store and its maintenance thread share.
struct Shared {
    options: Options,
    /// What commits leave free on the disk.
    reserve: AtomicU64,
    writer: Mutex<Writer>,
    /// Held while tables are dropped.
    reclaiming: Mutex<()>,
    waker: Waker,
    /// `None` only after a failed attempt to reopen.
    engine: RwLock<Option<Engine>>,
    /// What is acknowledged and not where it belongs yet. Changed after each commit.
    recent: RwLock<Recent>,
    /// Declared last, for its lock must outlive the engine.
    directory: DataDirectory,
}

impl FjallStore {
    /// Opens the store in a directory, which is created if it does not exist, readable by this user only.
    ///
    /// A torn journal end is cut, with a copy and a warning. Takes as long as reading the journals does, at most about a
    /// second per 512 MiB.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if another store has the directory open, [`OpenError::NewerFormat`] if it was written by a newer
    /// version, [`OpenError::Damaged`] if what was synced is damaged. In these cases nothing was changed.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let directory = DataDirectory::open(path.as_ref())?;
        Engine::create_if_absent(&directory, &options)?;
        let journal_bytes = repair::repair(&directory)?;
        let engine = Engine::open(&directory.database(), &options)?;
        let writer = Writer::new(&engine, &directory, journal_bytes)?;
        let recent =
            Recent::load(&engine).map_err(OpenError::damaged_database(&directory.database()))?;
        directory.take_over()?;
        let (waker, woken) = Waker::new();
        let shared = Arc::new(Shared {
            reserve: AtomicU64::new(options.disk_reserve_bytes),
            options,
            writer: Mutex::new(writer),
            reclaiming: Mutex::new(()),
            waker,
            engine: RwLock::new(Some(engine)),
            recent: RwLock::new(recent),
            directory,
        });
        let reclaimer = Reclaimer::start(&shared, woken)?;
        Ok(Self {
            shared,
            _reclaimer: reclaimer,
        })
    }
}

impl Store for FjallStore {
    fn recover(&self) -> Result<Recovered, StoreError> {
        self.shared.writer.lock().recover(&self.shared)
    }

    fn commit(&self, group: &CommitGroup, durability: Durability) -> Result<(), StoreError> {
        self.shared
            .writer
            .lock()
            .commit(&self.shared, group, durability)
    }

    fn read(&self, queue: QueueId, record: &RecordRef) -> Result<Bytes, StoreError> {
        self.shared.with_engine(|engine| {
            let recent = self.shared.recent.read().record(queue, record).cloned();
            let checksum = match recent {
                Some(Data::Held(data)) => return Ok(data),
                Some(Data::Apart(checksum)) => checksum,
                None => indexed_checksum(engine, queue, record)?,
            };
            let data = engine.seg.get(segment::key(record.id));
            let data: Bytes = found(queue, record, data, "its data is missing")?.into();
            if xxh3_64(&data) != checksum {
                return Err(damaged_record(
                    queue,
                    record,
                    "the checksum of its data does not match",
                ));
            }
            Ok(data)
        })
    }

    fn free_bytes(&self) -> Result<u64, StoreError> {
        self.shared.free_bytes()
    }

    fn keep_free(&self, bytes: u64) {
        self.shared.reserve.store(bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStore")
            .field("directory", &self.shared.directory.path())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Runs something on the database if it is open.
    fn with_engine<T>(
        &self,
        run: impl FnOnce(&Engine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.engine.read().as_ref() {
            Some(engine) => run(engine),
            None => Err(StoreError::Unavailable(
                "the database is closed after a failure; the next commit opens it again".to_owned(),
            )),
        }
    }
}

fn indexed_checksum(
    engine: &Engine,
    queue: QueueId,
    record: &RecordRef,
) -> Result<u64, StoreError> {
    let key = index::key(queue, record);
    let entry = found(queue, record, engine.idx.get(key), "it is not in the index")?;
    index::decode(&key, &entry)
        .map(|(_, data_checksum)| data_checksum)
        .map_err(|reason| damaged_record(queue, record, reason))
}

/// What a point read of a record's parts found.
fn found(
    queue: QueueId,
    record: &RecordRef,
    value: fjall::Result<Option<fjall::Slice>>,
    absent: &str,
) -> Result<fjall::Slice, StoreError> {
    match value {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(damaged_record(queue, record, absent)),
        Err(error) if engine::is_unavailable(&error) => Err(unavailable(&error)),
        Err(error) => Err(damaged_record(queue, record, engine::describe(&error))),
    }
}

fn unavailable(error: &fjall::Error) -> StoreError {
    StoreError::Unavailable(engine::describe(error))
}
