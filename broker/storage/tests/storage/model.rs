//! Random groups and restarts, against a model and each other.

use std::collections::BTreeMap;

use amphora_core::store::{
    BodiesRef, CommitGroup, Durability, Part, QueueId, RecordId, RecordRef, Recovered,
    RecoveredQueue, Store, Write,
};
use amphora_storage::testing::LossyStore;
use amphora_storage::{MemoryStore, Options};
use arbtest::arbitrary::{Result, Unstructured};
use bytes::Bytes;

use crate::{Data, data};

/// What must be there, by the simplest means.
#[derive(Clone, Default)]
struct Model {
    definitions: BTreeMap<Bytes, Bytes>,
    records: BTreeMap<(QueueId, u64), (RecordRef, Bytes)>,
    settlements: BTreeMap<(QueueId, Part), Bytes>,
    next_record: u64,
}

impl Model {
    /// A group of up to eight writes that the core could issue.
    fn group(&mut self, u: &mut Unstructured<'_>) -> Result<CommitGroup> {
        let mut group = CommitGroup::default();
        let removable: Vec<_> = self
            .records
            .iter()
            .map(|((queue, _), (record, _))| (*queue, *record))
            .collect();
        for _ in 0..u.int_in_range(0..=8)? {
            let queue = QueueId(u.int_in_range(0..=3)?);
            let write = match u.int_in_range(0..=7)? {
                0 => Write::PutDefinition {
                    key: key(u)?,
                    value: data(u.arbitrary()?, u.int_in_range(0..=40)?),
                },
                1 => Write::DeleteDefinition { key: key(u)? },
                2 => Write::Settle {
                    queue,
                    part: Part(u.int_in_range(0..=2)?),
                    data: data(u.arbitrary()?, u.int_in_range(0..=40)?),
                },
                3 => Write::Forget {
                    queue,
                    part: Part(u.int_in_range(0..=2)?),
                },
                4 | 5 if !removable.is_empty() => {
                    let (queue, record) = *u.choose(&removable)?;
                    Write::Remove { queue, record }
                }
                _ => self.append(queue, u)?,
            };
            self.apply(&write);
            group.writes.push(write);
        }
        Ok(group)
    }

    fn append(&mut self, queue: QueueId, u: &mut Unstructured<'_>) -> Result<Write> {
        let id = self.next_record;
        // Large ones are stored otherwise than small ones.
        let bytes_max = if u.ratio(1, 8)? { 40_000 } else { 3000 };
        let data = data(id, u.int_in_range(0..=bytes_max)?);
        let count = u.int_in_range(1..=9)?;
        let record = RecordRef {
            id: RecordId(id),
            first: id * 10,
            last: id * 10 + u64::from(count) - 1,
            count,
            bytes: data.len().try_into().expect("small"),
            transient: u.ratio(1, 8)?,
            bodies: if u.ratio(1, 4)? {
                let (record, bytes) = (RecordId(u.arbitrary()?), u.arbitrary()?);
                Some(BodiesRef { record, bytes })
            } else {
                None
            },
        };
        Ok(Write::Append {
            queue,
            record,
            data,
        })
    }

    fn apply(&mut self, write: &Write) {
        match write.clone() {
            Write::PutDefinition { key, value } => drop(self.definitions.insert(key, value)),
            Write::DeleteDefinition { key } => drop(self.definitions.remove(&key)),
            Write::Append {
                queue,
                record,
                data,
            } => {
                self.next_record = record.id.0 + 1;
                self.records.insert((queue, record.first), (record, data));
            }
            Write::Remove { queue, record } => drop(self.records.remove(&(queue, record.first))),
            Write::Settle { queue, part, data } => {
                self.settlements.insert((queue, part), data);
            }
            Write::Forget { queue, part } => drop(self.settlements.remove(&(queue, part))),
        }
    }

    /// Forgets what does not survive a restart, and says what must be found after it.
    fn restart(&mut self) -> Recovered {
        self.records.retain(|_, (record, _)| !record.transient);
        let mut queues = BTreeMap::<QueueId, RecoveredQueue>::new();
        let empty = |queue| RecoveredQueue {
            queue,
            records: vec![],
            settlement: BTreeMap::new(),
        };
        for ((queue, _), (record, _)) in &self.records {
            queues
                .entry(*queue)
                .or_insert_with(|| empty(*queue))
                .records
                .push(*record);
        }
        for ((queue, part), data) in &self.settlements {
            queues
                .entry(*queue)
                .or_insert_with(|| empty(*queue))
                .settlement
                .insert(*part, data.clone());
        }
        Recovered {
            definitions: self.definitions.clone().into_iter().collect(),
            queues: queues.into_values().collect(),
            next_record: self.next_record,
        }
    }

    fn check(&mut self, store: &dyn Store) {
        assert_eq!(store.recover().expect("recovers"), self.restart());
        self.check_reads(store);
    }

    fn check_reads(&self, store: &dyn Store) {
        for ((queue, _), (record, data)) in &self.records {
            assert_eq!(store.read(*queue, record).expect("is stored"), data);
        }
    }
}

fn key(u: &mut Unstructured<'_>) -> Result<Bytes> {
    Ok(Bytes::copy_from_slice(
        u.choose(&["a", "b", "c", ""])?.as_bytes(),
    ))
}

fn durability(u: &mut Unstructured<'_>) -> Result<Durability> {
    Ok(if u.ratio(1, 5)? {
        Durability::Fsync
    } else {
        Durability::Os
    })
}

#[test]
fn both_stores_do_as_the_model() {
    arbtest::arbtest(|u| {
        let home = Data::new();
        // So little that most groups flush and reclaim.
        let options = Options {
            memtable_bytes: 8 * 1024,
            reclaim_bytes: 1,
            ..Options::default()
        };
        let (mut model, memory) = (Model::default(), MemoryStore::new());
        let mut disk = home.open_with(options.clone());
        while !u.is_empty() {
            let group = model.group(u)?;
            let durability = durability(u)?;
            // Sometimes twice, as after an error of which it is unknown how far it got.
            for _ in 0..u.int_in_range(1..=2)? {
                memory.commit(&group, durability).expect("commits");
                disk.commit(&group, durability).expect("commits");
            }
            if u.ratio(1, 10)? {
                drop(disk);
                disk = home.open_with(options.clone());
                model.check(&disk);
                model.check(&memory);
            }
        }
        model.check_reads(&disk);
        model.check_reads(&memory);
        drop(disk);
        model.check(&home.open_with(options));
        model.check(&memory);
        Ok(())
    })
    .budget_ms(2500)
    .size_min(200)
    .size_max(3000);
}

/// So many groups with few flushes that what is recent goes to where it belongs several times.
#[test]
fn what_many_groups_changed_is_found_also_after_a_restart() {
    arbtest::arbtest(|u| {
        let home = Data::new();
        // From a flush now and then to none.
        let options = Options {
            memtable_bytes: *u.choose(&[256 << 10, 2 << 20, 24 << 20])?,
            ..Options::default()
        };
        let mut model = Model::default();
        let mut disk = home.open_with(options.clone());
        while !u.is_empty() {
            let group = model.group(u)?;
            for _ in 0..u.int_in_range(1..=2)? {
                disk.commit(&group, Durability::Os).expect("commits");
            }
            if u.ratio(1, 500)? {
                model.check_reads(&disk);
                drop(disk);
                disk = home.open_with(options.clone());
                model.check(&disk);
            }
        }
        model.check_reads(&disk);
        drop(disk);
        model.check(&home.open());
        Ok(())
    })
    .budget_ms(2500)
    .size_min(100_000)
    .size_max(200_000);
}

#[test]
fn a_group_may_change_more_than_is_kept_as_recent() {
    let home = Data::new();
    let disk = home.open();
    let appends = |ids: std::ops::Range<u64>| crate::group(ids.map(|id| crate::append(1, id, 10)));
    let commit = |group: &CommitGroup| disk.commit(group, Durability::Os).expect("commits");
    commit(&appends(1..10));
    commit(&appends(10..3000));
    commit(&appends(3000..3010));
    assert_eq!(crate::ids(&disk), (1..3010).collect::<Vec<_>>());
    let removed = (2..3009).map(|id| crate::remove(1, id, 10));
    commit(&crate::group(removed));
    assert_eq!(crate::ids(&disk), [1, 3009]);
    drop(disk);
    assert_eq!(crate::ids(&home.open()), [1, 3009]);
}

#[test]
fn a_lossy_store_keeps_what_was_synced() {
    arbtest::arbtest(|u| {
        let mut store = LossyStore::new();
        // The model after each group that a loss of power could take, the synced one first.
        let mut states = vec![Model::default()];
        while !u.is_empty() {
            let mut model = states.last().cloned().unwrap_or_default();
            let group = model.group(u)?;
            let durability = durability(u)?;
            store.commit(&group, durability).expect("commits");
            model.check_reads(&store);
            if durability == Durability::Fsync {
                states.clear();
            }
            states.push(model);
            assert_eq!(store.unsynced(), states.len() - 1);
            if u.ratio(1, 6)? {
                let kept = u.int_in_range(0..=states.len() - 1)?;
                store = store.crash(kept);
                let mut survivor = states.swap_remove(kept);
                survivor.check(&store);
                states = vec![survivor];
            }
        }
        Ok(())
    });
}

#[test]
fn a_full_lossy_store_refuses_until_there_is_space() {
    let store = LossyStore::new();
    let group = crate::group([crate::append(1, 1, 10)]);
    store.set_full(true);
    assert_eq!(store.free_bytes().expect("known"), 0);
    store
        .commit(&group, Durability::Fsync)
        .expect_err("is full");
    assert_eq!(crate::ids(&store), [0; 0]);
    store.set_full(false);
    store.commit(&group, Durability::Fsync).expect("has space");
    assert_eq!((crate::ids(&store), store.commits()), (vec![1], 1));
}

#[test]
fn a_held_lossy_store_commits_when_it_is_released() {
    let store = LossyStore::new();
    store.set_held(true);
    std::thread::scope(|scope| {
        let committer = scope
            .spawn(|| store.commit(&crate::group([crate::append(1, 1, 10)]), Durability::Fsync));
        assert_eq!(store.commits(), 0);
        store.set_held(false);
        committer.join().expect("ends").expect("commits");
    });
    assert_eq!(store.commits(), 1);
}
