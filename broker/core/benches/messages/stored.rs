//! Messages to the store and back.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

use amphora_core::queue::{Queue, Records, Taking, recover};
use amphora_core::store::{CommitGroup, QueueId, RecordId, RecordRef, RecoveredQueue, Write};
use bytes::Bytes;

use crate::queues::{BATCH, Connection, Publishes};
use crate::rounds::Bench;

const BATCHES: u32 = 10;

pub(crate) fn cases(bench: &Bench) {
    bench.prepared_case(
        "take a message for the store",
        || Records::starting_at(0),
        |_| filled(),
        |records, queue| {
            black_box(committed(queue, records));
            BATCHES * BATCH
        },
    );
    bench.prepared_case(
        "read a message back from the store",
        || as_found(committed(&mut filled(), &mut Records::starting_at(0))),
        |(found, _)| recover(found.clone()).expect("it is what was stored"),
        |(_, stored), queue| {
            let read_back = read_all(queue, stored);
            assert_eq!(read_back, u64::from(BATCHES * BATCH));
            BATCHES * BATCH
        },
    );
}

/// A durable queue with persistent messages.
fn filled() -> Queue<()> {
    let mut queue = Queue::new(QueueId(1), true);
    let batch = Publishes::new(true);
    for _ in 0..BATCHES {
        queue.publish(&batch, &mut Connection::default());
    }
    queue
}

/// What a commit writes of the queue.
fn committed(queue: &mut Queue<()>, records: &mut Records) -> CommitGroup {
    let mut group = CommitGroup::default();
    let mut taking = Taking::new(false);
    while !queue.take_commit(&mut group, records, &mut taking) {}
    records.complete(&mut group);
    queue.committed(false);
    group
}

/// What a restart finds, and its records' bytes.
fn as_found(group: CommitGroup) -> (RecoveredQueue, HashMap<RecordId, Bytes>) {
    let mut found = RecoveredQueue {
        queue: QueueId(1),
        records: Vec::new(),
        settlement: BTreeMap::new(),
    };
    let mut stored = HashMap::new();
    for write in group.writes {
        match write {
            Write::Append { record, data, .. } => {
                found.records.push(record);
                stored.insert(record.id, data);
            }
            Write::Settle { part, data, .. } => drop(found.settlement.insert(part, data)),
            other => panic!("a new queue needs no {other:?}"),
        }
    }
    (found, stored)
}

/// Reads back what the head wants, which is all; returns how many messages that were.
fn read_all(queue: &mut Queue<()>, stored: &HashMap<RecordId, Bytes>) -> u64 {
    queue.held(0, |_| ());
    for wanted in queue.take_wanted() {
        let data = wanted.read(|_, record: &RecordRef| stored.get(&record.id).cloned().ok_or(()));
        let data = data.expect("it was stored");
        queue
            .page_in(wanted.base, &data)
            .expect("it is what was written");
    }
    queue.counters().read_back
}
