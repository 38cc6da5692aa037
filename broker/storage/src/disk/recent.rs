//! What the latest groups changed, and the index and the settlements do not say yet.
//!
//! Most records of a busy queue are gone a moment after they came, and a settlement is replaced as often. So a group
//! writes one entry with all that it changed of them, and with the data of small records ([`changes`]): one write to the
//! journal, however many queues there are. Only what is left after many groups goes to where it belongs: it is *folded*.
//! Here is the sum of the entries that are in the database and not folded.

use std::collections::BTreeMap;

use amphora_core::store::{Part, QueueId, RecordId, RecordRef};
use bytes::Bytes;
use fjall::OwnedWriteBatch;
use xxhash_rust::xxh3::xxh3_64;

use super::engine::{Engine, describe};
use super::layout::changes::{self, Change, Data};
use super::layout::index::{self, IndexEntry};
use super::layout::{segment, settlement};

/// How many entries folding may write and remove, about: a commit is late by a millisecond or two then.
const ENTRIES_MAX: usize = 1024;
/// How many bytes of records and settlements, which is seldom as much: what a few groups bring must fit several times, or records
/// that are gone a moment later go to where they belong; and while most stay, none are held.
const BYTES_MAX: usize = 4 << 20;
/// The largest records that an entry holds. The journal has one write for each larger one anyway.
pub(super) const HELD_BYTES_MAX: usize = 16 << 10;

/// The sum of what was not folded.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    /// The groups whose changes these are.
    groups: Vec<u64>,
    /// The records that were appended and are still there: the index has none of them, and `seg` none that is held.
    records: BTreeMap<RecordId, (IndexEntry, Data)>,
    /// How many records were appended, also those that are gone.
    appended: usize,
    /// The parts of settlements that changed, `None` for forgotten.
    settlements: BTreeMap<(QueueId, Part), Option<Bytes>>,
    /// How many bytes records and settlements have.
    bytes: usize,
}

impl Recent {
    /// Reads what the database has, or says what is damaged.
    pub(super) fn load(engine: &Engine) -> Result<Self, String> {
        let mut recent = Self::default();
        for entry in engine.meta.prefix(changes::PREFIX) {
            let (key, value) = entry.into_inner().map_err(|error| describe(&error))?;
            let group =
                changes::decode_key(&key).ok_or("the key of a group's changes is malformed")?;
            let changes = changes::decode(&key, &value)
                .map_err(|reason| format!("the changes of group {group} are damaged: {reason}"))?;
            recent.add(group, changes);
        }
        Ok(recent)
    }

    /// A group's entry is in the database.
    pub(super) fn add(&mut self, group: u64, changes: Vec<Change>) {
        self.groups.push(group);
        self.apply(changes.into_iter());
    }

    fn apply(&mut self, changes: impl Iterator<Item = Change>) {
        for change in changes {
            match change {
                Change::Appended(entry, data) => {
                    self.appended += 1;
                    self.bytes += data.held_bytes();
                    let before = self.records.insert(entry.record.id, (entry, data));
                    self.bytes -= before.map_or(0, |(_, data)| data.held_bytes());
                }
                Change::Removed(id) => {
                    let before = self.records.remove(&id);
                    self.bytes -= before.map_or(0, |(_, data)| data.held_bytes());
                }
                Change::Settled(queue, part, data) => {
                    self.bytes += length(data.as_ref());
                    let before = self.settlements.insert((queue, part), data);
                    self.bytes -= length(before.flatten().as_ref());
                }
            }
        }
    }

    /// Whether it would be too large with these.
    pub(super) fn is_full_with(&self, changes: &[Change]) -> bool {
        let bytes = changes.iter().map(Change::data_bytes).sum::<usize>();
        let entries = self.groups.len() + self.records.len() + self.settlements.len();
        entries + changes.len() > ENTRIES_MAX || self.bytes + bytes > BYTES_MAX
    }

    /// How many bytes of records and settlements it has.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether most of the records are gone that were appended; `None` if none was.
    pub(super) fn most_are_gone(&self) -> Option<bool> {
        (self.appended > 0).then_some(2 * self.records.len() < self.appended)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether the index does not have this record.
    pub(super) fn has(&self, id: RecordId) -> bool {
        self.records.contains_key(&id)
    }

    /// Whether `seg` does not have this record.
    pub(super) fn holds(&self, id: RecordId) -> bool {
        matches!(self.records.get(&id), Some((_, Data::Held(_))))
    }

    /// Where the data of a record are that the index does not have.
    pub(super) fn record(&self, queue: QueueId, record: &RecordRef) -> Option<&Data> {
        let is_same =
            |entry: &IndexEntry| entry.queue == queue && entry.record.first == record.first;
        self.records
            .get(&record.id)
            .filter(|(entry, _)| is_same(entry))
            .map(|(_, data)| data)
    }

    /// All such records, by id.
    pub(super) fn records(&self) -> impl Iterator<Item = &IndexEntry> {
        self.records.values().map(|(entry, _)| entry)
    }

    /// The parts of settlements that changed, `None` for forgotten.
    pub(super) fn settlements(&self) -> impl Iterator<Item = (QueueId, Part, Option<&Bytes>)> {
        self.settlements
            .iter()
            .map(|(&(queue, part), data)| (queue, part, data.as_ref()))
    }

    /// Puts all into the batch that goes to where it belongs, with the `changes` that come after it. When the batch is
    /// committed, nothing recent is left.
    pub(super) fn fold(&self, changes: &[Change], engine: &Engine, batch: &mut OwnedWriteBatch) {
        let mut sum = self.clone();
        // The database keeps what it is given, and a small record may be part of much more memory.
        sum.apply(changes.iter().map(Change::kept));
        for (entry, data) in sum.records.values() {
            let checksum = match data {
                Data::Held(data) => xxh3_64(data),
                Data::Apart(checksum) => *checksum,
            };
            batch.insert(
                &engine.idx,
                index::key(entry.queue, &entry.record),
                index::encode(entry.queue, &entry.record, checksum),
            );
            if let Data::Held(data) = data {
                batch.insert(&engine.seg, segment::key(entry.record.id), data.clone());
            }
        }
        for (queue, part, data) in sum.settlements() {
            let key = settlement::key(queue, part);
            match data {
                Some(data) => {
                    let value = settlement::encode(&key, data);
                    batch.insert(&engine.ack, key, value);
                }
                None => batch.remove(&engine.ack, key),
            }
        }
        for &group in &sum.groups {
            // The key was written once, so that it vanishes with what it removes.
            batch.remove_weak(&engine.meta, changes::key(group));
        }
    }
}

fn length(data: Option<&Bytes>) -> usize {
    data.map_or(0, Bytes::len)
}
