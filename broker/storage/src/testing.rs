//! Stores that fail on demand, for the tests of whoever uses one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use amphora_core::store::{
    CommitGroup, Durability, QueueId, RecordRef, Recovered, Store, StoreError,
};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::MemoryStore;

/// A store that loses or tears everything that is not yet durable.
///
/// It is a [`MemoryStore`] that remembers what a disk would have: the groups up to the last one committed with
/// [`Durability::Fsync`]. [`LossyStore::crash`] answers what a restart would find. It can also refuse commits and reads, and hold
/// commits so that a test sees what happens while they last.
#[derive(Debug, Default)]
pub struct LossyStore {
    /// What the process sees.
    visible: MemoryStore,
    disk: Mutex<Disk>,
    held: Mutex<bool>,
    released: Condvar,
    is_full: AtomicBool,
    is_broken: AtomicBool,
    is_unreadable: AtomicBool,
    refused_reads: AtomicU64,
    commits: AtomicU64,
}

#[derive(Debug, Default)]
struct Disk {
    synced: MemoryStore,
    /// Applied after `synced`, in this order.
    unsynced: Vec<CommitGroup>,
}

impl LossyStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store that a restart after a loss of power would open: with all that was synced, and of the rest only the
    /// `kept` groups that came first. `usize::MAX` keeps all, as the end of the process alone would.
    #[must_use]
    pub fn crash(&self, kept: usize) -> Self {
        let disk = self.disk.lock();
        let survivor = disk.synced.duplicate();
        for group in disk.unsynced.iter().take(kept) {
            apply(&survivor, group);
        }
        let disk = Disk {
            synced: survivor.duplicate(),
            unsynced: Vec::new(),
        };
        Self {
            visible: survivor,
            disk: Mutex::new(disk),
            ..Self::default()
        }
    }

    /// How many groups a loss of power could take.
    pub fn unsynced(&self) -> usize {
        self.disk.lock().unsynced.len()
    }

    /// How many groups were applied.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// From now on the disk is full: commits are refused until this is called with `false`.
    pub fn set_full(&self, full: bool) {
        self.is_full.store(full, Ordering::Relaxed);
    }

    /// From now on whoever commits panics, as for a defect.
    pub fn set_broken(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    /// From now on nothing can be read, as if no file could be opened, until this is called with `false`.
    pub fn set_unreadable(&self, unreadable: bool) {
        self.is_unreadable.store(unreadable, Ordering::Relaxed);
    }

    /// How many reads were refused.
    pub fn refused_reads(&self) -> u64 {
        self.refused_reads.load(Ordering::Relaxed)
    }

    /// From now on commits wait, as for a slow disk, until this is called with `false`.
    pub fn set_held(&self, held: bool) {
        *self.held.lock() = held;
        self.released.notify_all();
    }
}

impl Store for LossyStore {
    fn recover(&self) -> Result<Recovered, StoreError> {
        self.disk.lock().synced.recover()?;
        self.visible.recover()
    }

    fn commit(&self, group: &CommitGroup, durability: Durability) -> Result<(), StoreError> {
        self.released
            .wait_while(&mut self.held.lock(), |held| *held);
        assert!(
            !self.is_broken.load(Ordering::Relaxed),
            "the test wants a panic"
        );
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        let mut disk = self.disk.lock();
        disk.unsynced.push(group.clone());
        if durability == Durability::Fsync {
            for group in std::mem::take(&mut disk.unsynced) {
                apply(&disk.synced, &group);
            }
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.visible.commit(group, durability)
    }

    fn read(&self, queue: QueueId, record: &RecordRef) -> Result<Bytes, StoreError> {
        if self.is_unreadable.load(Ordering::Relaxed) {
            self.refused_reads.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Unavailable("too many open files".to_owned()));
        }
        self.visible.read(queue, record)
    }

    fn free_bytes(&self) -> Result<u64, StoreError> {
        Ok(if self.is_full.load(Ordering::Relaxed) {
            0
        } else {
            u64::MAX
        })
    }

    fn keep_free(&self, _: u64) {}
}

fn apply(store: &MemoryStore, group: &CommitGroup) {
    match store.commit(group, Durability::Fsync) {
        Ok(()) => {}
        Err(error) => unreachable!("a store in memory refuses nothing: {error}"),
    }
}
