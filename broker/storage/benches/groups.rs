//! What the store does for each message of a group: `cargo bench -p amphora-storage`.
//!
//! Nothing is synced. By the clock, what the system takes to write to the journal is a part of it, and so is now and then a flush; in instructions,
//! neither is.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its result"
)]

#[path = "../../protocol/benches/rounds/mod.rs"]
mod rounds;

use std::hint::black_box;
use std::process::ExitCode;

use amphora_core::store::{
    CommitGroup, Durability, Part, QueueId, RecordId, RecordRef, Store, Write,
};
use amphora_storage::{FjallStore, Options};
use bytes::Bytes;
use tempfile::TempDir;

const QUEUES: u32 = 100;
/// How many groups of one queue are a round: what the database does for each has its share of chance.
const GROUPS: usize = 100;
/// How many a queue has in a record, and how long these are together.
const MESSAGES: u32 = 3;
const RECORD_BYTES: usize = 3 << 10;
/// More records than may gather before they go to where they belong (`ENTRIES_MAX` in `disk/recent.rs`).
const MANY: u32 = 1100;

fn main() -> ExitCode {
    rounds::Bench::run(|bench| {
        bench.prepared_case(
            "commit three messages of each of 100 queues",
            Disk::new,
            |disk| disk.replaced(QUEUES),
            |disk, group| disk.commit(group),
        );
        bench.prepared_case(
            "commit three messages of one queue",
            Disk::new,
            |disk| std::array::from_fn::<_, GROUPS, _>(|_| disk.replaced(1)),
            |disk, groups| groups.iter().map(|group| disk.commit(group)).sum(),
        );
        bench.prepared_case(
            "commit so many records that they go to where they belong",
            Disk::new,
            |disk| disk.appended(MANY),
            |disk, group| disk.commit(group),
        );
        bench.case("read such records back", || {
            let mut disk = Disk::new();
            let group = disk.appended(MANY);
            disk.commit(&group);
            move || {
                let records = group.writes.iter().filter_map(appended);
                for (queue, record) in (0..MANY).map(QueueId).zip(records) {
                    let data = disk.store.read(queue, &record);
                    black_box(data.expect("it is there"));
                }
                MANY * MESSAGES
            }
        });
    })
}

/// A store in a directory of its own.
struct Disk {
    store: FjallStore,
    next: u64,
    /// The records of the group before, each in a queue of its own.
    before: Vec<RecordRef>,
    // It goes after the store that is in it.
    _directory: TempDir,
}

impl Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = FjallStore::open(directory.path().join("data"), Options::default());
        Self {
            store: store.expect("it opens"),
            next: 0,
            before: Vec::new(),
            _directory: directory,
        }
    }

    /// Returns how many messages there are.
    fn commit(&self, group: &CommitGroup) -> u32 {
        self.store
            .commit(group, Durability::Os)
            .expect("there is room");
        let records = group.writes.iter().filter_map(appended);
        records.map(|record| record.count).sum()
    }

    /// A record for each of so many queues.
    fn appended(&mut self, queues: u32) -> CommitGroup {
        let data = Bytes::from(vec![b'.'; RECORD_BYTES]);
        let append = |queue| {
            let first = self.next;
            self.next += u64::from(MESSAGES);
            let record = RecordRef {
                id: RecordId(first),
                first,
                last: self.next - 1,
                count: MESSAGES,
                bytes: u32::try_from(RECORD_BYTES).expect("small"),
                transient: false,
                bodies: None,
            };
            Write::Append {
                queue,
                record,
                data: data.clone(),
            }
        };
        let writes = (0..queues).map(QueueId).map(append).collect();
        CommitGroup { writes }
    }

    /// The same, and what was there before is settled and goes.
    fn replaced(&mut self, queues: u32) -> CommitGroup {
        let mut group = self.appended(queues);
        let records = group.writes.iter().filter_map(appended).collect();
        let before = std::mem::replace(&mut self.before, records);
        for (queue, record) in (0..queues).map(QueueId).zip(before) {
            group.writes.push(Write::Settle {
                queue,
                part: Part::WHOLE,
                data: Bytes::from_static(&[0; 16]),
            });
            group.writes.push(Write::Remove { queue, record });
        }
        group
    }
}

fn appended(write: &Write) -> Option<RecordRef> {
    match write {
        Write::Append { record, .. } => Some(*record),
        _ => None,
    }
}
