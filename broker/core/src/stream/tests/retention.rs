//! What of a stream is kept, and where it begins.

use super::*;

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

#[test]
fn tiny_segments_are_not_as_many_as_messages() {
    const MESSAGES: u64 = 100_000;
    let mut world = World::new(QueueArguments {
        stream_max_segment_bytes: Some(1),
        ..QueueArguments::default()
    });
    let message = vec![(properties(None), vec![1; 100])];
    for _ in 0..MESSAGES {
        world.stream.publish(&Framed(&message));
    }
    let chunks = world.stream.chunks.len();
    assert!((1024..10_000).contains(&chunks), "{chunks}");
    world.published = (0..MESSAGES)
        .map(|_| Known {
            number: 0,
            value: None,
            time: world.now,
        })
        .collect();
    world.commit();
    world.crash();
    assert_eq!(world.stream.message_count(), MESSAGES);
    let chunks = world.stream.chunks.len();
    assert!(chunks <= 2 * 1024 + 1, "{chunks}");
}
