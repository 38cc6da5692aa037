//! Random operations on a queue against a naive model, with the invariants that `ARCHITECTURE.md` lists by number.

mod connections;
mod disk;
mod fanout;
mod invariants;
mod operations;
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
use crate::queue_arguments::{Overflow, QueueArguments, QueueType};
use connections::{Bodies, Connection, Connections, properties};
use disk::{Committed, Disk};

/// A delivery as a connection saw it: position, redelivered, and the number in the body.
type Seen = (Position, bool, u64);

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
    /// What publishers did not get in, since the queue was full.
    refused: u64,
    /// Deliveries of what had been delivered before.
    redelivered: u64,
    /// On their way to the dead-letter exchange. The first so many were tried in vain.
    dying: VecDeque<Position>,
    held_up: usize,
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
            refused: 0,
            redelivered: 0,
            dying: VecDeque::new(),
            held_up: 0,
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
            self.dispatch();
            self.drain();
            self.expire();
        }
        match u.int_in_range(0..=19)? {
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
            19 if u.ratio(1, 4)? => self.apply_policy(u)?,
            _ => {}
        }
        self.drain();
        self.expire();
        self.check();
        Ok(())
    }

    /// Dispatches, in as many turns as that takes.
    fn dispatch(&mut self) {
        while self.queue.dispatch(&mut self.connections).more {}
    }

    fn all_held(&self) -> BTreeSet<Position> {
        self.held
            .values()
            .flatten()
            .chain(&self.got)
            .copied()
            .collect()
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
