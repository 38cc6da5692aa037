//! What of a group goes into a batch of the database.

use amphora_core::store::RecordId;
use bytes::Bytes;
use fjall::OwnedWriteBatch;
use xxhash_rust::xxh3::xxh3_64;

use super::engine::Engine;
use super::layout::changes::{Change, Data};
use super::layout::index::{self, IndexEntry};
use super::layout::{definition, segment};
use super::recent::Recent;
use crate::plan::{Plan, RecordChange};

/// What a group changes of records and settlements, which the index and the settlements need not say at once; and the data of records that
/// do not stand with it.
pub(super) fn changes_of<'a>(
    plan: &Plan<'a>,
    recent: &Recent,
    held_bytes_max: Option<usize>,
) -> (Vec<Change>, Vec<(RecordId, &'a Bytes)>) {
    let mut changes = Vec::with_capacity(plan.records.len() + plan.settlements.len());
    let mut apart = Vec::new();
    for (&id, change) in &plan.records {
        match *change {
            RecordChange::Append {
                queue,
                record,
                data,
            } => {
                let data = if Some(data.len()) <= held_bytes_max {
                    Data::Held(data.clone())
                } else {
                    apart.push((id, data));
                    Data::Apart(xxh3_64(data))
                };
                changes.push(Change::Appended(IndexEntry { queue, record }, data));
            }
            RecordChange::Remove { .. } if recent.has(id) => changes.push(Change::Removed(id)),
            RecordChange::Remove { .. } => {}
        }
    }
    for (&(queue, part), data) in &plan.settlements {
        changes.push(Change::Settled(queue, part, data.cloned()));
    }
    (changes, apart)
}

pub(super) fn put_definitions(engine: &Engine, plan: &Plan<'_>, batch: &mut OwnedWriteBatch) {
    for (core_key, value) in &plan.definitions {
        let key = definition::key(core_key);
        match value {
            Some(value) => {
                let value = definition::encode(&key, value);
                batch.insert(&engine.meta, key, value);
            }
            None => batch.remove(&engine.meta, key),
        }
    }
}

/// Removals are weak, for these keys are written once: they vanish with what they remove.
pub(super) fn remove_records(
    engine: &Engine,
    plan: &Plan<'_>,
    recent: &Recent,
    batch: &mut OwnedWriteBatch,
) {
    for (&id, change) in &plan.records {
        let RecordChange::Remove { queue, record } = change else {
            continue;
        };
        if !recent.has(id) {
            batch.remove_weak(&engine.idx, index::key(*queue, record));
        }
        if !recent.holds(id) {
            batch.remove_weak(&engine.seg, segment::key(id));
        }
    }
}
