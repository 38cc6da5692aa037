//! What random operations seldom come to.

use super::*;
use crate::store::CommitGroup;
use amphora_protocol::wire::types::ExchangeName;

fn consumer(no_ack: bool, prefetch: u32) -> ConsumerOptions {
    ConsumerOptions {
        tag: ConsumerTag::default(),
        no_ack,
        exclusive: false,
        priority: 0,
        prefetch,
        arguments: FieldTable::default(),
    }
}

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
    let options = consumer(true, 0);
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
    let options = consumer(true, 0);
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
    let options = consumer(false, 1);
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
            Get::Empty | Get::Later => panic!("{} are left", world.queue.ready_count()),
        }
    }
    let order = (0..3).rev();
    let order = order.flat_map(|level| (0..60).filter(move |position| position % 3 == level));
    assert_eq!(seen, order.collect::<Vec<_>>());
    assert_eq!(world.queue.memory(), world.queue.log.walked_memory());
}

#[test]
fn what_is_published_while_a_group_is_taken_is_told_with_the_next_one() {
    const SIZE: u64 = 100_000;
    let arguments = QueueArguments {
        queue_type: QueueType::Quorum,
        delivery_limit: Some(5),
        ..QueueArguments::default()
    };
    let mut queue = Queue::new(QueueId(1), true);
    queue.configure(&arguments);
    let (mut disk, mut records) = (Disk::default(), Records::starting_at(0));
    let body = (
        vec![1; usize::try_from(SIZE).expect("it is small")],
        true,
        properties(0, None),
    );
    let bodies = Bodies(vec![body; 40]);
    let nobody = &mut Connections::default();
    queue.publish(&bodies, nobody);
    let mut group = CommitGroup::default();
    let mut taking = Taking::new(false);
    assert!(!queue.take_commit(&mut group, &mut records, &mut taking));
    queue.publish(&bodies, nobody);
    let held: Vec<Position> = (0..80)
        .map(
            |_| match queue.get(false, |delivery, _| delivery.position) {
                (Get::Message(position), _) => position,
                (got, _) => panic!("{got:?}"),
            },
        )
        .collect();
    let last = Held {
        consumer: None,
        positions: &held[79..],
    };
    queue.requeue(last, Return::Nacked);
    while !queue.take_commit(&mut group, &mut records, &mut taking) {}
    disk.apply(group);
    for stored in [false, true] {
        if stored {
            let (mut group, mut taking) = (CommitGroup::default(), Taking::new(false));
            while !queue.take_commit(&mut group, &mut records, &mut taking) {}
            disk.apply(group);
        }
        let mut again: Queue<usize> = recover(disk.recovered()).expect("recovers");
        again.configure(&arguments);
        let count = again.ready_count();
        assert!(if stored {
            count == 80
        } else {
            (40..80).contains(&count)
        });
        assert_eq!(
            again.contents().ready_bytes,
            count * SIZE,
            "{count} messages"
        );
        let attempts = again.returns.attempts.get(&held[79]);
        assert_eq!(
            attempts.map(|attempts| attempts.acquired),
            stored.then_some(1)
        );
    }
    let (mut group, mut taking) = (CommitGroup::default(), Taking::new(false));
    assert!(queue.take_commit(&mut group, &mut records, &mut taking));
    assert!(group.writes.is_empty(), "nothing has changed");
}

/// `count` messages of the same length, persistent, with a time to live of one digit if there is one.
fn persistent(count: u64, ttl: Option<u8>) -> Bodies {
    let bodies = (0..count).map(|number| {
        let mut body = number.to_be_bytes().to_vec();
        body.resize(20, 1);
        (body, true, properties(0, ttl))
    });
    Bodies(bodies.collect())
}

/// What comes back after a crash.
fn restarted(mut world: World) -> World {
    let mut again = World::new(world.arguments);
    again.queue = recover(world.disk.recovered()).expect("recovers");
    again.queue.configure(&again.arguments);
    again.queue.tell_time(world.now);
    World {
        disk: world.disk,
        records: world.records,
        now: world.now,
        ..again
    }
}

fn publish(world: &mut World, bodies: &Bodies) {
    world.queue.tell_time(world.now);
    world.queue.publish(bodies, &mut world.connections);
}

#[test]
fn a_message_that_expires_is_looked_at_after_a_restart() {
    let mut world = World::new(QueueArguments::default());
    publish(&mut world, &persistent(3, Some(9)));
    world.commit(false);
    let mut world = restarted(world);
    assert!(world.queue.keeps_time());
    assert!(world.queue.expire().page_in, "the head is asked for");
    world.page_in();
    assert_eq!(world.queue.deadline(), Some(world.now + 9));
    world.queue.tell_time(world.now + 9);
    world.queue.expire();
    assert_eq!(world.queue.ready_count(), 0);
}

#[test]
fn a_queue_whose_messages_do_not_expire_is_not_read_at_the_start() {
    let mut world = World::new(QueueArguments::default());
    publish(&mut world, &persistent(2, Some(0)));
    assert!(world.queue.keeps_time());
    world.queue.expire();
    publish(&mut world, &persistent(1, None));
    world.commit(false);
    assert!(world.queue.keeps_time(), "there may be another one");
    let (got, _) = world.queue.get(true, |_, _| ());
    assert_eq!(got, Get::Message(()));
    world.commit(false);
    assert!(!world.queue.keeps_time(), "there is none at all");
    publish(&mut world, &persistent(1, None));
    world.commit(false);
    let mut world = restarted(world);
    assert!(!world.queue.keeps_time());
    assert!(!world.queue.expire().page_in);
}

#[test]
fn one_dying_message_at_the_tail_leaves_all_others_where_they_are() {
    let mut world = World::new(QueueArguments {
        dead_letter_exchange: Some(ExchangeName::default()),
        ..QueueArguments::default()
    });
    publish(&mut world, &persistent(40, None));
    let mut held = Vec::new();
    for _ in 0..40 {
        let (got, _) = world.queue.get(false, |delivery, _| delivery.position);
        let Get::Message(position) = got else {
            panic!("{got:?}")
        };
        held.push(position);
    }
    let consumer = None;
    let dies = [7, 39];
    let positions = &dies;
    world.queue.reject(Held {
        consumer,
        positions,
    });
    held.retain(|position| !dies.contains(position));
    let positions = &held;
    world.queue.requeue(
        Held {
            consumer,
            positions,
        },
        Return::Peeked,
    );
    world.commit(false);
    let mut world = restarted(world);
    assert!(world.queue.returned.is_empty(), "nothing is listed");
    assert_eq!(world.queue.ready_count(), 38);
    let mut seen = Vec::new();
    while world.queue.ready_count() > 0 {
        match world.queue.get(true, |delivery, _| delivery.position).0 {
            Get::Message(position) => seen.push(position),
            Get::Away => world.page_in(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, held);
    assert_eq!(world.queue.contents().ready_bytes, 0);
    assert_eq!(world.queue.dying_count(), 2);
}

#[test]
fn much_that_has_expired_goes_in_turns() {
    let many = GIVEN_UP_MAX as u64 * 3;
    let mut world = World::new(QueueArguments::default());
    publish(&mut world, &persistent(many, Some(1)));
    publish(&mut world, &persistent(1, None));
    world.queue.tell_time(world.now + 5);
    let (got, _) = world.queue.get(true, |delivery, _| delivery.position);
    assert_eq!(got, Get::Later);
    assert_eq!(world.queue.ready_count(), many + 1 - GIVEN_UP_MAX as u64);
    world.connections.0.push(Connection {
        room: 10,
        ..Connection::default()
    });
    let options = consumer(true, 0);
    world.queue.consume(0, options);
    assert!(world.queue.dispatch(&mut world.connections).more);
    assert_eq!(
        world.queue.ready_count(),
        many + 1 - 2 * GIVEN_UP_MAX as u64
    );
    assert!(world.connections.0[0].inbox.is_empty());
    world.dispatch();
    assert_eq!(world.queue.ready_count(), 0);
    assert_eq!(world.connections.0[0].inbox.len(), 1);
    assert_eq!(world.queue.counters().expired, many);
}

#[test]
fn what_is_too_much_goes_in_turns() {
    let many = GIVEN_UP_MAX as u64 * 3;
    let mut world = World::new(QueueArguments::default());
    publish(&mut world, &persistent(many, None));
    let limited = QueueArguments {
        max_length: Some(1),
        ..QueueArguments::default()
    };
    world.queue.configure(&limited);
    assert!(world.queue.dispatch(&mut world.connections).more);
    assert_eq!(world.queue.ready_count(), many - GIVEN_UP_MAX as u64);
    world.dispatch();
    assert_eq!(world.queue.ready_count(), 1);
}

#[test]
fn what_is_lost_while_it_is_published_takes_no_other_along() {
    let mut world = World::new(QueueArguments {
        dead_letter_exchange: Some(ExchangeName::default()),
        ..QueueArguments::default()
    });
    let bodies = (0..12).map(|_| (vec![1; 200_000], true, properties(0, None)));
    let bodies = Bodies(bodies.collect());
    world.queue.publish(&bodies, &mut world.connections);
    for _ in 0..12 {
        let (got, _) = world.queue.get(false, |delivery, _| delivery.position);
        let Get::Message(position) = got else {
            panic!("{got:?}")
        };
        world.queue.reject(Held {
            consumer: None,
            positions: &[position],
        });
    }
    let mut shown = Vec::new();
    world.queue.dying(8, |position, _, _| shown.push(position));
    assert_eq!(shown, (0..8).collect::<Vec<_>>());
    let first = world.queue.log.segments[0].len;
    world.queue.lose(0).expect("is there");
    assert!((1..8).contains(&first), "{first}");
    let burials = shown.into_iter().map(|position| (position, Burial::Done));
    world.queue.bury(burials);
    let left: Vec<Position> = world.queue.deaths.positions().collect();
    assert_eq!(left, (8..12).collect::<Vec<_>>());
}

#[test]
fn what_survives_a_restart_must_be_committed() {
    for (durable, persistent) in [(true, true), (true, false), (false, true)] {
        // It goes to the queue's tail among others, by itself, or because a consumer's connection has no room after all.
        for (ttl, is_refused) in [(None, false), (Some(9), false), (None, true)] {
            let mut queue = Queue::new(QueueId(1), durable);
            let mut connections = Connections::default();
            if is_refused {
                connections.0.push(Connection::default());
                queue.consume(0, consumer(true, 0));
            }
            let bodies = Bodies(vec![(vec![1; 8], persistent, properties(0, ttl))]);
            let effects = queue.publish(&bodies, &mut connections);
            assert_eq!(queue.ready_count(), 1);
            let must = durable && persistent;
            assert_eq!(
                effects.commit, must,
                "{durable} {persistent} {ttl:?} {is_refused}"
            );
        }
    }
}

#[test]
fn a_time_to_live_that_is_ignored_is_none() {
    for is_ignored in [false, true] {
        let mut queue = Queue::new(QueueId(1), true);
        queue.tell_time(100);
        if is_ignored {
            queue.ignore_expirations();
        }
        let bodies = Bodies(vec![(vec![1; 8], true, properties(0, Some(9)))]);
        queue.publish(&bodies, &mut Connections::default());
        assert_eq!(queue.deadline(), (!is_ignored).then_some(109));
    }
}
