//! Gives the space of removed records back to the disk, in a thread of its own.
//!
//! Removing a record only adds a removal; the space comes back when compaction merges the two, which an idle store never does.
//! But tables hold records by age, so all tables below the oldest record can be deleted whole. This is not journaled: after
//! a crash such records may be back, which does no harm without index entries, and they are dropped the next time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use amphora_core::store::StoreError;

use super::options::OpenError;
use super::{Shared, unavailable};

/// How often the thread looks whether something is due. Also how long a drained store must be quiet.
const PERIOD: Duration = Duration::from_secs(1);
/// A drained store is worth less removed data than [`Options::reclaim_bytes`](super::Options::reclaim_bytes) by this factor.
const DRAINED_FACTOR: u64 = 8;

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Reclaimer {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reclaimer {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, OpenError> {
        let (stop, stopped) = sync_channel(0);
        let weak = Arc::downgrade(shared);
        let thread = Builder::new()
            .name("amphora-reclaim".to_owned())
            .spawn(move || run(&weak, &stopped))
            .map_err(OpenError::io("start a thread for", shared.directory.path()))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Reclaimer {
    fn drop(&mut self) {
        self.stop = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that reclaims disk space had panicked");
        }
    }
}

fn run(shared: &Weak<Shared>, stopped: &Receiver<()>) {
    let mut removed_before = 0;
    while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        removed_before = reclaim_if_due(&shared, removed_before);
    }
}

/// Reclaims if enough was removed, or less if nothing is left and nothing was removed since the last look.
/// Answers how much was removed by now.
fn reclaim_if_due(shared: &Shared, removed_before: u64) -> u64 {
    let (removed, is_empty) = shared.writer.lock().removed();
    let drained = is_empty && removed == removed_before;
    let threshold = shared.options.reclaim_bytes / if drained { DRAINED_FACTOR } else { 1 };
    if removed >= threshold.max(1)
        && let Err(error) = reclaim(shared)
    {
        tracing::warn!(%error, "disk space could not be reclaimed");
    }
    removed
}

fn reclaim(shared: &Shared) -> Result<(), StoreError> {
    shared.with_engine(|engine| engine.await_flush(1).map_err(|error| unavailable(&error)))?;
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
