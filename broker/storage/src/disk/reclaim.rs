//! Gives the space of removed records back to the disk, in a thread of its own.
//!
//! Removing a record only adds a removal; the space comes back when compaction merges the two, which an idle store never does.
//! But tables hold records by age, so all tables below the oldest record can be deleted whole. This is not journaled: after
//! a crash such records may be back, which does no harm without index entries, and they are dropped the next time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use amphora_core::store::StoreError;

use super::options::OpenError;
use super::{Shared, unavailable};

/// How often the thread looks while something may soon be due, which is also how long a drained store must be quiet.
const PERIOD: Duration = Duration::from_secs(1);
/// A drained store is worth the work for less than [`Options::reclaim_bytes`](super::Options::reclaim_bytes), by this factor.
const DRAINED_FACTOR: u64 = 8;

/// Wakes the thread when there may be something for it.
#[derive(Debug)]
pub(super) struct Waker {
    sender: SyncSender<()>,
    /// The thread looks no more by itself. Changed only while the writer is locked.
    asleep: AtomicBool,
}

impl Waker {
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = sync_channel(1);
        let asleep = AtomicBool::new(true);
        (Self { sender, asleep }, receiver)
    }

    /// Enough was removed. Returns at once.
    pub(super) fn wake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
        match self.sender.try_send(()) {
            // The thread is awake already, or has ended because it panicked.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }

    /// The store is drained. A thread that looks by itself will notice.
    pub(super) fn wake_if_asleep(&self) {
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }
}

/// The running thread. It ends when the [`Waker`] is dropped, and dropping this waits for it.
#[derive(Debug)]
pub(super) struct Reclaimer {
    thread: Option<JoinHandle<()>>,
}

impl Reclaimer {
    pub(super) fn start(shared: &Arc<Shared>, woken: Receiver<()>) -> Result<Self, OpenError> {
        let weak = Arc::downgrade(shared);
        let thread = Builder::new()
            .name("amphora-reclaim".to_owned())
            .spawn(move || run(&weak, &woken))
            .map_err(OpenError::io("start a thread for", shared.directory.path()))?;
        Ok(Self {
            thread: Some(thread),
        })
    }
}

impl Drop for Reclaimer {
    fn drop(&mut self) {
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that reclaims disk space had panicked");
        }
    }
}

fn run(shared: &Weak<Shared>, woken: &Receiver<()>) {
    let mut drained_before = None;
    let mut asleep = true;
    loop {
        let told = if asleep {
            woken.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            woken.recv_timeout(PERIOD)
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if told == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        asleep = !look(&shared, &mut drained_before);
    }
}

/// Reclaims what is due. Returns whether there may be more to do soon, without anything being removed before.
fn look(shared: &Shared, drained_before: &mut Option<u64>) -> bool {
    let (removed, drained) = {
        let writer = shared.writer.lock();
        (writer.removed_bytes(), writer.drained_by())
    };
    let quiet = drained.is_some() && drained == *drained_before;
    *drained_before = drained;
    if is_due(shared, removed, quiet) {
        if let Err(error) = reclaim(shared) {
            tracing::warn!(%error, "disk space could not be reclaimed");
        }
        return true;
    }
    // What is on its way into tables is garbage too, once it is there.
    let is_flushing = || {
        let engine = shared.engine.read();
        engine
            .as_ref()
            .is_none_or(|engine| engine.flush_backlog() > 0)
    };
    if drained.is_some() && (!quiet || is_flushing()) {
        return true;
    }
    let writer = shared.writer.lock();
    let unchanged = writer.drained_by() == drained && writer.removed_bytes() == removed;
    shared.waker.asleep.store(unchanged, Ordering::Relaxed);
    !unchanged
}

/// Whether enough was removed or, if the store is drained and quiet, enough is left in its tables, all of it garbage.
fn is_due(shared: &Shared, removed: u64, drained_and_quiet: bool) -> bool {
    let threshold = shared.options.reclaim_bytes.max(1);
    let tables_hold = |bytes| {
        shared
            .engine
            .read()
            .as_ref()
            .is_some_and(|engine| engine.seg.disk_space() >= bytes)
    };
    removed >= threshold || drained_and_quiet && tables_hold(threshold.div_ceil(DRAINED_FACTOR))
}

fn reclaim(shared: &Shared) -> Result<(), StoreError> {
    {
        let mut writer = shared.writer.lock();
        let Some(below) = writer.reclaimable() else {
            return Ok(());
        };
        let _reclaiming = shared.reclaiming.lock();
        drop(writer);
        shared.with_engine(|engine| {
            engine
                .drop_segments_below(below)
                .map_err(|error| unavailable(&error))
        })?;
    }
    // Readers may still use the dropped tables; the database lets go of them when a memtable is rotated. It is also what
    // lets the journals go, now that the tables that were newer than theirs may be gone.
    shared.writer.lock().checkpoint(shared);
    Ok(())
}
