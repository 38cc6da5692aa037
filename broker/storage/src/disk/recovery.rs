//! Reads what the core needs to start.

use std::collections::BTreeMap;

use amphora_core::store::{
    CommitGroup, Durability, Part, QueueId, Recovered, RecoveredQueue, StoreError, Write,
};
use bytes::Bytes;

use super::engine::{Engine, describe, is_unavailable};
use super::layout::index::{self, IndexEntry};
use super::layout::{MARKER, definition, settlement};
use super::writer::Writer;
use super::{Shared, unavailable};

impl Writer {
    /// See [`Store::recover`](amphora_core::store::Store::recover).
    pub(super) fn recover(&mut self, shared: &Shared) -> Result<Recovered, StoreError> {
        self.reopen_if_failed(shared)?;
        let entries = self.scan_records(shared)?;
        let (transient, entries): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| entry.record.transient);
        self.remove_transient(shared, transient);
        let mut settlements = shared.with_engine(scan_settlements)?;
        for (queue, part, data) in shared.recent.read().settlements() {
            let parts = settlements.entry(queue).or_default();
            match data {
                Some(data) => parts.insert(part, data.clone()),
                None => parts.remove(&part),
            };
            if parts.is_empty() {
                settlements.remove(&queue);
            }
        }
        Ok(Recovered {
            definitions: shared.with_engine(scan_definitions)?,
            queues: by_queue(entries, settlements),
            next_record: self.next_record(),
        })
    }

    /// If that fails, as on a full disk, they are left for the next start.
    fn remove_transient(&mut self, shared: &Shared, entries: Vec<IndexEntry>) {
        if entries.is_empty() {
            return;
        }
        let remove = |entry: IndexEntry| Write::Remove {
            queue: entry.queue,
            record: entry.record,
        };
        let group = CommitGroup {
            writes: entries.into_iter().map(remove).collect(),
        };
        if let Err(error) = self.commit(shared, &group, Durability::Os) {
            tracing::warn!(%error, "the messages that were only swapped out are not removed");
        }
    }
}

/// All index entries, by queue and position.
pub(super) fn scan_index(engine: &Engine) -> Result<Vec<IndexEntry>, StoreError> {
    let mut entries = Vec::new();
    for entry in engine.idx.iter() {
        let (key, value) = entry
            .into_inner()
            .map_err(|error| damaged("the index of the records", &error))?;
        if *key != MARKER {
            let (entry, _) =
                index::decode(&key, &value).map_err(|reason| damaged_index_entry(&key, reason))?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// What is known of the settled messages of a queue, by part.
type Settlement = BTreeMap<Part, Bytes>;

fn scan_settlements(engine: &Engine) -> Result<BTreeMap<QueueId, Settlement>, StoreError> {
    let mut settlements = BTreeMap::<QueueId, Settlement>::new();
    for entry in engine.ack.iter() {
        let (key, value) = entry
            .into_inner()
            .map_err(|error| damaged("a queue's settlement", &error))?;
        let Some((queue, part)) = settlement::decode_key(&key) else {
            continue;
        };
        let data = settlement::decode(&key, &value).map_err(|reason| StoreError::Damaged {
            what: format!("the settlement of queue {}", queue.0),
            reason,
        })?;
        settlements.entry(queue).or_default().insert(part, data);
    }
    Ok(settlements)
}

fn scan_definitions(engine: &Engine) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
    engine
        .meta
        .prefix(definition::PREFIX)
        .map(|entry| {
            let (key, value) = entry
                .into_inner()
                .map_err(|error| damaged("a definition", &error))?;
            definition::decode(&key, &value).map_err(|reason| {
                let name =
                    String::from_utf8_lossy(key.strip_prefix(&definition::PREFIX).unwrap_or(&key))
                        .into_owned();
                StoreError::Damaged {
                    what: format!("the definition {name:?}"),
                    reason,
                }
            })
        })
        .collect()
}

fn by_queue(
    mut entries: Vec<IndexEntry>,
    mut settlements: BTreeMap<QueueId, Settlement>,
) -> Vec<RecoveredQueue> {
    entries.sort_by_key(|entry| (entry.queue, entry.record.first, entry.record.id));
    let mut queues: Vec<RecoveredQueue> = Vec::new();
    for entry in entries {
        match queues.last_mut().filter(|last| last.queue == entry.queue) {
            Some(last) => last.records.push(entry.record),
            None => queues.push(RecoveredQueue {
                queue: entry.queue,
                records: vec![entry.record],
                settlement: settlements.remove(&entry.queue).unwrap_or_default(),
            }),
        }
    }
    let settled_only = settlements
        .into_iter()
        .map(|(queue, settlement)| RecoveredQueue {
            queue,
            records: Vec::new(),
            settlement,
        });
    queues.extend(settled_only);
    queues.sort_by_key(|queue| queue.queue);
    queues
}

fn damaged(what: &str, error: &fjall::Error) -> StoreError {
    if is_unavailable(error) {
        return unavailable(error);
    }
    StoreError::Damaged {
        what: what.to_owned(),
        reason: describe(error),
    }
}

fn damaged_index_entry(key: &[u8], reason: String) -> StoreError {
    let what = match index::decode_key(key) {
        Some((queue, first, id)) => format!(
            "record {} of queue {} (from position {first} on)",
            id.0, queue.0
        ),
        None => "an entry in the index of the records".to_owned(),
    };
    StoreError::Damaged { what, reason }
}
