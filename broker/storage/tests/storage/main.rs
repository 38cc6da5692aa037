//! Both stores against the contract, and the one on disk against crashes, damage and a full disk.

mod crash;
mod damage;
mod disk_full;
mod model;
mod opening;
mod space;
mod suite;
mod torn;

use std::path::PathBuf;

use amphora_core::store::{
    CommitGroup, Durability, Part, QueueId, RecordId, RecordRef, Store, Write,
};
use amphora_storage::{FjallStore, Options};
use bytes::Bytes;
use tempfile::TempDir;

/// A data directory that is removed with the value.
struct Data {
    directory: TempDir,
}

impl Data {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Does not exist yet.
    fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn open(&self) -> FjallStore {
        self.open_with(Options::default())
    }

    fn open_with(&self, options: Options) -> FjallStore {
        FjallStore::open(self.path(), options).expect("the store opens")
    }
}

fn group(writes: impl IntoIterator<Item = Write>) -> CommitGroup {
    CommitGroup {
        writes: writes.into_iter().collect(),
    }
}

fn commit(store: &dyn Store, writes: impl IntoIterator<Item = Write>) {
    store
        .commit(&group(writes), Durability::Fsync)
        .expect("the commit succeeds");
}

/// A record with ten messages that begins at position ten times its id.
fn record(id: u64, data: &Bytes) -> RecordRef {
    RecordRef {
        id: RecordId(id),
        first: id * 10,
        last: id * 10 + 9,
        count: 10,
        bytes: data.len().try_into().expect("small"),
        transient: false,
        bodies: None,
    }
}

/// Bytes that differ from record to record and are never all zero.
fn data(id: u64, bytes: usize) -> Bytes {
    (!id)
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(bytes)
        .collect()
}

fn append(queue: u32, id: u64, bytes: usize) -> Write {
    let data = data(id, bytes);
    Write::Append {
        queue: QueueId(queue),
        record: record(id, &data),
        data,
    }
}

fn remove(queue: u32, id: u64, bytes: usize) -> Write {
    Write::Remove {
        queue: QueueId(queue),
        record: record(id, &data(id, bytes)),
    }
}

fn settle(queue: u32, part: u64, text: &'static str) -> Write {
    Write::Settle {
        queue: QueueId(queue),
        part: Part(part),
        data: Bytes::from_static(text.as_bytes()),
    }
}

fn forget(queue: u32, part: u64) -> Write {
    Write::Forget {
        queue: QueueId(queue),
        part: Part(part),
    }
}

fn put(key: &'static str, value: &'static str) -> Write {
    Write::PutDefinition {
        key: Bytes::from_static(key.as_bytes()),
        value: Bytes::from_static(value.as_bytes()),
    }
}

fn delete(key: &'static str) -> Write {
    Write::DeleteDefinition {
        key: Bytes::from_static(key.as_bytes()),
    }
}

/// The ids of all records that are recovered, each of which must be readable and as it was appended.
fn ids(store: &dyn Store) -> Vec<u64> {
    let recovered = store.recover().expect("the store recovers");
    let mut ids = Vec::new();
    for queue in &recovered.queues {
        for record in &queue.records {
            let read = store
                .read(queue.queue, record)
                .expect("a recovered record is readable");
            assert_eq!(
                read,
                data(record.id.0, read.len()),
                "record {} of queue {}",
                record.id.0,
                queue.queue.0
            );
            assert_eq!(read.len(), record.bytes as usize);
            assert!(record.id.0 < recovered.next_record);
            ids.push(record.id.0);
        }
    }
    ids.sort_unstable();
    ids
}
