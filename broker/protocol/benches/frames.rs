//! Reading what clients say most, and writing confirms: `cargo bench -p amphora-protocol`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its result"
)]

mod rounds;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use amphora_protocol::connection::{Connection, Content, Event, Offer, Publish};
use amphora_protocol::wire::frame::{self, PROTOCOL_HEADER};
use amphora_protocol::wire::method::{AnyMethod, basic, channel, connection};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ChannelNumber, DeliveryTag, RoutingKey, VhostName};

use crate::rounds::Bench;

const CHANNEL: ChannelNumber = ChannelNumber(1);

const FRAME_MAX: u32 = 131_072;

/// About what one read brings.
const BATCH_BYTES: usize = 128 * 1024;

fn main() -> ExitCode {
    Bench::run(|bench| {
        read(bench);
        write(bench);
    })
}

fn read(bench: &Bench) {
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
        let straight = format!("read a {name} publish");
        read_all(bench, &straight, &message, publishes);
        let event = format!("read a {name} publish as an event");
        read_all(bench, &event, &message, events);
    }
    let mut ack = Vec::new();
    frame::write_method_frame(CHANNEL, &basic::Ack::default(), &mut ack);
    read_all(bench, "read an ack", &ack, acks);
    read_all(bench, "read an ack as an event", &ack, events);
    let mut reject = Vec::new();
    frame::write_method_frame(CHANNEL, &basic::Reject::default(), &mut reject);
    read_all(bench, "read a reject as an event", &reject, events);
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

/// About as many of the same as one read brings.
fn read_all(
    bench: &Bench,
    name: &str,
    message: &[u8],
    split: impl Fn(&mut Connection, &[u8]) -> u32,
) {
    bench.case(name, || {
        let count = u32::try_from(BATCH_BYTES / message.len()).expect("a batch is small");
        let batch = message.repeat(count as usize);
        let mut connection = open_connection();
        move || {
            assert_eq!(split(&mut connection, &batch), count);
            count
        }
    });
}

/// Confirms one behind the other, into a buffer that is used again.
fn write(bench: &Bench) {
    bench.case("write a confirm", || {
        let mut out = Vec::new();
        move || {
            out.clear();
            for tag in 1..=1000 {
                let ack = basic::Ack {
                    delivery_tag: DeliveryTag(black_box(tag)),
                    multiple: false,
                };
                frame::write_method_frame(CHANNEL, &ack, &mut out);
            }
            black_box(&out);
            1000
        }
    });
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
        FRAME_MAX,
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
        frame_max: FRAME_MAX,
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
