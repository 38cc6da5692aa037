//! Applies groups, one at a time, and gets the database back on its feet when that fails.

use std::sync::atomic::Ordering;

use amphora_core::store::{CommitGroup, Durability, RecordId, StoreError};

use super::ahead::Ahead;
use super::directory::DataDirectory;
use super::engine::Engine;
use super::layout::changes;
use super::layout::counters::{self, Counters};
use super::layout::index::IndexEntry;
use super::layout::{definition, segment};
use super::live::LiveSet;
use super::options::OpenError;
use super::recent::{HELD_BYTES_MAX, Recent};
use super::space::Space;
use super::{Shared, batch, recovery, repair, unavailable};
use crate::kept;
use crate::plan::{Plan, RecordChange};

/// What an entry takes in the memtable beside its key and value, about.
const ENTRY_BYTES: u64 = 128;
/// How many memtables of a keyspace may wait to be flushed.
const FLUSH_BACKLOG_MAX: usize = 2;

/// When what is recent goes to where it belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    IfFull,
    Always,
}

/// What only one commit at a time may use.
pub(super) struct Writer {
    /// The last group that was acknowledged.
    counters: Counters,
    /// The stored records; unknown until first needed.
    live: Option<LiveSet>,
    /// What gathered in memory and in the journals since the last checkpoint, about.
    unflushed_bytes: u64,
    ahead: Ahead,
    space: Space,
    /// The largest records that the entries of groups hold. None while most records stay, as these would be written twice.
    held_bytes_max: Option<usize>,
    /// What was removed since tables were last dropped.
    removed_bytes: u64,
    /// The database refused a write and must be opened anew.
    failed: bool,
}

impl Writer {
    /// For a database that was just opened and whose newest journal holds that much.
    pub(super) fn new(
        engine: &Engine,
        directory: &DataDirectory,
        journal_bytes: u64,
    ) -> Result<Self, OpenError> {
        let path = directory.database();
        let counters = match engine
            .meta
            .get(counters::KEY)
            .map_err(OpenError::database(&path))?
        {
            None => Counters::default(),
            Some(value) => Counters::decode(&value).map_err(|reason| OpenError::Database {
                directory: path,
                reason: format!("the store's counters are damaged: {reason}"),
            })?,
        };
        Ok(Self {
            counters,
            live: None,
            unflushed_bytes: journal_bytes,
            ahead: Ahead::default(),
            space: Space::default(),
            held_bytes_max: Some(HELD_BYTES_MAX),
            removed_bytes: 0,
            failed: false,
        })
    }

    /// Applies a group, see [`Store::commit`](amphora_core::store::Store::commit).
    pub(super) fn commit(
        &mut self,
        shared: &Shared,
        group: &CommitGroup,
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.reopen_if_failed(shared)?;
        let live = self.load_live(shared)?;
        let plan = Plan::new(group, |id| live.contains(id));
        check_keys(&plan)?;
        self.space.require(shared, &plan)?;
        let _no_reclaim = self
            .appends_out_of_order(&plan)
            .then(|| shared.reclaiming.lock());
        self.apply(shared, &plan, Fold::IfFull, durability)?;
        self.follow(shared, &plan, durability);
        Ok(())
    }

    /// The stored records, read from the index the first time.
    pub(super) fn load_live(&mut self, shared: &Shared) -> Result<&mut LiveSet, StoreError> {
        if self.live.is_none() {
            self.scan_records(shared)?;
        }
        Ok(self.live.get_or_insert_default())
    }

    /// Reads the index, and what it does not have yet. What the tables hold beyond it counts as removed, and so is reclaimed in time.
    pub(super) fn scan_records(&mut self, shared: &Shared) -> Result<Vec<IndexEntry>, StoreError> {
        let (mut entries, table_bytes) = shared
            .with_engine(|engine| Ok((recovery::scan_index(engine)?, engine.seg.disk_space())))?;
        entries.extend(shared.recent.read().records().cloned());
        let mut live = LiveSet::default();
        let mut live_bytes = 0;
        for entry in &entries {
            live.insert(entry.record.id);
            live_bytes += u64::from(entry.record.bytes);
            self.counters.next_record = self
                .counters
                .next_record
                .max(entry.record.id.0.saturating_add(1));
        }
        self.live = Some(live);
        self.removed_bytes = table_bytes.saturating_sub(live_bytes);
        shared.waker.wake();
        Ok(entries)
    }

    pub(super) fn next_record(&self) -> u64 {
        self.counters.next_record
    }

    /// Opens the database anew if it failed, so that exactly the acknowledged groups are in it.
    pub(super) fn reopen_if_failed(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if !self.failed {
            return Ok(());
        }
        // Until there is space, the failed database serves reads.
        let reserve = shared.reserve.load(Ordering::Relaxed);
        shared.require_space(repair::space_for_repair(&shared.directory), reserve)?;
        let mut engine = shared.engine.write();
        *engine = None;
        let reopened = repair::repair_after_failure(&shared.directory, self.counters.group)
            .and_then(|journal_bytes| {
                self.unflushed_bytes = journal_bytes;
                Engine::open(&shared.directory.database(), &shared.options)
            });
        let loaded = reopened.and_then(|opened| {
            // What was recent has parts of the old database's memory.
            let recent = Recent::load(&opened);
            let recent =
                recent.map_err(OpenError::damaged_database(&shared.directory.database()))?;
            Ok((opened, recent))
        });
        let (opened, recent) = loaded.map_err(|error| {
            tracing::error!(%error, "the database cannot be opened again");
            StoreError::Unavailable(error.to_string())
        })?;
        tracing::info!("the database is open again");
        *engine = Some(opened);
        *shared.recent.write() = recent;
        self.failed = false;
        Ok(())
    }

    /// Folds and flushes what gathered in memory and lets the journals go, unless flushing lags behind already.
    ///
    /// Of no consequence for what was committed: if it fails, the next commit opens the database anew.
    pub(super) fn checkpoint(&mut self, shared: &Shared) {
        let is_idle =
            |engine: &Engine| engine.flush_backlog() < FLUSH_BACKLOG_MAX && engine.takes_flushes();
        if self.failed || !shared.engine.read().as_ref().is_some_and(is_idle) {
            return;
        }
        // So that tables hold records by age, and recent ones keep nothing in memory that memtables do not. A group of its own,
        // so that it stays if what follows is only half done.
        let is_folded = shared.recent.read().is_empty();
        if !is_folded {
            let nothing = Plan::default();
            let folded = self.apply(shared, &nothing, Fold::Always, Durability::Os);
            if folded.is_err() {
                return;
            }
        }
        let counters = Counters {
            group: self.counters.group + 1,
            ..self.counters
        };
        match shared.with_engine(|engine| {
            engine
                .checkpoint(counters)
                .map_err(|error| unavailable(&error))
        }) {
            Ok(()) => {
                self.counters = counters;
                self.unflushed_bytes = 0;
            }
            Err(error) => self.fail(&error),
        }
    }

    /// The record below which none exists, so that the tables below it are garbage; `None` while that is unknown or of no use.
    pub(super) fn reclaimable(&mut self) -> Option<RecordId> {
        let lowest = self.live.as_ref().filter(|_| !self.failed)?.lowest();
        self.removed_bytes = 0;
        Some(lowest.unwrap_or(RecordId(self.counters.next_record)))
    }

    /// What was removed since tables were last dropped.
    pub(super) fn removed_bytes(&self) -> u64 {
        self.removed_bytes
    }

    /// The last group, if no record is left after it.
    pub(super) fn drained_by(&self) -> Option<u64> {
        let is_empty = self.live.as_ref().is_some_and(LiveSet::is_empty);
        is_empty.then_some(self.counters.group)
    }

    fn apply(
        &mut self,
        shared: &Shared,
        plan: &Plan<'_>,
        fold: Fold,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let counters = Counters {
            group: self.counters.group + 1,
            synced: self.counters.synced,
            next_record: self.counters.next_record.max(plan.next_record),
        };
        let (mut changes, apart) =
            batch::changes_of(plan, &shared.recent.read(), self.held_bytes_max);
        let folds = fold == Fold::Always || shared.recent.read().is_full_with(&changes);
        let throttle = self.unflushed_bytes > shared.options.memtable_bytes.saturating_mul(2);
        let result = shared.with_engine(|engine| {
            if throttle {
                engine
                    .await_flush(FLUSH_BACKLOG_MAX)
                    .map_err(|error| unavailable(&error))?;
            }
            let mut batch = engine.batch(durability, counters, plan.entries() + 1);
            let recent = shared.recent.read();
            if folds {
                recent.fold(&changes, engine, &mut batch);
            } else if !changes.is_empty() {
                let key = changes::key(counters.group);
                let value = changes::encode(&key, &mut changes);
                batch.insert(&engine.meta, key, value);
            }
            batch::put_definitions(engine, plan, &mut batch);
            for &(id, data) in &apart {
                batch.insert(&engine.seg, segment::key(id), kept(data));
            }
            batch::remove_records(engine, plan, &recent, &mut batch);
            drop(recent);
            batch.commit().map_err(|error| unavailable(&error))
        });
        if let Err(error) = result {
            self.fail(&error);
            return Err(error);
        }
        if folds {
            self.ahead.lose_count();
            let recent = std::mem::take(&mut *shared.recent.write());
            // The journals have these a second time.
            self.unflushed_bytes += recent.bytes() as u64;
            if let Some(gone) = recent.most_are_gone() {
                self.held_bytes_max = gone.then_some(HELD_BYTES_MAX);
            }
        } else if !changes.is_empty() {
            shared.recent.write().add(counters.group, changes);
        }
        self.counters = counters;
        if durability == Durability::Fsync {
            self.counters.synced = counters.group;
        }
        Ok(())
    }

    /// Keeps the books on a group that was applied, and does what is due after it.
    fn follow(&mut self, shared: &Shared, plan: &Plan<'_>, durability: Durability) {
        // As many again for what is folded, the changes and the counters.
        let (bytes, entries) = (plan.bytes(), plan.entries() as u64 + 1);
        self.unflushed_bytes += bytes + 2 * entries * ENTRY_BYTES;
        let live = self.live.get_or_insert_default();
        for (id, change) in &plan.records {
            match change {
                RecordChange::Append { .. } => live.insert(*id),
                RecordChange::Remove { record, .. } => {
                    live.remove(*id);
                    self.removed_bytes = self.removed_bytes.saturating_add(u64::from(record.bytes));
                }
            }
        }
        if self.removed_bytes >= shared.options.reclaim_bytes {
            shared.waker.wake();
        } else if self.removed_bytes > 0 && self.drained_by().is_some() {
            shared.waker.wake_if_asleep();
        }
        if self.unflushed_bytes > shared.options.memtable_bytes {
            self.checkpoint(shared);
        }
        // One of the entries is for the counters and what frames the group.
        let written = bytes + entries * ENTRY_BYTES;
        if self.ahead.is_due_after(written, durability) && !self.failed {
            self.ahead.prepare(shared);
        }
    }

    /// Ids rise from group to group. Should one not, its table could land among those that are being dropped.
    fn appends_out_of_order(&self, plan: &Plan<'_>) -> bool {
        let is_append = |change: &RecordChange<'_>| matches!(change, RecordChange::Append { .. });
        plan.records
            .range(..RecordId(self.counters.next_record))
            .any(|(_, change)| is_append(change))
    }

    fn fail(&mut self, error: &StoreError) {
        tracing::error!(%error, "a write failed; the next commit opens the database anew");
        self.failed = true;
    }
}

/// The database refuses longer keys by a panic.
fn check_keys(plan: &Plan<'_>) -> Result<(), StoreError> {
    match plan
        .definitions
        .keys()
        .find(|key| key.len() > definition::KEY_BYTES_MAX)
    {
        Some(key) => Err(StoreError::Unavailable(format!(
            "a definition's key has {} bytes, at most {} are possible",
            key.len(),
            definition::KEY_BYTES_MAX
        ))),
        None => Ok(()),
    }
}
