//! Random operations on a stream against a naive model: every consumer gets every message that it wants from where it began, once, in
//! order, unless retention was faster; only what is durable; and it is the same after a crash.

mod connections;
mod operations;
mod retention;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ConsumerTag, ShortString};
use arbtest::arbitrary::{Result, Unstructured};

use super::*;
use crate::message::{Body, Delivery};
use crate::queue::{Accepted, Records, Room, Sink, Taking};
use crate::store::{CommitGroup, Part, RecordId, RecoveredQueue, Write};
use connections::{Connections, Framed, properties};

#[derive(Clone, Copy)]
struct Known {
    number: u64,
    value: Option<u8>,
    time: u64,
}

/// What a consumer must get next.
struct Expecting {
    key: ConsumerKey,
    tag: ConsumerTag,
    /// Nothing below may come.
    next: Position,
    wants: Option<(u8, bool)>,
    prefetch: usize,
    held: Vec<Position>,
    tracks: bool,
}

struct World {
    stream: Stream<u64>,
    arguments: QueueArguments,
    connections: Connections,
    now: u64,
    /// All that was ever published, by offset.
    published: Vec<Known>,
    durable: Position,
    consumers: Vec<Expecting>,
    tracked: HashMap<ConsumerTag, Position>,
    /// What was tracked with the last commit.
    stored_tracked: HashMap<ConsumerTag, Position>,
    records: Records,
    disk: BTreeMap<RecordId, (RecordRef, Bytes)>,
    state: BTreeMap<Part, Bytes>,
    next_tag: u64,
}

impl World {
    fn new(arguments: QueueArguments) -> Self {
        let mut stream = Stream::new(QueueId(1), &arguments);
        stream.tell_time(1000);
        Self {
            stream,
            arguments,
            connections: Connections::default(),
            now: 1000,
            published: Vec::new(),
            durable: 0,
            consumers: Vec::new(),
            tracked: HashMap::new(),
            stored_tracked: HashMap::new(),
            records: Records::starting_at(0),
            disk: BTreeMap::new(),
            state: BTreeMap::new(),
            next_tag: 0,
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.now += u.int_in_range(0..=300)?;
        self.stream.tell_time(self.now);
        match u.int_in_range(0..=15)? {
            0..=3 => self.publish(u)?,
            4 | 5 => self.consume(u)?,
            6 if !self.consumers.is_empty() => {
                let gone = self
                    .consumers
                    .swap_remove(u.choose_index(self.consumers.len())?);
                assert_eq!(self.stream.cancel(gone.key), Some(7));
            }
            7 | 8 => self.ack(u)?,
            9..=11 => self.commit(),
            12 if u.ratio(1, 4)? => self.crash(),
            13 => self.browse(u)?,
            14 => {
                let paused = u.arbitrary()?;
                assert!(self.stream.set_paused(paused).settle);
            }
            _ => self.connections.room = u.int_in_range(0..=2000)?,
        }
        self.stream.expire();
        self.drain();
        Ok(())
    }

    fn commit(&mut self) {
        let mut group = CommitGroup::default();
        let mut taking = Taking::new(false);
        while !(self.stream).take_commit(&mut group, &mut self.records, &mut taking) {}
        self.records.complete(&mut group);
        for write in group.writes {
            match write {
                Write::Append { record, data, .. } => {
                    assert!(self.disk.insert(record.id, (record, data)).is_none());
                }
                Write::Remove { record, .. } => {
                    assert!(self.disk.remove(&record.id).is_some(), "{record:?}");
                }
                Write::Settle { part, data, .. } => {
                    self.state.insert(part, data);
                }
                _ => unreachable!(),
            }
        }
        self.stream.committed();
        self.stored_tracked.clone_from(&self.tracked);
        self.durable = self.published.len() as u64;
    }

    /// What was not committed is gone, and so are all consumers.
    fn crash(&mut self) {
        self.published
            .truncate(usize::try_from(self.durable).expect("small"));
        let mut records: Vec<_> = self.disk.values().map(|(record, _)| *record).collect();
        records.sort_by_key(|record| record.first);
        let recovered = RecoveredQueue {
            queue: QueueId(1),
            records,
            settlement: self.state.clone(),
        };
        self.consumers.clear();
        self.connections = Connections::default();
        self.stream = recover(recovered, &self.arguments).expect("well-formed");
        self.stream.tell_time(self.now);
        // What was tracked and not committed is forgotten.
        self.tracked.clone_from(&self.stored_tracked);
        let tracked = self.stream.tracked();
        let tracked = tracked.map(|(tag, next)| (ConsumerTag::new(tag).expect("short"), next));
        assert_eq!(tracked.collect::<HashMap<_, _>>(), self.tracked);
        assert_eq!(self.stream.tail, self.durable);
    }

    /// Brings back what is wanted, and says whether anything was.
    fn read_back(&mut self) -> bool {
        let wanted = self.stream.take_wanted();
        for request in &wanted {
            let data = request
                .read(|_, record| {
                    let stored = self.disk.get(&record.id);
                    stored.map(|(_, data)| data.clone()).ok_or("not stored")
                })
                .expect("stored");
            self.stream.page_in(request.base, &data).expect("whole");
        }
        !wanted.is_empty()
    }

    /// Everything goes to the consumers that may go.
    fn drain(&mut self) {
        loop {
            self.stream.dispatch(&mut self.connections);
            if !self.read_back() {
                break;
            }
            self.stream.expire();
        }
        let first = self.first();
        for (key, position, offset, number) in std::mem::take(&mut self.connections.got) {
            let at = usize::try_from(position).expect("small");
            assert!(position < self.durable, "{position} is not durable");
            assert_eq!((position, number), (offset, self.published[at].number));
            let known = self.consumers.iter_mut().find(|known| known.key == key);
            let consumer = known.expect("is there");
            assert!(position >= consumer.next, "{position} came again");
            let value = |at: Position| self.published[usize::try_from(at).expect("small")].value;
            assert!(wants(consumer.wants, value(position)), "{position}");
            let skipped = (consumer.next.max(first)..position)
                .find(|&position| wants(consumer.wants, value(position)));
            assert_eq!(skipped, None);
            consumer.next = position + 1;
            consumer.held.push(position);
        }
        self.check();
    }

    fn check(&self) {
        let first = self.first();
        for consumer in &self.consumers {
            assert!(
                consumer.held.len() <= consumer.prefetch,
                "over its prefetch"
            );
            assert!(consumer.held.is_sorted(), "out of order");
            // What could be delivered was.
            let room = self.connections.room > 0
                && consumer.held.len() < consumer.prefetch
                && !self.stream.is_paused();
            let left = (consumer.next.max(first)..self.durable).find(|&position| {
                let known = self.published[usize::try_from(position).expect("small")];
                wants(consumer.wants, known.value)
            });
            assert!(!room || left.is_none(), "{left:?} is left");
        }
        let count: u64 = self
            .stream
            .chunks
            .iter()
            .map(|chunk| u64::from(chunk.len))
            .sum();
        assert_eq!(count, self.stream.message_count());
        assert_eq!(count, self.published.len() as u64 - first);
        let bytes: u64 = self.stream.chunks.iter().map(|chunk| chunk.bytes).sum();
        assert_eq!(bytes, self.stream.bytes);
        let memory: usize = self.stream.chunks.iter().map(Chunk::memory).sum();
        assert_eq!(memory, self.stream.memory());
        let loaded = self
            .stream
            .chunks
            .iter()
            .filter(|chunk| chunk.block.is_some());
        let loaded: Vec<_> = loaded.map(|chunk| chunk.base).collect();
        assert!(self.stream.loaded.iter().eq(&loaded));
    }
}

fn wants(wanted: Option<(u8, bool)>, value: Option<u8>) -> bool {
    match (wanted, value) {
        (None, _) => true,
        (Some((wanted, _)), Some(value)) => wanted == value,
        (Some((_, unfiltered)), None) => unfiltered,
    }
}

fn run(arguments: &QueueArguments) {
    arbtest::arbtest(|u| {
        let mut world = World::new(arguments.clone());
        for _ in 0..80 {
            world.step(u)?;
        }
        Ok(())
    })
    .size_min(1 << 11)
    .size_max(1 << 13)
    .budget_ms(1_500);
}

#[test]
fn every_consumer_gets_everything_from_where_it_began() {
    run(&QueueArguments::default());
}

#[test]
fn old_segments_go() {
    run(&QueueArguments {
        max_length_bytes: Some(300_000),
        stream_max_segment_bytes: Some(100_000),
        ..QueueArguments::default()
    });
    run(&QueueArguments {
        max_age: Some(Duration::from_secs(2)),
        stream_max_segment_bytes: Some(20_000),
        ..QueueArguments::default()
    });
}
