//! How long it takes to split a stream of small publishes: `cargo bench -p amphora-protocol`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::time::Instant;

use amphora_protocol::connection::{Connection, Content, Event, Offer, Publish};
use amphora_protocol::wire::frame::{self, PROTOCOL_HEADER};
use amphora_protocol::wire::method::{AnyMethod, basic, channel, connection};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ChannelNumber, ExchangeName, RoutingKey, VhostName};

const CHANNEL: ChannelNumber = ChannelNumber(1);

/// About what one read brings.
const BATCH_BYTES: usize = 128 * 1024;

fn main() {
    let plain = BasicProperties::default();
    let persistent = BasicProperties {
        delivery_mode: Some(2),
        ..BasicProperties::default()
    };
    for (name, properties) in [("plain", plain), ("persistent", persistent)] {
        let by_publish = nanos_per_publish(&properties, |connection, batch| {
            let (mut used, mut seen) = (0, 0);
            while let Some(publish) = connection.next_publish(black_box(batch), &mut used) {
                take(&publish);
                seen += 1;
            }
            seen
        });
        let by_event = nanos_per_publish(&properties, |connection, batch| {
            let (mut used, mut seen, mut out) = (0, 0, Vec::new());
            while let Ok(Some(event)) = connection.next(black_box(batch), &mut used, &mut out) {
                if let Event::Publish(publish) = event {
                    take(&publish);
                    seen += 1;
                }
            }
            seen
        });
        println!("{name}, 16 bytes: {by_publish:.1} ns by next_publish, {by_event:.1} ns by next");
    }
}

#[inline]
fn take(publish: &Publish<'_>) {
    if let Content::Inline {
        target,
        properties,
        body,
    } = publish.content
    {
        black_box((publish.channel, publish.mandatory, target, properties, body));
    }
}

/// The least of several rounds, to leave out what else the machine does.
#[inline(never)]
fn nanos_per_publish(
    properties: &BasicProperties,
    mut split: impl FnMut(&mut Connection, &[u8]) -> u32,
) -> f64 {
    let (batch, count) = batch(properties, 16);
    let mut connection = open_connection();
    let mut least = f64::INFINITY;
    for _ in 0..200 {
        let started = Instant::now();
        for _ in 0..10 {
            assert_eq!(split(&mut connection, &batch), count);
        }
        least = least.min(started.elapsed().as_secs_f64() * 1e9 / 10.0 / f64::from(count));
    }
    least
}

fn batch(properties: &BasicProperties, body_len: usize) -> (Vec<u8>, u32) {
    let publish = basic::Publish {
        exchange: ExchangeName::default(),
        routing_key: RoutingKey::new("orders").expect("it is short"),
        ..basic::Publish::default()
    };
    let (mut batch, mut count) = (Vec::new(), 0);
    while batch.len() < BATCH_BYTES {
        frame::write_method_frame(CHANNEL, &publish, &mut batch);
        frame::write_content(
            CHANNEL,
            &properties.to_bytes(),
            &vec![b'x'; body_len],
            131_072,
            &mut batch,
        );
        count += 1;
    }
    (batch, count)
}

fn open_connection() -> Connection {
    let mut connection = Connection::new(Offer::default(), Instant::now());
    let mut out = Vec::new();
    let mut say = |connection: &mut Connection, method: &dyn AnyMethod, channel, header: &[u8]| {
        let mut input = header.to_vec();
        frame::write_method_frame(channel, method, &mut input);
        let mut used = 0;
        while let Ok(Some(event)) = connection.next(&input, &mut used, &mut out) {
            match event {
                Event::Login { .. } => connection.accept_login(&mut out),
                Event::Open { .. } => connection.accept_open(&mut out),
                Event::ChannelOpen(channel) => connection.accept_channel(channel, &mut out),
                other => panic!("{other:?}"),
            }
        }
    };
    let mechanism = "PLAIN".try_into().expect("it is short");
    let start_ok = connection::StartOk {
        mechanism,
        ..connection::StartOk::default()
    };
    let tune_ok = connection::TuneOk {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 0,
    };
    let open = connection::Open {
        virtual_host: VhostName::new("/").expect("it is short"),
    };
    say(
        &mut connection,
        &start_ok,
        ChannelNumber::CONNECTION,
        &PROTOCOL_HEADER,
    );
    say(&mut connection, &tune_ok, ChannelNumber::CONNECTION, &[]);
    say(&mut connection, &open, ChannelNumber::CONNECTION, &[]);
    say(&mut connection, &channel::Open {}, CHANNEL, &[]);
    connection
}
