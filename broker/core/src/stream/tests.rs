//! Random operations on a stream against a naive model: every consumer gets every message that it wants from where it began, once, in
//! order, unless retention was faster; only what is durable; and it is the same after a crash.

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

/// What the connections got: consumer, offset, the offset in the header, number in the body.
#[derive(Default)]
struct Connections {
    got: Vec<(ConsumerKey, Position, u64, u64)>,
    /// How much all of them take until they are read.
    room: usize,
    starved: bool,
}

impl Sink<u64> for Connections {
    fn room(&mut self, _: &Consumer<u64>) -> Room {
        Room {
            bytes: self.room * 100,
            messages: 1000,
        }
    }

    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<u64>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        for (taken, delivery) in deliveries.enumerate() {
            if self.room == 0 {
                return Accepted::First(taken);
            }
            self.room -= 1;
            let properties = BasicProperties::decode(delivery.message.properties).expect("whole");
            let headers = properties.headers.expect("has the offset");
            let offset = headers.get("x-stream-offset").expect("is first");
            let offset = u64::try_from(offset.as_integer().expect("a number")).expect("positive");
            let body = delivery.message.body.bytes();
            let number = u64::from_be_bytes(*body.first_chunk().expect("8 bytes"));
            assert!(!delivery.redelivered);
            self.got
                .push((consumer.key, delivery.position, offset, number));
        }
        Accepted::All
    }

    fn starve(&mut self, _: &Consumer<u64>) -> bool {
        self.starved |= self.room == 0;
        self.room == 0
    }
}

/// Properties with a filter value.
fn properties(value: Option<u8>) -> Vec<u8> {
    let mut headers = FieldTable::new();
    if let Some(value) = value {
        let name = ShortString::cut("x-stream-filter-value");
        headers.push(name, FieldValue::from(format!("v{value}").as_str()));
    }
    BasicProperties {
        headers: Some(headers),
        ..BasicProperties::default()
    }
    .to_bytes()
    .into()
}

/// Properties and bodies.
struct Framed<'a>(&'a [(Vec<u8>, Vec<u8>)]);

impl Batch for Framed<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn message(&self, index: usize) -> Message<'_> {
        let (properties, body) = &self.0[index];
        Message {
            target: b"\x00\x01s",
            properties,
            body: Body::Inline(body),
            persistent: false,
        }
    }
}

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
    records: Records,
    disk: BTreeMap<RecordId, (RecordRef, Bytes)>,
    state: Option<Bytes>,
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
            records: Records::starting_at(0),
            disk: BTreeMap::new(),
            state: None,
            next_tag: 0,
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.now += u.int_in_range(0..=300)?;
        self.stream.tell_time(self.now);
        match u.int_in_range(0..=14)? {
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
            _ => self.connections.room = u.int_in_range(0..=2000)?,
        }
        self.stream.expire();
        self.drain();
        Ok(())
    }

    /// Whoever looks sees all that is durable from an offset on, and changes nothing.
    fn browse(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let from = u.int_in_range(0..=self.published.len())? as Position;
        let most = u.int_in_range(1..=50)?;
        let offset = FieldValue::from(i64::try_from(from).expect("small"));
        let arguments = [(ShortString::cut("x-stream-offset"), offset)];
        let subscription = Subscription::parse(&arguments.into_iter().collect(), "s");
        let (found, _) = self.stream.seek(&subscription.expect("makes sense"));
        let mut next = found.expect("offsets need no reading");
        let mut seen = Vec::new();
        while seen.len() < most {
            let (look, _) = self.stream.look(next, |position, message, time| {
                let number = message.body.bytes().first_chunk().expect("8 bytes");
                seen.push((position, u64::from_be_bytes(*number), time));
                seen.len() < most
            });
            match look {
                Look::Next(after) => next = after,
                Look::End => break,
                Look::Away => assert!(self.read_back(), "nothing is read back"),
            }
        }
        let expected = (from.max(self.first())..self.durable).take(most);
        let expected = expected.map(|position| {
            let known = self.published[usize::try_from(position).expect("small")];
            (position, known.number, Some(known.time))
        });
        assert!(expected.eq(seen));
        Ok(())
    }

    fn publish(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut messages = Vec::new();
        for _ in 0..u.int_in_range(1..=30)? {
            let number = self.published.len() as u64 * 3 + 1;
            let mut body = number.to_be_bytes().to_vec();
            let size = *u.choose(&[8, 100, 100, 5000, 70_000])?;
            body.resize(size, 1);
            let value: Option<u8> = if u.arbitrary()? {
                Some(u.int_in_range(0..=2)?)
            } else {
                None
            };
            messages.push((properties(value), body));
            self.published.push(Known {
                number,
                value,
                time: self.now,
            });
        }
        let effects = self.stream.publish(&Framed(&messages));
        assert!(effects.commit);
        Ok(())
    }

    fn first(&self) -> Position {
        let first = self.stream.chunks.front().map(|chunk| chunk.base);
        first.unwrap_or(self.published.len() as u64)
    }

    fn consume(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut arguments = FieldTable::new();
        let named = u.ratio(1, 3)?;
        let tag = if named {
            format!("c{}", u.int_in_range(0..=2)?)
        } else {
            self.next_tag += 1;
            format!("amq.ctag-{}", self.next_tag)
        };
        let tag = ConsumerTag::new(tag).expect("short");
        if self.consumers.iter().any(|known| known.tag == tag) {
            return Ok(());
        }
        let (value, next) = self.start(u, &tag)?;
        let tracks = named && value.is_none();
        if let Some(value) = value {
            arguments.push(ShortString::cut("x-stream-offset"), value);
        }
        let mut wants = None;
        if u.ratio(1, 3)? {
            let (wanted, unfiltered) = (u.int_in_range(0..=2)?, u.arbitrary()?);
            wants = Some((wanted, unfiltered));
            let text = format!("v{wanted}");
            arguments.push(ShortString::cut("x-stream-filter"), text.as_str());
            arguments.push(ShortString::cut("x-stream-match-unfiltered"), unfiltered);
        }
        let prefetch = u.int_in_range(1..=40)?;
        let options = ConsumerOptions {
            tag: tag.clone(),
            no_ack: false,
            exclusive: false,
            priority: 0,
            prefetch,
            arguments,
        };
        let key = self.stream.consume(7, options);
        self.consumers.push(Expecting {
            key,
            tag,
            next,
            wants,
            prefetch: prefetch as usize,
            held: Vec::new(),
            tracks,
        });
        Ok(())
    }

    /// `x-stream-offset`, and the offset that it stands for.
    fn start(
        &self,
        u: &mut Unstructured<'_>,
        tag: &ConsumerTag,
    ) -> Result<(Option<FieldValue>, Position)> {
        let (first, tail) = (self.first(), self.published.len() as u64);
        let offset = u.int_in_range(0..=tail + 3)?;
        let value = FieldValue::I64(i64::try_from(offset).expect("small"));
        Ok(match u.int_in_range(0..=5)? {
            0 => (Some("first".into()), first),
            1 => (Some("next".into()), tail),
            2 => (Some(value), offset.clamp(first, tail)),
            3 if offset > 0 => {
                let value = FieldValue::I64(-i64::try_from(offset).expect("small"));
                let next = tail.saturating_sub(offset).clamp(first, tail);
                (Some(value), next)
            }
            4 => {
                let since = u.int_in_range(0..=self.now / 1000 + 1)?;
                let next = self.published.iter().position(|m| m.time >= since * 1000);
                let next = next.map_or(tail, |at| (at as u64).max(first));
                (Some(FieldValue::Timestamp(since)), next)
            }
            _ => {
                let tracked = self.tracked.get(tag);
                let next = tracked.map(|&next| next.clamp(first, tail));
                (None, next.unwrap_or(tail))
            }
        })
    }

    fn ack(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.consumers.is_empty() {
            return Ok(());
        }
        let at = u.choose_index(self.consumers.len())?;
        let consumer = &mut self.consumers[at];
        let mut done = Vec::new();
        for _ in 0..u.int_in_range(0..=consumer.held.len())? {
            let index = if u.arbitrary()? {
                0
            } else {
                u.choose_index(consumer.held.len())?
            };
            done.push(consumer.held.remove(index));
        }
        if done.is_empty() {
            return Ok(());
        }
        done.sort_unstable();
        let held = Held {
            consumer: Some(consumer.key),
            positions: &done,
        };
        if u.arbitrary()? {
            self.stream.settle(held);
        } else {
            self.stream.requeue(held);
        }
        if consumer.tracks {
            let reader = self
                .stream
                .readers
                .get(consumer.key.slot())
                .expect("is there");
            let first_held = consumer.held.iter().min().copied();
            let next = first_held.unwrap_or(reader.next);
            self.tracked.insert(consumer.tag.clone(), next);
        }
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
                Write::Settle { data, .. } => self.state = Some(data),
                _ => unreachable!(),
            }
        }
        self.stream.committed();
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
            settlement: (self.state.iter())
                .map(|state| (Part::WHOLE, state.clone()))
                .collect(),
        };
        self.consumers.clear();
        self.connections = Connections::default();
        self.stream = recover(recovered, &self.arguments).expect("well-formed");
        self.stream.tell_time(self.now);
        // What was tracked and not committed is forgotten.
        let tracked = self.stream.tracked();
        self.tracked = tracked
            .map(|(tag, next)| (ConsumerTag::new(tag).expect("short"), next))
            .collect();
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
            let room = self.connections.room > 0 && consumer.held.len() < consumer.prefetch;
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

/// A stream of some batches that were each committed.
fn filled(arguments: QueueArguments, batches: u64) -> World {
    let mut world = World::new(arguments);
    for batch in 0..batches {
        world.now = 1000 * (batch + 1);
        world.stream.tell_time(world.now);
        let message = (properties(None), vec![1; 1000]);
        let messages = vec![message; 10];
        let known = Known {
            number: 0,
            value: None,
            time: world.now,
        };
        world.published.extend([known; 10]);
        world.stream.publish(&Framed(&messages));
        world.commit();
        world.stream.expire();
    }
    world
}

#[test]
fn length_is_kept_by_whole_segments() {
    let mut world = filled(
        QueueArguments {
            max_length_bytes: Some(30_000),
            stream_max_segment_bytes: Some(10_000),
            ..QueueArguments::default()
        },
        20,
    );
    let stream = &world.stream;
    assert!(
        stream.bytes <= 30_000 && stream.bytes > 10_000,
        "{}",
        stream.bytes
    );
    // One segment alone is kept, however small the limit.
    world.stream.retention = Retention::new(&QueueArguments {
        max_length_bytes: Some(1),
        ..world.arguments.clone()
    });
    world.stream.retention.active = world.stream.chunks.back().expect("not empty").base;
    world.stream.expire();
    assert_eq!(world.stream.chunks.len(), 1);
    assert!(world.stream.message_count() > 0);
}

#[test]
fn age_is_kept_by_whole_segments_and_known_again_after_a_restart() {
    let mut world = filled(
        QueueArguments {
            max_age: Some(Duration::from_secs(5)),
            stream_max_segment_bytes: Some(5_000),
            ..QueueArguments::default()
        },
        20,
    );
    let first = world.first();
    assert!((130..=150).contains(&first), "{first}");
    assert!(world.stream.deadline().is_some_and(|at| at > world.now));
    world.crash();
    world.now += 60_000;
    world.stream.tell_time(world.now);
    assert!(world.stream.expire().page_in);
    world.drain();
    while world.stream.expire().page_in {
        world.drain();
    }
    world.commit();
    assert_eq!(world.stream.chunks.len(), 1, "the active one");
}

#[test]
fn last_is_the_batch_that_was_stored_last() {
    let mut world = filled(QueueArguments::default(), 3);
    let mut arguments = FieldTable::new();
    arguments.push(ShortString::cut("x-stream-offset"), "last");
    let options = ConsumerOptions {
        tag: ConsumerTag::new("c").expect("short"),
        no_ack: false,
        exclusive: false,
        priority: 0,
        prefetch: 100,
        arguments,
    };
    world.connections.room = 100;
    world.stream.consume(7, options);
    world.stream.dispatch(&mut world.connections);
    let offsets: Vec<_> = world.connections.got.iter().map(|got| got.1).collect();
    assert_eq!(offsets, (20..30).collect::<Vec<_>>());
}
