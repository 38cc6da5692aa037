//! The contract, held against both stores.

use std::collections::BTreeMap;

use amphora_core::store::{
    BodiesRef, Durability, Part, QueueId, RecordId, RecordRef, Recovered, RecoveredQueue, Store,
    StoreError, Write,
};
use amphora_storage::{FjallStore, MemoryStore};
use bytes::{Bytes, BytesMut};

use crate::{Data, append, commit, data, delete, forget, group, ids, put, record, remove, settle};

/// A store that can be restarted.
trait Kind: Store + Sized {
    type Home;
    fn home() -> Self::Home;
    fn open(home: &Self::Home) -> Self;
    /// Ends the process in an orderly way and begins another; a store that forgets stays as it is.
    fn restart(self, home: &Self::Home) -> Self;
}

impl Kind for MemoryStore {
    type Home = ();
    fn home() {}
    fn open((): &()) -> Self {
        Self::new()
    }
    fn restart(self, (): &()) -> Self {
        self
    }
}

impl Kind for FjallStore {
    type Home = Data;
    fn home() -> Data {
        Data::new()
    }
    fn open(home: &Data) -> Self {
        home.open()
    }
    fn restart(self, home: &Data) -> Self {
        drop(self);
        home.open()
    }
}

macro_rules! for_both {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name::<super::MemoryStore>(); })*
        }
        mod fjall {
            $(#[test] fn $name() { super::$name::<super::FjallStore>(); })*
        }
    };
}

for_both![
    a_new_store_is_empty,
    records_come_back_by_queue_and_position,
    the_last_write_of_a_group_wins,
    a_group_may_be_applied_twice,
    a_removed_record_is_gone,
    what_is_missing_is_named,
    transient_records_do_not_survive,
    ids_are_not_reused,
    definitions_keep_any_bytes,
    settlements_are_kept_by_queue_and_part,
    records_of_any_size,
    small_records_are_copied,
    many_queues,
    bodies_are_records_of_their_own,
];

fn a_new_store_is_empty<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    assert_eq!(store.recover().expect("recovers"), Recovered::default());
    assert!(store.free_bytes().expect("known") > 0);
    let store = store.restart(&home);
    assert_eq!(store.recover().expect("recovers"), Recovered::default());
}

fn records_come_back_by_queue_and_position<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    let bytes = data(0, 3);
    let at = |first: u64, id: u64| RecordRef {
        first,
        last: first + 1,
        count: 2,
        ..record(id, &bytes)
    };
    let append = |queue, record| Write::Append {
        queue: QueueId(queue),
        record,
        data: bytes.clone(),
    };
    commit(&store, [append(2, at(300, 1)), append(1, at(7, 2))]);
    commit(&store, [append(2, at(100, 3)), append(1, at(9, 4))]);
    commit(&store, [append(2, at(200, 5))]);

    let queue = |id, records: &[RecordRef]| RecoveredQueue {
        queue: QueueId(id),
        records: records.to_vec(),
        settlement: BTreeMap::new(),
    };
    let expected = Recovered {
        definitions: vec![],
        queues: vec![
            queue(1, &[at(7, 2), at(9, 4)]),
            queue(2, &[at(100, 3), at(200, 5), at(300, 1)]),
        ],
        next_record: 6,
    };
    assert_eq!(store.recover().expect("recovers"), expected);
    let store = store.restart(&home);
    assert_eq!(store.recover().expect("recovers"), expected);
    assert_eq!(
        store.read(QueueId(2), &at(200, 5)).expect("is stored"),
        bytes
    );
}

fn the_last_write_of_a_group_wins<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    commit(
        &store,
        [
            put("a", "old"),
            put("a", "new"),
            put("b", "gone"),
            delete("b"),
            delete("c"),
            put("c", "there"),
            settle(1, 0, "old"),
            settle(1, 0, "new"),
            settle(1, 3, "gone"),
            forget(1, 3),
            settle(2, 0, "gone"),
            forget(2, 0),
            append(3, 1, 5),
            remove(3, 1, 5),
        ],
    );
    let store = store.restart(&home);
    let recovered = store.recover().expect("recovers");
    let pair = |key: &'static str, value: &'static str| (Bytes::from(key), Bytes::from(value));
    assert_eq!(
        recovered.definitions,
        [pair("a", "new"), pair("c", "there")]
    );
    let settled = RecoveredQueue {
        queue: QueueId(1),
        records: vec![],
        settlement: BTreeMap::from([(Part::WHOLE, Bytes::from("new"))]),
    };
    assert_eq!(recovered.queues, [settled]);
    assert_eq!(recovered.next_record, 2);
}

fn a_group_may_be_applied_twice<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    commit(&store, [append(1, 1, 10), append(1, 2, 10)]);
    let retried = group([
        append(1, 3, 10),
        remove(1, 1, 10),
        settle(1, 0, "ten"),
        put("k", "v"),
    ]);
    for _ in 0..2 {
        store.commit(&retried, Durability::Os).expect("commits");
    }
    let once = store.recover().expect("recovers");
    assert_eq!(ids(&store), [2, 3]);
    // Were record 3 stored twice, one removal would uncover the other.
    commit(&store, [remove(1, 3, 10)]);
    let store = store.restart(&home);
    assert_eq!(ids(&store), [2]);
    assert_eq!(
        store.recover().expect("recovers").definitions,
        once.definitions
    );
}

fn a_removed_record_is_gone<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    commit(
        &store,
        [append(1, 1, 10), append(1, 2, 10), settle(1, 0, "x")],
    );
    commit(&store, [remove(1, 1, 10)]);
    assert!(store.read(QueueId(1), &record(1, &data(1, 10))).is_err());
    assert_eq!(ids(&store), [2]);
    commit(&store, [remove(1, 2, 10), forget(1, 0)]);
    let store = store.restart(&home);
    assert_eq!(store.recover().expect("recovers").queues, []);
}

fn what_is_missing_is_named<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    commit(&store, [append(1, 1, 10)]);
    let absent = record(4, &data(4, 10));
    let error = store.read(QueueId(9), &absent).expect_err("is not stored");
    assert!(matches!(error, StoreError::Damaged { .. }));
    assert!(
        error
            .to_string()
            .starts_with("record 4 of queue 9 (positions 40 to 49) is missing or damaged"),
        "{error}"
    );
    store
        .read(QueueId(9), &record(1, &data(1, 10)))
        .expect_err("is another queue's");
}

fn transient_records_do_not_survive<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    let bytes = data(2, 10);
    let transient = RecordRef {
        transient: true,
        ..record(2, &bytes)
    };
    commit(
        &store,
        [
            append(1, 1, 10),
            Write::Append {
                queue: QueueId(1),
                record: transient,
                data: bytes.clone(),
            },
        ],
    );
    assert_eq!(
        store
            .read(QueueId(1), &transient)
            .expect("is readable until the end"),
        bytes
    );
    let store = store.restart(&home);
    assert_eq!(ids(&store), [1]);
    assert!(store.read(QueueId(1), &transient).is_err());
    assert_eq!(store.recover().expect("recovers").next_record, 3);
}

fn ids_are_not_reused<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    commit(&store, [append(1, 41, 10)]);
    commit(&store, [remove(1, 41, 10)]);
    let store = store.restart(&home);
    assert_eq!(store.recover().expect("recovers").next_record, 42);
}

fn definitions_keep_any_bytes<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    let keys = ["", "\u{0}", "\u{1}", "queue//q", "\u{7f}\u{7f}"];
    let mut definitions: Vec<_> = keys
        .iter()
        .map(|key| (Bytes::from(*key), Bytes::from(vec![0xFF; key.len()])))
        .collect();
    definitions.push((Bytes::from_static(&[0xFF; 300]), data(1, 200_000)));
    let put = |(key, value): &(Bytes, Bytes)| Write::PutDefinition {
        key: key.clone(),
        value: value.clone(),
    };
    commit(&store, definitions.iter().map(put));
    let store = store.restart(&home);
    definitions.sort();
    assert_eq!(store.recover().expect("recovers").definitions, definitions);
}

fn settlements_are_kept_by_queue_and_part<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    commit(
        &store,
        [
            append(2, 1, 10),
            settle(1, 0, "one"),
            settle(1, u64::MAX, "end of one"),
            settle(1, 7, "part of one"),
            settle(2, 0, "two"),
            settle(u32::MAX, 0, "last"),
        ],
    );
    commit(&store, [settle(1, 0, "more"), settle(3, 0, "")]);
    let store = store.restart(&home);
    let settlements: Vec<_> = store
        .recover()
        .expect("recovers")
        .queues
        .into_iter()
        .map(|q| (q.queue.0, q.settlement))
        .collect();
    let parts = |parts: &[(u64, &'static str)]| -> BTreeMap<_, _> {
        let parts = parts.iter();
        parts
            .map(|&(part, text)| (Part(part), Bytes::from(text)))
            .collect()
    };
    let one = [(0, "more"), (7, "part of one"), (u64::MAX, "end of one")];
    assert_eq!(
        settlements,
        [
            (1, parts(&one)),
            (2, parts(&[(0, "two")])),
            (3, parts(&[(0, "")])),
            (u32::MAX, parts(&[(0, "last")]))
        ]
    );
}

fn records_of_any_size<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    let sizes = [0, 1, 255, 4096, 65_536, 262_144, 16 * 1024 * 1024];
    let appends = |range: std::ops::Range<usize>| {
        range
            .map(|id| append(1, id as u64, sizes[id]))
            .collect::<Vec<_>>()
    };
    commit(&store, appends(0..3));
    commit(&store, appends(3..sizes.len()));
    let store = store.restart(&home);
    assert_eq!(ids(&store), (0..sizes.len() as u64).collect::<Vec<_>>());
}

/// However a store keeps them, the memory that they were parts of can be used again as soon as their group is dropped.
fn small_records_are_copied<K: Kind>() {
    const BYTES: usize = 100;
    let home = K::home();
    let store = K::open(&home);
    let mut memory = BytesMut::new();
    let mut next = 0;
    // One alone, more than a store may gather, and one alone after it was seen that most stay.
    for count in [1, 2000, 1_u16] {
        let room = usize::from(count) * BYTES;
        memory.reserve(room);
        let append_shared = |id| {
            memory.extend_from_slice(&data(id, BYTES));
            let data = memory.split().freeze();
            Write::Append {
                queue: QueueId(1),
                record: record(id, &data),
                data,
            }
        };
        let ids = next..next + u64::from(count);
        next = ids.end;
        let group = group(ids.map(append_shared));
        store
            .commit(&group, Durability::Fsync)
            .expect("the commit succeeds");
        drop(group);
        assert!(memory.try_reclaim(room), "a part of it is kept");
        memory.resize(room, 0);
        memory.clear();
        assert_eq!(crate::ids(&store), (0..next).collect::<Vec<_>>());
    }
}

fn many_queues<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    for commits in 0..3 {
        commit(
            &store,
            (0..2000).map(|queue| append(queue, u64::from(commits * 2000 + queue), 20)),
        );
    }
    commit(
        &store,
        (0..2000)
            .filter(|queue| queue % 2 == 0)
            .map(|queue| remove(queue, u64::from(queue), 20)),
    );
    let store = store.restart(&home);
    let recovered = store.recover().expect("recovers");
    assert_eq!(recovered.queues.len(), 2000);
    for (queue, recovered) in (0..).zip(recovered.queues) {
        let ids: Vec<_> = recovered.records.iter().map(|record| record.id).collect();
        let expected = [queue, 2000 + queue, 4000 + queue].map(|id| RecordId(u64::from(id)));
        assert_eq!(recovered.queue, QueueId(queue));
        assert_eq!(
            ids,
            if queue % 2 == 0 {
                &expected[1..]
            } else {
                &expected[..]
            }
        );
    }
}

fn bodies_are_records_of_their_own<K: Kind>() {
    let home = K::home();
    let store = K::open(&home);
    let (bodies, referring) = (data(7, 100_000), data(8, 30));
    let bodies_record = RecordRef::of_bodies(RecordId(7), 100_000);
    let refers = |id| RecordRef {
        bodies: Some(BodiesRef {
            record: RecordId(7),
            bytes: 60_000,
        }),
        ..record(id, &referring)
    };
    let append = |queue, record, data: &Bytes| Write::Append {
        queue,
        record,
        data: data.clone(),
    };
    commit(
        &store,
        [
            append(QueueId(1), refers(8), &referring),
            append(QueueId(2), refers(9), &referring),
            append(QueueId::SHARED, bodies_record, &bodies),
        ],
    );
    let store = store.restart(&home);
    let queues = store.recover().expect("recovers").queues;
    let found: Vec<_> = queues.iter().map(|q| (q.queue.0, q.records[0])).collect();
    assert_eq!(found, [(0, bodies_record), (1, refers(8)), (2, refers(9))]);
    // To read it, the id is enough.
    let by_id = RecordRef::of_bodies(RecordId(7), 60_000);
    assert_eq!(
        store.read(QueueId::SHARED, &by_id).expect("is stored"),
        bodies
    );
    commit(
        &store,
        [
            Write::Remove {
                queue: QueueId(1),
                record: refers(8),
            },
            Write::Remove {
                queue: QueueId::SHARED,
                record: bodies_record,
            },
        ],
    );
    let error = store.read(QueueId::SHARED, &by_id).expect_err("is gone");
    assert!(
        error.to_string().starts_with("record 7 of shared bodies"),
        "{error}"
    );
    let store = store.restart(&home);
    assert_eq!(store.recover().expect("recovers").queues.len(), 1);
}
