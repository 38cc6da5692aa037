//! Random operations on a queue against a naive model, with the invariants of the architecture page.

mod fanout;
mod invariants;
mod returns;
mod scenarios;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::ConsumerTag;
use arbtest::arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::*;
use crate::message::{Body, Message};
use crate::queue_arguments::{QueueArguments, QueueType};
use crate::store::{CommitGroup, Part, RecordId, RecordRef, RecoveredQueue, Write};

/// A delivery as a connection saw it: position, redelivered, and the number in the body.
type Seen = (Position, bool, u64);

#[derive(Default)]
struct Connection {
    closed: bool,
    room: usize,
    starved: bool,
    inbox: Vec<(ConsumerKey, Seen)>,
}

#[derive(Default)]
struct Connections(Vec<Connection>);

impl Sink<usize> for Connections {
    fn room(&mut self, consumer: &Consumer<usize>) -> Room {
        // An estimate may be too good.
        Room {
            bytes: self.0[consumer.connection].room * 40 + 20,
            messages: 1000,
        }
    }

    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<usize>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        let connection = &mut self.0[consumer.connection];
        if connection.closed {
            return Accepted::Closed;
        }
        for (taken, delivery) in deliveries.enumerate() {
            if connection.room == 0 {
                return Accepted::First(taken);
            }
            connection.room -= 1;
            let number = u64::from_be_bytes(
                *delivery
                    .message
                    .body
                    .bytes()
                    .first_chunk()
                    .expect("8 bytes"),
            );
            connection.inbox.push((
                consumer.key,
                (delivery.position, delivery.redelivered, number),
            ));
        }
        Accepted::All
    }

    fn starve(&mut self, consumer: &Consumer<usize>) -> bool {
        let connection = &mut self.0[consumer.connection];
        if !connection.closed && connection.room > 0 {
            return false;
        }
        connection.starved = true;
        true
    }
}

/// A body, whether it is persistent, and the properties.
struct Bodies(Vec<(Vec<u8>, bool, Vec<u8>)>);

/// Properties with a delivery mode, a priority, and a time to live of one digit.
fn properties(priority: u8, ttl: Option<u8>) -> Vec<u8> {
    match ttl {
        None => vec![0x18, 0, 2, priority],
        Some(ttl) => vec![0x19, 0, 2, priority, 1, b'0' + ttl],
    }
}

impl Batch for Bodies {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn message(&self, index: usize) -> Message<'_> {
        let (body, persistent, properties) = &self.0[index];
        Message {
            target: if body[7] % 2 == 0 {
                b"\x00\x01q"
            } else {
                b"\x01x\x01k"
            },
            properties,
            body: Body::Inline(body),
            persistent: *persistent,
        }
    }
}

/// A store that is a map, and forgets what was not committed.
#[derive(Default)]
struct Disk {
    records: BTreeMap<RecordId, (RecordRef, Bytes)>,
    settlement: BTreeMap<Part, Bytes>,
}

impl Disk {
    fn apply(&mut self, group: CommitGroup) {
        for write in group.writes {
            match write {
                Write::Append { record, data, .. } => {
                    assert!(self.records.insert(record.id, (record, data)).is_none());
                }
                Write::Remove { record, .. } => {
                    assert!(
                        self.records.remove(&record.id).is_some(),
                        "removed twice: {record:?}"
                    );
                }
                Write::Settle { part, data, .. } => drop(self.settlement.insert(part, data)),
                Write::Forget { part, .. } => {
                    let there = self.settlement.remove(&part);
                    assert!(there.is_some() || part == Part::WHOLE, "{part:?}");
                }
                Write::PutDefinition { .. } | Write::DeleteDefinition { .. } => unreachable!(),
            }
        }
    }
}

/// What a crash brings back.
#[derive(Default)]
struct Committed {
    live: BTreeMap<Position, Known>,
    dying: BTreeSet<Position>,
    attempts: BTreeMap<Position, Attempts>,
    published: u64,
}

/// What the model knows of one message.
#[derive(Clone, Copy)]
struct Known {
    number: u64,
    size: u64,
    expires_at: Option<u64>,
    priority: u8,
    persistent: bool,
    delivered: bool,
}

struct World {
    queue: Queue<usize>,
    arguments: QueueArguments,
    now: u64,
    /// What the queue gave up by itself since it was made, because of its time or of the queue's length.
    given_up: u64,
    /// What consumers rejected since then, and what came back too often.
    rejected: u64,
    exhausted: u64,
    /// On their way to the dead-letter exchange.
    dying: VecDeque<Position>,
    attempts: BTreeMap<Position, Attempts>,
    connections: Connections,
    consumers: Vec<(ConsumerKey, usize, bool, u32)>,
    held: HashMap<ConsumerKey, BTreeSet<Position>>,
    got: BTreeSet<Position>,
    live: BTreeMap<Position, Known>,
    next_number: u64,
    published: u64,
    settled: u64,
    committed: Committed,
    disk: Disk,
    records: Records,
    /// At times, segments leave memory before what was asked for comes, and it comes in another order.
    late: bool,
    reads: u64,
}

impl World {
    fn new(arguments: QueueArguments) -> Self {
        let mut queue = Queue::new(QueueId(1), true);
        queue.configure(&arguments);
        Self {
            queue,
            arguments,
            now: 1000,
            given_up: 0,
            rejected: 0,
            exhausted: 0,
            dying: VecDeque::new(),
            attempts: BTreeMap::new(),
            connections: Connections::default(),
            consumers: Vec::new(),
            held: HashMap::new(),
            got: BTreeSet::new(),
            live: BTreeMap::new(),
            next_number: 0,
            published: 0,
            settled: 0,
            committed: Committed::default(),
            disk: Disk::default(),
            records: Records::starting_at(0),
            late: false,
            reads: 0,
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.now += u.int_in_range(0..=2)?;
        self.queue.tell_time(self.now);
        if self.queue.wake() {
            self.queue.dispatch(&mut self.connections);
            self.drain();
            self.expire();
        }
        match u.int_in_range(0..=18)? {
            0..=4 => self.publish(u)?,
            5 => self.consume(u)?,
            6 => self.cancel(u)?,
            7 | 8 => self.ack(u)?,
            9 => self.requeue(u)?,
            10 => self.get(u)?,
            11 | 12 => self.write_connections(u)?,
            13 => self.commit(u.arbitrary()?),
            14 if u.ratio(1, 4)? => self.purge(),
            15 if u.ratio(1, 4)? => self.crash(u.arbitrary()?),
            16 => self.reject(u)?,
            17 | 18 => self.bury(u)?,
            _ => {}
        }
        self.drain();
        self.expire();
        self.check();
        Ok(())
    }

    fn publish(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut bodies = Vec::new();
        for _ in 0..u.int_in_range(1..=20)? {
            let mut body = self.next_number.to_be_bytes().to_vec();
            let size = if u.ratio(1, 10)? {
                200_000
            } else {
                u.int_in_range(8..=40)?
            };
            body.resize(size, 1);
            let (persistent, priority) = (u.arbitrary()?, u.int_in_range(0..=3)?);
            let ttl: Option<u8> = if u.ratio(1, 4)? {
                Some(u.int_in_range(0..=3)?)
            } else {
                None
            };
            let own = ttl.map(u64::from);
            let of_queue = self
                .arguments
                .message_ttl
                .map(|ttl| u64::from(ttl.subsec_millis()));
            let shorter = [own, of_queue].into_iter().flatten().min();
            let position = self.published;
            self.live.insert(
                position,
                Known {
                    number: self.next_number,
                    size: size as u64,
                    expires_at: shorter.map(|ttl| self.now + ttl),
                    priority: priority.min(self.arguments.max_priority.unwrap_or(0)),
                    persistent: persistent || self.arguments.queue_type == QueueType::Quorum,
                    delivered: false,
                },
            );
            self.next_number += 1;
            self.published += 1;
            bodies.push((body, persistent, properties(priority, ttl)));
        }
        self.queue.publish(&Bodies(bodies), &mut self.connections);
        Ok(())
    }

    fn consume(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.consumers.len() >= 4 {
            return Ok(());
        }
        self.connections.0.push(Connection {
            room: u.int_in_range(0..=10)?,
            ..Connection::default()
        });
        let connection = self.connections.0.len() - 1;
        let options = ConsumerOptions {
            tag: ConsumerTag::default(),
            no_ack: u.ratio(1, 3)?,
            exclusive: false,
            priority: u.int_in_range(0..=1)?,
            prefetch: u.int_in_range(0..=3)?,
            arguments: FieldTable::default(),
        };
        let (no_ack, prefetch) = (options.no_ack, options.prefetch);
        let key = self.queue.consume(connection, options);
        self.consumers.push((key, connection, no_ack, prefetch));
        self.queue.dispatch(&mut self.connections);
        Ok(())
    }

    fn cancel(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.consumers.is_empty() {
            return Ok(());
        }
        let index = u.choose_index(self.consumers.len())?;
        let (key, connection, ..) = self.consumers.remove(index);
        if u.arbitrary()? {
            self.connections.0[connection].closed = true;
            self.published_by_closed(u)?;
        }
        assert_eq!(self.queue.cancel(key), Some(connection));
        self.give_back(key);
        Ok(())
    }

    /// Publishes while a consumer's connection is closed and the queue does not know it.
    fn published_by_closed(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.publish(u)?;
        self.drain();
        Ok(())
    }

    fn give_back(&mut self, key: ConsumerKey) {
        let positions: Vec<Position> = self
            .held
            .remove(&key)
            .unwrap_or_default()
            .into_iter()
            .collect();
        self.put_back(Some(key), &positions, Return::Lost);
        self.queue.dispatch(&mut self.connections);
    }

    fn ack(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((key, positions)) = self.pick_held(u)? else {
            return Ok(());
        };
        for position in &positions {
            self.live.remove(position).expect("acked what was live");
        }
        self.settled += positions.len() as u64;
        self.queue.settle(Held {
            consumer: Some(key),
            positions: &positions,
        });
        self.queue.dispatch(&mut self.connections);
        Ok(())
    }

    fn requeue(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some((key, positions)) = self.pick_held(u)? {
            let whys = [
                Return::Rejected,
                Return::Nacked,
                Return::Lost,
                Return::Peeked,
            ];
            let why = *u.choose(&whys)?;
            self.put_back(Some(key), &positions, why);
            self.queue.dispatch(&mut self.connections);
        }
        Ok(())
    }

    fn pick_held(
        &mut self,
        u: &mut Unstructured<'_>,
    ) -> Result<Option<(ConsumerKey, Vec<Position>)>> {
        let Some((&key, positions)) = self.held.iter_mut().find(|(_, held)| !held.is_empty())
        else {
            return Ok(None);
        };
        let mut picked = Vec::new();
        for &position in positions.iter() {
            if u.ratio(2, 3)? {
                picked.push(position);
            }
        }
        positions.retain(|position| !picked.contains(position));
        Ok(Some((key, picked)))
    }

    fn get(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let no_ack: bool = u.arbitrary()?;
        self.expire();
        let first = self.first_ready().map(|(at, _)| at);
        let (got, _) = self.queue.get(no_ack, |delivery, remaining| {
            let number = u64::from_be_bytes(
                *delivery
                    .message
                    .body
                    .bytes()
                    .first_chunk()
                    .expect("8 bytes"),
            );
            ((delivery.position, delivery.redelivered, number), remaining)
        });
        match got {
            Get::Empty => assert_eq!(self.queue.ready_count(), 0),
            Get::Away => self.page_in(),
            Get::Message((seen, remaining)) => {
                assert_eq!(remaining, self.queue.ready_count());
                assert_eq!(Some(seen.0), first, "(13) out of order");
                self.saw(seen);
                if no_ack {
                    self.live.remove(&seen.0);
                    self.settled += 1;
                } else {
                    self.got.insert(seen.0);
                }
            }
        }
        self.settle_one_got(u)?;
        self.queue.dispatch(&mut self.connections);
        Ok(())
    }

    fn settle_one_got(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.arbitrary()? {
            let Some(position) = self.got.pop_first() else {
                return Ok(());
            };
            self.live.remove(&position);
            self.settled += 1;
            self.queue.settle(Held {
                consumer: None,
                positions: &[position],
            });
        } else {
            let positions: Vec<Position> = std::mem::take(&mut self.got).into_iter().collect();
            self.put_back(None, &positions, Return::Peeked);
        }
        Ok(())
    }

    fn write_connections(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut starved = false;
        for connection in &mut self.connections.0 {
            if !connection.closed {
                connection.room += u.int_in_range(1..=20)?;
                starved |= std::mem::take(&mut connection.starved);
            }
        }
        if starved {
            self.queue.dispatch(&mut self.connections);
        }
        Ok(())
    }

    fn commit(&mut self, spill: bool) {
        let mut group = CommitGroup::default();
        let mut taking = Taking::new(spill);
        while !(self.queue).take_commit(&mut group, &mut self.records, &mut taking) {}
        self.disk.apply(group);
        self.queue.committed(spill);
        let live = self.live.iter().filter(|(_, known)| known.persistent);
        let live: BTreeMap<_, _> = live.map(|(&at, &known)| (at, known)).collect();
        let is_live = |at: &&Position| live.contains_key(*at);
        self.committed = Committed {
            dying: self.dying.iter().filter(is_live).copied().collect(),
            attempts: (self.attempts.iter())
                .filter(|(at, _)| is_live(at))
                .map(|(&at, &attempts)| (at, attempts))
                .collect(),
            published: self.published,
            live,
        };
    }

    fn purge(&mut self) {
        let (purged, _) = self.queue.purge();
        let held: BTreeSet<Position> = self.all_held();
        let dying = &self.dying;
        let before = self.live.len() as u64;
        self.live
            .retain(|position, _| held.contains(position) || dying.contains(position));
        assert_eq!(before - self.live.len() as u64, purged);
        self.settled += purged;
    }

    fn all_held(&self) -> BTreeSet<Position> {
        self.held
            .values()
            .flatten()
            .chain(&self.got)
            .copied()
            .collect()
    }

    /// The broker ends and comes back with what the disk has; without a word, if it does not commit before.
    fn crash(&mut self, commit: bool) {
        if commit {
            self.commit(false);
        }
        let recovered = RecoveredQueue {
            queue: QueueId(1),
            records: self
                .disk
                .records
                .values()
                .map(|(record, _)| *record)
                .filter(|record| !record.transient)
                .collect(),
            settlement: self.disk.settlement.clone(),
        };
        self.disk.records.retain(|_, (record, _)| !record.transient);
        let mut recovered = recovered;
        recovered.records.sort_by_key(|record| record.first);
        let committed = &self.committed;
        self.live = committed.live.clone();
        self.dying = committed.dying.iter().copied().collect();
        self.attempts = committed.attempts.clone();
        self.published = committed.published;
        self.settled = self.published - self.live.len() as u64;
        self.queue = recover(recovered).expect("recovers");
        self.queue.configure(&self.arguments);
        self.queue.tell_time(self.now);
        self.queue.wake();
        (self.given_up, self.rejected, self.exhausted) = (0, 0, 0);
        self.consumers.clear();
        self.held.clear();
        self.got.clear();
        self.connections = Connections::default();
        let waits = |at: &&Position| self.waits(**at) && !self.dying.contains(at);
        let waiting = self.live.keys().filter(waits).count();
        assert_eq!(
            self.queue.ready_count(),
            (self.live.len() - self.dying.len() - waiting) as u64,
            "after the crash"
        );
        self.queue.dispatch(&mut self.connections);
    }

    fn page_in(&mut self) {
        let mut requests = self.queue.take_wanted();
        self.reads += 1;
        if self.late && self.reads.is_multiple_of(3) {
            // Memory is short meanwhile. It is not every time, or what was read would never be seen.
            self.queue.committed(true);
            requests.reverse();
        }
        for request in &requests {
            self.answer(request);
        }
        self.queue.dispatch(&mut self.connections);
    }

    /// Brings what was asked for.
    fn answer(&mut self, request: &PageIn) {
        let stored = |_, record: &RecordRef| {
            let stored = self.disk.records.get(&record.id);
            stored.map(|(_, data)| data.clone()).ok_or("not stored")
        };
        let data = request.read(stored).expect("stored");
        self.queue
            .page_in(request.base, &data)
            .expect("well-formed");
    }

    /// Reads what the connections got, and what the queue wants from the disk.
    fn drain(&mut self) {
        loop {
            for index in 0..self.connections.0.len() {
                for (key, seen) in std::mem::take(&mut self.connections.0[index].inbox) {
                    self.saw(seen);
                    let Some(&(_, _, no_ack, _)) =
                        self.consumers.iter().find(|consumer| consumer.0 == key)
                    else {
                        // Delivered just before the cancel: the caller settles it through `held`.
                        self.held.entry(key).or_default().insert(seen.0);
                        continue;
                    };
                    if no_ack {
                        self.live.remove(&seen.0).expect("delivered what is live");
                        self.settled += 1;
                    } else {
                        assert!(
                            self.held.entry(key).or_default().insert(seen.0),
                            "(2) two holders"
                        );
                    }
                }
            }
            if self.queue.wanted.is_empty() {
                return;
            }
            self.page_in();
        }
    }
}

#[test]
fn random_operations_keep_the_invariants() {
    let mut operations = 0_u64;
    arbtest::arbtest(|u| {
        let mut arguments = QueueArguments::default();
        if u.ratio(1, 3)? {
            arguments.message_ttl = Some(Duration::from_millis(u.int_in_range(0..=4)?));
        }
        if u.arbitrary()? {
            arguments.max_priority = Some(u.int_in_range(1..=2)?);
        }
        returns::choose(&mut arguments, u)?;
        let mut world = World::new(arguments);
        world.late = u.arbitrary()?;
        for _ in 0..u.int_in_range(1..=60)? {
            world.step(u)?;
            operations += 1;
        }
        Ok(())
    })
    .size_min(1 << 10)
    .size_max(1 << 14)
    .budget(budget())
    .run();
    eprintln!("{operations} random operations");
}

/// How long the random operations go on; for a long run, `AMPHORA_MODEL_SECONDS` says how long.
fn budget() -> Duration {
    let seconds = std::env::var("AMPHORA_MODEL_SECONDS");
    let seconds = seconds.ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}
