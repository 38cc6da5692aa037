//! Messages into a queue, to consumers, and acknowledged.

use std::collections::VecDeque;
use std::hint::black_box;

use amphora_core::channel::{Settling, SourceKey, Unacked};
use amphora_core::message::{Batch, Body, Delivery, Message};
use amphora_core::queue::{
    Accepted, Consumer, ConsumerKey, ConsumerOptions, Held, Queue, Room, Sink,
};
use amphora_core::store::{Position, QueueId};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::ConsumerTag;

use crate::rounds::Bench;

/// What one read brings, about.
pub(crate) const BATCH: u32 = 1000;

/// Enough to fill some segments.
const BACKLOG: u32 = 50 * BATCH;

const PREFETCH: u32 = 100;

pub(crate) fn cases(bench: &Bench) {
    bench.case("pass a message through", || {
        let mut queue = Queue::new(QueueId(1), false);
        let mut connection = Connection::default();
        connection.consume(&mut queue, Acks::Automatic);
        let batch = Publishes::new(false);
        move || {
            queue.publish(&batch, &mut connection);
            BATCH
        }
    });
    for (name, persistent) in [
        ("append a message", false),
        ("append a persistent message", true),
    ] {
        bench.prepared_case(
            name,
            || Publishes::new(persistent),
            |_| Queue::new(QueueId(1), persistent),
            |batch, queue| fill(queue, batch),
        );
    }
    bench.prepared_case(
        "drain, automatic acks",
        || (),
        |()| backlog(Acks::Automatic),
        |(), (queue, connection)| {
            queue.dispatch(connection);
            assert_eq!(queue.ready_count(), 0);
            BACKLOG
        },
    );
    bench.prepared_case(
        "drain, acks in fifties",
        Settling::default,
        |_| backlog(Acks::Asked),
        |settling, (queue, connection)| {
            queue.dispatch(connection);
            for acked in 1..=BACKLOG / 50 {
                connection.ack(u64::from(acked) * 50, queue, settling);
            }
            assert_eq!(queue.counters().acked, u64::from(BACKLOG));
            BACKLOG
        },
    );
    bench.case(
        "deliver to one of 1,000 consumers what an ack makes way for",
        || {
            let mut queue = Queue::new(QueueId(1), false);
            for _ in 0..1000 {
                queue.consume((), options(Acks::Asked, 1));
            }
            let batch = Publishes::new(false);
            let mut farm = Farm::default();
            queue.publish(&batch, &mut farm);
            move || {
                queue.publish(&batch, &mut farm);
                assert_eq!(queue.ready_count(), u64::from(BATCH));
                farm.ack(&mut queue, BATCH);
                BATCH
            }
        },
    );
}

fn options(acks: Acks, prefetch: u32) -> ConsumerOptions {
    ConsumerOptions {
        tag: ConsumerTag::default(),
        no_ack: matches!(acks, Acks::Automatic),
        exclusive: false,
        priority: 0,
        prefetch,
        arguments: FieldTable::new(),
    }
}

/// A queue with messages, and a consumer that got none of them yet.
fn backlog(acks: Acks) -> (Queue<()>, Connection) {
    let mut queue = Queue::new(QueueId(1), false);
    fill(&mut queue, &Publishes::new(false));
    let mut connection = Connection::default();
    connection.consume(&mut queue, acks);
    (queue, connection)
}

/// Publishes a backlog to a queue without a consumer.
fn fill(queue: &mut Queue<()>, batch: &Publishes) -> u32 {
    let mut nobody = Connection::default();
    for _ in 0..BACKLOG / BATCH {
        queue.publish(batch, &mut nobody);
    }
    BACKLOG
}

/// Messages of 16 bytes.
pub(crate) struct Publishes {
    properties: &'static [u8],
    persistent: bool,
}

impl Publishes {
    pub(crate) fn new(persistent: bool) -> Self {
        Self {
            // The delivery mode, or nothing.
            properties: if persistent { &[0x10, 0, 2] } else { &[0, 0] },
            persistent,
        }
    }
}

impl Batch for Publishes {
    fn len(&self) -> usize {
        BATCH as usize
    }

    fn message(&self, _: usize) -> Message<'_> {
        Message {
            target: black_box(b"\x00\x06orders"),
            properties: self.properties,
            body: Body::Inline(black_box(&[b'x'; 16])),
            persistent: self.persistent,
        }
    }
}

#[derive(Clone, Copy)]
enum Acks {
    Automatic,
    Asked,
}

/// A connection with one channel and one consumer, that takes all that comes and keeps no more of it than the channel must.
#[derive(Default)]
pub(crate) struct Connection {
    unacked: Unacked<()>,
    source: SourceKey,
}

impl Connection {
    fn consume(&mut self, queue: &mut Queue<()>, acks: Acks) {
        let key = queue.consume((), options(acks, PREFETCH));
        self.source = self.unacked.open_source((), Some(key));
    }

    /// All up to `tag`.
    fn ack(&mut self, tag: u64, queue: &mut Queue<()>, settling: &mut Settling<()>) {
        let taken = self.unacked.take(1, tag, true, settling);
        taken.expect("it is outstanding");
        settling.drain(|taken| {
            queue.settle(Held {
                consumer: taken.consumer,
                positions: &taken.positions,
            });
        });
        queue.dispatch(self);
    }
}

const ALL_ROOM: Room = Room {
    bytes: usize::MAX,
    messages: u32::MAX,
    overhead: 0,
};

impl Sink<()> for Connection {
    fn room(&mut self, _: &Consumer<()>) -> Room {
        ALL_ROOM
    }

    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<()>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        for delivery in deliveries {
            let tag = if consumer.options.no_ack {
                self.unacked.next_tag()
            } else {
                self.unacked.push(self.source, delivery.position)
            };
            black_box((tag, delivery));
        }
        Accepted::All
    }

    fn starve(&mut self, _: &Consumer<()>) -> bool {
        true
    }
}

/// Consumers that acknowledge in the order in which they are served.
#[derive(Default)]
struct Farm {
    held: VecDeque<(ConsumerKey, Position)>,
}

impl Farm {
    /// So many that were delivered, one by one, each of which makes way for another.
    fn ack(&mut self, queue: &mut Queue<()>, count: u32) {
        for _ in 0..count {
            let (key, position) = self.held.pop_front().expect("as many are held");
            queue.settle(Held {
                consumer: Some(key),
                positions: &[position],
            });
            queue.dispatch(self);
        }
    }
}

impl Sink<()> for Farm {
    fn room(&mut self, _: &Consumer<()>) -> Room {
        ALL_ROOM
    }

    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<()>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        for delivery in deliveries {
            self.held.push_back((consumer.key, delivery.position));
            black_box(delivery);
        }
        Accepted::All
    }

    fn starve(&mut self, _: &Consumer<()>) -> bool {
        true
    }
}
