//! What random operations seldom come to.

use super::*;
use crate::store::CommitGroup;

#[test]
fn what_is_lost_counts_no_more() {
    for max_priority in [None, Some(2)] {
        let mut world = World::new(QueueArguments {
            max_priority,
            ..QueueArguments::default()
        });
        lose_what_is_away(&mut world);
    }
}

fn lose_what_is_away(world: &mut World) {
    let bodies = (0..40).map(|n| (vec![1; 200_000], true, properties(n / 10, None)));
    let bodies = Bodies(bodies.collect());
    world.queue.publish(&bodies, &mut world.connections);
    let mut held = Vec::new();
    for _ in 0..9 {
        let (got, _) = world.queue.get(false, |delivery, _| delivery.position);
        let Get::Message(position) = got else {
            panic!("{got:?}")
        };
        held.push(position);
    }
    world.queue.requeue(
        Held {
            consumer: None,
            positions: &held[3..4],
        },
        Return::Peeked,
    );
    world.commit(true);
    let away: Vec<Position> = world
        .queue
        .log
        .segments
        .iter()
        .filter(|segment| segment.block.is_none())
        .map(|segment| segment.base)
        .collect();
    assert!(away.len() > 3, "{away:?}");
    for base in away {
        world.queue.lose(base).expect("is there");
        let contents = world.queue.contents();
        assert_eq!(
            (contents.ready_bytes, contents.unacked_bytes),
            (
                world.queue.ready_count() * 200_000,
                world.queue.unacked_count() * 200_000
            )
        );
    }
}

#[test]
fn a_queue_is_abandoned_when_its_lease_ends() {
    let mut world = World::new(QueueArguments {
        expires: Some(Duration::from_millis(10)),
        ..QueueArguments::default()
    });
    let queue = &mut world.queue;
    queue.tell_time(100);
    queue.renew();
    assert_eq!(queue.deadline(), Some(110));
    queue.tell_time(109);
    assert!(!queue.is_abandoned());
    let (got, _) = queue.get(true, |_, _| ());
    assert_eq!(got, Get::Empty);
    queue.tell_time(110);
    assert!(!queue.is_abandoned(), "basic.get renews the lease");
    let options = ConsumerOptions {
        tag: ConsumerTag::default(),
        no_ack: true,
        exclusive: false,
        priority: 0,
        prefetch: 0,
        arguments: FieldTable::default(),
    };
    let key = queue.consume(0, options);
    queue.tell_time(200);
    assert!(!queue.is_abandoned());
    assert_eq!(queue.deadline(), None);
    queue.cancel(key);
    queue.tell_time(209);
    assert!(!queue.is_abandoned());
    queue.tell_time(210);
    assert!(queue.is_abandoned());
}

#[test]
fn no_figure_is_left_out_of_a_sum() {
    let all = Counters {
        published: 1,
        delivered: 2,
        delivered_no_ack: 3,
        got: 4,
        got_no_ack: 5,
        got_nothing: 6,
        redelivered: 7,
        acked: 8,
        expired: 9,
        rejected: 10,
        dropped: 11,
        exhausted: 12,
        dead_lettered: 13,
        refused: 14,
        stored: 15,
        read_back: 16,
    };
    let mut sum = Counters::default();
    sum += all;
    assert_eq!(sum, all);
}

#[test]
fn a_deleted_queue_keeps_nothing_in_memory_or_in_the_store() {
    for max_priority in [None, Some(2)] {
        let mut world = World::new(QueueArguments {
            max_priority,
            ..QueueArguments::default()
        });
        let bodies = (0..40).map(|n| (vec![1; 200_000], n % 2 == 0, properties(0, None)));
        let bodies = Bodies(bodies.collect());
        world.queue.publish(&bodies, &mut world.connections);
        let (got, _) = world.queue.get(false, |delivery, _| delivery.position);
        assert_eq!(got, Get::Message(0));
        world.commit(false);
        assert!(world.queue.memory() > 8_000_000);
        let mut group = CommitGroup::default();
        world.queue.take_deletion(&mut group);
        world.disk.apply(group);
        world.queue.committed(false);
        assert_eq!(world.queue.memory(), 0);
        assert!(world.disk.records.is_empty());
        assert!(world.disk.settlement.is_empty());
    }
}

/// A connection whose room another queue uses between the question whether there is some and the look at how much.
#[derive(Default)]
struct Contended {
    asked: u32,
    starved: bool,
}

impl Sink<usize> for Contended {
    fn room(&mut self, _: &Consumer<usize>) -> Room {
        Room::default()
    }

    fn deliver<'m>(
        &mut self,
        _: &Consumer<usize>,
        _: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        Accepted::First(0)
    }

    fn starve(&mut self, _: &Consumer<usize>) -> bool {
        self.asked += 1;
        self.starved = self.asked > 2;
        self.starved
    }
}

#[test]
fn room_that_is_gone_when_it_is_looked_for_leaves_nobody_waiting_for_ever() {
    let mut world = World::new(QueueArguments::default());
    let options = ConsumerOptions {
        tag: ConsumerTag::default(),
        no_ack: true,
        exclusive: false,
        priority: 0,
        prefetch: 0,
        arguments: FieldTable::default(),
    };
    world.queue.consume(0, options);
    let mut connection = Contended::default();
    let bodies = Bodies(vec![(vec![0; 8], false, properties(0, None))]);
    world.queue.publish(&bodies, &mut connection);
    assert!(connection.starved, "nobody calls back");
}

#[test]
fn a_queue_tells_what_it_stored_and_whether_it_is_served() {
    let mut world = World::new(QueueArguments::default());
    assert!(!world.queue.is_served());
    assert_eq!(world.queue.oldest(|message| message.body.len()), None);
    world.connections.0.push(Connection {
        room: 10,
        ..Connection::default()
    });
    let options = ConsumerOptions {
        tag: ConsumerTag::default(),
        no_ack: false,
        exclusive: false,
        priority: 0,
        prefetch: 1,
        arguments: FieldTable::default(),
    };
    world.queue.consume(0, options);
    assert!(world.queue.is_served());
    let bodies = (0..20).map(|_| (vec![1; 200_000], true, properties(0, None)));
    let bodies = Bodies(bodies.collect());
    world.queue.publish(&bodies, &mut world.connections);
    assert!(!world.queue.is_served(), "the consumer has its one");
    assert_eq!(
        world.queue.oldest(|message| message.body.len()),
        Some(200_000)
    );
    world.commit(true);
    assert_eq!(world.queue.counters().stored, 20);
    let contents = world.queue.contents();
    assert!(
        contents.ready_in_memory_count < world.queue.ready_count(),
        "{contents:?}"
    );
    let bytes = contents.in_memory_count * 200_000;
    assert_eq!(contents.in_memory_bytes, bytes, "{contents:?}");
    assert_eq!(world.queue.counters().read_back, 0);
}

#[test]
fn levels_are_read_back_one_after_the_other() {
    let mut world = World::new(QueueArguments {
        max_priority: Some(2),
        ..QueueArguments::default()
    });
    let bodies = (0..60_u64).map(|number| {
        let mut body = number.to_be_bytes().to_vec();
        body.resize(200_000, 1);
        (body, number % 5 == 0, properties((number % 3) as u8, None))
    });
    let bodies = Bodies(bodies.collect());
    world.queue.publish(&bodies, &mut world.connections);
    world.commit(true);
    let mut seen = Vec::new();
    let mut read = BTreeSet::new();
    while world.queue.ready_count() > 0 {
        let (got, _) = world.queue.get(true, |delivery, _| {
            (delivery.position, delivery.message.body.len())
        });
        match got {
            Get::Message((position, bytes)) => {
                assert_eq!(bytes, 200_000);
                seen.push(position);
            }
            Get::Away => {
                for request in &world.queue.wanted {
                    for record in &request.records {
                        assert!(read.insert(record.id), "{record:?} is read again");
                    }
                }
                world.page_in();
                assert!(world.queue.contents().in_memory_count <= world.queue.ready_count());
            }
            Get::Empty => panic!("{} are left", world.queue.ready_count()),
        }
    }
    let order = (0..3).rev();
    let order = order.flat_map(|level| (0..60).filter(move |position| position % 3 == level));
    assert_eq!(seen, order.collect::<Vec<_>>());
    assert_eq!(world.queue.memory(), world.queue.log.walked_memory());
}
