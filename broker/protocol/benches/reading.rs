//! How long it takes to read what clients say most: `cargo bench -p amphora-protocol`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::time::Instant;

use amphora_protocol::connection::{Connection, Content, Event, Offer, Publish};
use amphora_protocol::wire::frame::{self, PROTOCOL_HEADER};
use amphora_protocol::wire::method::{AnyMethod, basic, channel, connection};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ChannelNumber, RoutingKey, VhostName};

const CHANNEL: ChannelNumber = ChannelNumber(1);

/// About what one read brings.
const BATCH_BYTES: usize = 128 * 1024;

fn main() {
    let plain = BasicProperties::default();
    let persistent = BasicProperties {
        delivery_mode: Some(2),
        ..plain.clone()
    };
    let described = BasicProperties {
        content_type: Some("application/json".try_into().expect("it is short")),
        headers: Some(FieldTable::from_iter([(
            "tenant".try_into().expect("it is short"),
            "a".into(),
        )])),
        ..persistent.clone()
    };
    for (name, properties) in [
        ("plain", plain),
        ("persistent", persistent),
        ("described", described),
    ] {
        let message = publish(&properties);
        let by_publish = nanos_each(&message, publishes);
        let by_event = nanos_each(&message, events);
        println!("{name} publish: {by_publish:.1} ns by next_publish, {by_event:.1} ns by next");
    }
    let mut ack = Vec::new();
    frame::write_method_frame(CHANNEL, &basic::Ack::default(), &mut ack);
    let (by_ack, by_event) = (nanos_each(&ack, acks), nanos_each(&ack, events));
    println!("ack: {by_ack:.1} ns by next_ack, {by_event:.1} ns by next");
    let mut reject = Vec::new();
    frame::write_method_frame(CHANNEL, &basic::Reject::default(), &mut reject);
    println!("reject: {:.1} ns by next", nanos_each(&reject, events));
}

fn publishes(connection: &mut Connection, input: &[u8]) -> u32 {
    let (mut used, mut seen) = (0, 0);
    while let Some(publish) = connection.next_publish(input, &mut used) {
        take(&publish);
        seen += 1;
    }
    seen
}

fn acks(connection: &mut Connection, input: &[u8]) -> u32 {
    let (mut used, mut seen) = (0, 0);
    while let Some(ack) = connection.next_ack(input, &mut used) {
        black_box(ack);
        seen += 1;
    }
    seen
}

fn events(connection: &mut Connection, input: &[u8]) -> u32 {
    let (mut used, mut seen, mut out) = (0, 0, Vec::new());
    while let Ok(Some(event)) = connection.next(input, &mut used, &mut out) {
        match event {
            Event::Publish(publish) => take(&publish),
            other => drop(black_box(other)),
        }
        seen += 1;
    }
    seen
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
fn nanos_each(message: &[u8], split: impl Fn(&mut Connection, &[u8]) -> u32) -> f64 {
    let count = u32::try_from(BATCH_BYTES / message.len()).expect("a batch is small");
    let batch = message.repeat(count as usize);
    let mut connection = open_connection();
    let mut least = f64::INFINITY;
    for _ in 0..200 {
        let started = Instant::now();
        for _ in 0..10 {
            assert_eq!(split(&mut connection, black_box(&batch)), count);
        }
        least = least.min(started.elapsed().as_secs_f64() * 1e9 / 10.0 / f64::from(count));
    }
    least
}

/// A publish of 16 bytes.
fn publish(properties: &BasicProperties) -> Vec<u8> {
    let publish = basic::Publish {
        routing_key: RoutingKey::new("orders").expect("it is short"),
        ..basic::Publish::default()
    };
    let mut out = Vec::new();
    frame::write_method_frame(CHANNEL, &publish, &mut out);
    frame::write_content(
        CHANNEL,
        &properties.to_bytes(),
        &[b'x'; 16],
        131_072,
        &mut out,
    );
    out
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
