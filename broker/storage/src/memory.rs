//! The store that forgets: for tests, and for a broker that is told not to persist.

use std::collections::BTreeMap;

use amphora_core::store::{
    CommitGroup, Durability, Part, QueueId, RecordId, RecordRef, Recovered, RecoveredQueue, Store,
    StoreError,
};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::plan::{Plan, RecordChange};
use crate::{damaged_record, kept};

/// A [`Store`] in memory.
///
/// It keeps the contract except for crashes: all is lost with the value. Records are kept as they were given, but for
/// small ones, which are copied. Every call takes one lock for as long as it runs.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    definitions: BTreeMap<Bytes, Bytes>,
    records: BTreeMap<RecordId, (QueueId, RecordRef, Bytes)>,
    settlements: BTreeMap<(QueueId, Part), Bytes>,
    next_record: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same content in a store of its own. Costs one entry per record; their bytes are shared.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            state: Mutex::new(self.state.lock().clone()),
        }
    }
}

impl Store for MemoryStore {
    fn recover(&self) -> Result<Recovered, StoreError> {
        let mut state = self.state.lock();
        state.records.retain(|_, (_, record, _)| !record.transient);
        Ok(state.recovered())
    }

    fn commit(&self, group: &CommitGroup, _durability: Durability) -> Result<(), StoreError> {
        self.state.lock().apply(group);
        Ok(())
    }

    fn read(&self, queue: QueueId, record: &RecordRef) -> Result<Bytes, StoreError> {
        match self.state.lock().records.get(&record.id) {
            Some((owner, stored, data)) if (*owner, stored.first) == (queue, record.first) => {
                Ok(data.clone())
            }
            _ => Err(damaged_record(queue, record, "it is not stored")),
        }
    }

    fn free_bytes(&self) -> Result<u64, StoreError> {
        Ok(u64::MAX)
    }

    fn keep_free(&self, _: u64) {}
}

impl State {
    fn apply(&mut self, group: &CommitGroup) {
        let plan = Plan::new(group, |id| self.records.contains_key(&id));
        self.next_record = self.next_record.max(plan.next_record);
        for (key, value) in plan.definitions {
            match value {
                Some(value) => self.definitions.insert(key.clone(), value.clone()),
                None => self.definitions.remove(key),
            };
        }
        for (part, data) in plan.settlements {
            match data {
                Some(data) => self.settlements.insert(part, data.clone()),
                None => self.settlements.remove(&part),
            };
        }
        for (id, change) in plan.records {
            match change {
                RecordChange::Append {
                    queue,
                    record,
                    data,
                } => {
                    self.records.insert(id, (queue, record, kept(data)));
                }
                RecordChange::Remove { .. } => {
                    self.records.remove(&id);
                }
            }
        }
    }

    fn recovered(&self) -> Recovered {
        let mut queues = BTreeMap::<QueueId, (Vec<RecordRef>, BTreeMap<Part, Bytes>)>::new();
        for (queue, record, _) in self.records.values() {
            queues.entry(*queue).or_default().0.push(*record);
        }
        for ((queue, part), data) in &self.settlements {
            let (_, settlement) = queues.entry(*queue).or_default();
            settlement.insert(*part, data.clone());
        }
        Recovered {
            definitions: self
                .definitions
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            queues: queues
                .into_iter()
                .map(|(queue, (mut records, settlement))| {
                    records.sort_by_key(|record| (record.first, record.id));
                    RecoveredQueue {
                        queue,
                        records,
                        settlement,
                    }
                })
                .collect(),
            next_record: self.next_record,
        }
    }
}
