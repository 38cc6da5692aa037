//! Bodies that several queues have in common are stored once, and exactly as long as one of them needs them.

use super::*;
use crate::store::{BodiesRef, CommitGroup, Part, RecordId, RecordRef, RecoveredQueue, Write};

const QUEUES: u32 = 3;

type Stored = BTreeMap<RecordId, (QueueId, RecordRef, Bytes)>;

/// Several queues, the store behind them, and which messages each must have.
struct Fanout {
    queues: BTreeMap<u32, Queue<usize>>,
    records: Records,
    stored: Stored,
    settlements: BTreeMap<QueueId, BTreeMap<Part, Bytes>>,
    /// By queue and position: the number in the body, its size, and whether the message is persistent.
    live: BTreeMap<(u32, Position), (u64, usize, bool)>,
    next_number: u64,
}

/// One message whose body others have, too.
struct Shared<'a>(&'a Bytes, bool);

impl Batch for Shared<'_> {
    fn len(&self) -> usize {
        1
    }

    fn message(&self, _: usize) -> Message<'_> {
        Message {
            target: b"\x01x\x00",
            properties: &[0, 0],
            body: Body::Shared(self.0),
            persistent: self.1,
        }
    }
}

impl Fanout {
    fn new() -> Self {
        let queues = (1..=QUEUES).map(|id| (id, Queue::new(QueueId(id), true)));
        Self {
            queues: queues.collect(),
            records: Records::starting_at(0),
            stored: Stored::new(),
            settlements: BTreeMap::new(),
            live: BTreeMap::new(),
            next_number: 0,
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=11)? {
            0..=4 => self.publish(u)?,
            5..=7 => self.settle(u)?,
            8 | 9 => self.commit(u.arbitrary()?),
            10 => self.crash(),
            _ => self.replace(u.int_in_range(1..=QUEUES)?),
        }
        Ok(())
    }

    fn publish(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let size = *u.choose(&[20, 5_000, 30_000, 70_000, 300_000])?;
        let persistent = u.ratio(7, 8)?;
        let mut body = self.next_number.to_be_bytes().to_vec();
        body.resize(size, 3);
        let body = Bytes::from(body);
        for (&id, queue) in &mut self.queues {
            if u.ratio(2, 3)? {
                let position = queue.log.tail();
                let mut nobody = Connections::default();
                queue.publish(&Shared(&body, persistent), &mut nobody);
                let known = (self.next_number, size, persistent);
                self.live.insert((id, position), known);
            }
        }
        self.next_number += 1;
        Ok(())
    }

    /// Some of a queue's messages are got and acknowledged.
    fn settle(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let id = u.int_in_range(1..=QUEUES)?;
        for _ in 0..u.int_in_range(1..=12)? {
            self.take_one(id);
        }
        Ok(())
    }

    fn take_one(&mut self, id: u32) -> bool {
        let queue = self.queues.get_mut(&id).expect("exists");
        loop {
            let (got, _) = queue.get(true, |delivery, _| {
                let body = delivery.message.body.bytes();
                let number = u64::from_be_bytes(*body.first_chunk().expect("8 bytes"));
                let whole = body.iter().skip(8).all(|&byte| byte == 3);
                assert!(whole, "the body of {number} is not its own");
                (delivery.position, number, body.len())
            });
            match got {
                Get::Empty | Get::Later => return false,
                Get::Message((position, number, size)) => {
                    let known = self.live.remove(&(id, position)).expect("is live");
                    assert_eq!((number, size), (known.0, known.1));
                    return true;
                }
                Get::Away => {
                    for request in queue.take_wanted() {
                        let data = request.read(|queue, record| read(&self.stored, queue, record));
                        let data = data.expect("stored");
                        queue.page_in(request.base, &data).expect("well-formed");
                    }
                }
            }
        }
    }

    fn commit(&mut self, spill: bool) {
        let mut group = CommitGroup::default();
        for queue in self.queues.values_mut() {
            let mut taking = Taking::new(spill);
            while !queue.take_commit(&mut group, &mut self.records, &mut taking) {}
        }
        self.apply(group);
        for queue in self.queues.values_mut() {
            queue.committed(spill);
        }
    }

    fn apply(&mut self, mut group: CommitGroup) {
        self.records.complete(&mut group);
        self.write(group.writes);
    }

    fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Append {
                    queue,
                    record,
                    data,
                } => {
                    let before = self.stored.insert(record.id, (queue, record, data));
                    assert!(before.is_none(), "{record:?} was there");
                }
                Write::Remove { queue, record } => {
                    let (owner, was, _) = self.stored.remove(&record.id).expect("is there");
                    assert_eq!((owner, was), (queue, record));
                }
                Write::Settle { queue, part, data } => {
                    let parts = self.settlements.entry(queue).or_default();
                    parts.insert(part, data);
                }
                Write::Forget { queue, part } => {
                    let parts = self.settlements.entry(queue).or_default();
                    parts.remove(&part);
                }
                Write::PutDefinition { .. } | Write::DeleteDefinition { .. } => unreachable!(),
            }
        }
        self.check_stored();
    }

    /// A queue is deleted, and another one takes its place.
    fn replace(&mut self, id: u32) {
        let mut group = CommitGroup::default();
        let queue = self.queues.get_mut(&id).expect("exists");
        queue.take_deletion(&mut group);
        self.apply(group);
        self.queues.insert(id, Queue::new(QueueId(id), true));
        self.live.retain(|&(of, _), _| of != id);
    }

    /// All that is committed comes back; what nobody has committed was settled or never confirmed.
    fn crash(&mut self) {
        self.commit(false);
        self.stored.retain(|_, (_, record, _)| !record.transient);
        let mut queues: BTreeMap<QueueId, RecoveredQueue> = BTreeMap::new();
        for (queue, record, _) in self.stored.values() {
            let entry = queues.entry(*queue).or_insert_with(|| RecoveredQueue {
                queue: *queue,
                records: Vec::new(),
                settlement: self.settlements.get(queue).cloned().unwrap_or_default(),
            });
            entry.records.push(*record);
        }
        for (queue, settlement) in &self.settlements {
            queues.entry(*queue).or_insert_with(|| RecoveredQueue {
                queue: *queue,
                records: Vec::new(),
                settlement: settlement.clone(),
            });
        }
        for queue in queues.values_mut() {
            queue.records.sort_by_key(|record| record.first);
        }
        let mut recovered = crate::store::Recovered {
            queues: queues.into_values().collect(),
            next_record: self.stored.keys().last().map_or(0, |id| id.0 + 1),
            ..Default::default()
        };
        let (records, unused) = Records::recover(&mut recovered).expect("nothing is missing");
        self.records = records;
        self.write(unused);
        let mut stored: HashMap<_, _> = recovered
            .queues
            .into_iter()
            .map(|queue| (queue.queue, queue))
            .collect();
        self.live.retain(|_, (_, _, persistent)| *persistent);
        for (&id, queue) in &mut self.queues {
            let found = stored.remove(&QueueId(id));
            *queue = found.map_or_else(
                || Queue::new(QueueId(id), true),
                |found| recover(found).expect("well-formed"),
            );
            let live = self.live.range((id, 0)..(id + 1, 0)).count();
            assert_eq!(queue.ready_count(), live as u64, "queue {id}");
        }
    }

    /// A record of bodies is stored if and only if a record refers to it.
    fn check_stored(&self) {
        let referred: BTreeSet<RecordId> = self
            .stored
            .values()
            .filter_map(|(_, record, _)| record.bodies)
            .map(|BodiesRef { record, .. }| record)
            .collect();
        let bodies: BTreeSet<RecordId> = self
            .stored
            .values()
            .filter(|(queue, ..)| *queue == QueueId::SHARED)
            .map(|(_, record, _)| record.id)
            .collect();
        assert_eq!(bodies, referred);
    }
}

fn read(
    stored: &Stored,
    queue: QueueId,
    record: &RecordRef,
) -> std::result::Result<Bytes, &'static str> {
    match stored.get(&record.id) {
        Some((owner, _, data)) if *owner == queue => Ok(data.clone()),
        _ => Err("not stored"),
    }
}

#[test]
fn bodies_are_stored_as_long_as_they_are_referred_to() {
    arbtest::arbtest(|u| {
        let mut fanout = Fanout::new();
        for _ in 0..60 {
            fanout.step(u)?;
        }
        for id in 1..=QUEUES {
            while fanout.take_one(id) {}
        }
        assert!(fanout.live.is_empty(), "{:?}", fanout.live);
        fanout.commit(false);
        assert!(fanout.stored.is_empty(), "{:?}", fanout.stored.keys());
        assert!(fanout.records.is_empty());
        Ok(())
    })
    .size_min(1 << 10)
    .size_max(1 << 12)
    .budget_ms(2_000);
}

#[test]
fn a_fanout_stores_its_bodies_once() {
    let mut fanout = Fanout::new();
    let bodies: Vec<Bytes> = (0..20u8).map(|n| vec![n; 20_000].into()).collect();
    for body in &bodies {
        for queue in fanout.queues.values_mut() {
            queue.publish(&Shared(body, true), &mut Connections::default());
        }
    }
    fanout.commit(false);
    let bytes: usize = fanout.stored.values().map(|(.., data)| data.len()).sum();
    assert!((400_000..410_000).contains(&bytes), "{bytes}");
}

#[test]
fn what_one_queue_has_alone_stays_in_its_record() {
    let mut fanout = Fanout::new();
    let queue = fanout.queues.get_mut(&1).expect("exists");
    let body = Bytes::from(vec![3; 20_000]);
    queue.publish(&Shared(&body, true), &mut Connections::default());
    drop(body);
    fanout.commit(false);
    assert_eq!(fanout.stored.len(), 1);
}

#[test]
fn a_missing_record_of_bodies_is_named() {
    let mut fanout = Fanout::new();
    let body = Bytes::from(vec![3; 20_000]);
    for queue in fanout.queues.values_mut() {
        queue.publish(&Shared(&body, true), &mut Connections::default());
    }
    fanout.commit(false);
    let (&QueueId(queue), record) = fanout
        .stored
        .values()
        .map(|(queue, record, _)| (queue, *record))
        .find(|(queue, _)| **queue != QueueId::SHARED)
        .expect("stored");
    let mut recovered = crate::store::Recovered {
        queues: vec![RecoveredQueue {
            queue: QueueId(queue),
            records: vec![record],
            settlement: BTreeMap::new(),
        }],
        ..Default::default()
    };
    let error = Records::recover(&mut recovered).expect_err("they are missing");
    assert!(error.to_string().contains("which is missing"), "{error}");
}
