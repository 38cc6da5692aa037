//! kill -9 of a broker whose stream is published to and read: what was confirmed is there, at the offset at which it was seen before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use amphora_protocol::wire::method::{Method, basic, confirm, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ConsumerTag, DeliveryTag, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Message, Received, Settings};
use anyhow::{Context, bail, ensure};

use super::message::{self, Id};
use super::random::Random;
use super::{from_clock, number};

const STREAM: &str = "log";
const ROUNDS: u16 = 6;
const PREFETCH: u16 = 50;
const WINDOW: u64 = 200;

/// What a publisher knows when its broker is gone: it confirmed so many of its messages, from the first on.
struct Published {
    sender: u16,
    confirmed: u64,
}

#[test]
fn offsets_stay_with_their_messages() -> anyhow::Result<()> {
    let seed = number("AMPHORA_CRASH_SEED").unwrap_or_else(from_clock);
    println!("AMPHORA_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let mut broker = Broker::with(Settings {
        on_disk: true,
        ..Settings::default()
    })?;
    declare(&broker)?;
    // By offset.
    let mut known: Vec<Id> = Vec::new();
    for round in 0..ROUNDS {
        let killed = AtomicBool::new(false);
        let sending = broker.connect()?;
        let reader = broker.connect()?;
        let life = Duration::from_millis(50 + random.below(400));
        let mut bodies = Random::new(random.next());
        let (published, read) = std::thread::scope(|scope| {
            let publishing = scope.spawn({
                let (bodies, killed) = (&mut bodies, &killed);
                move || publish(sending, round, bodies, killed)
            });
            let from = known.len() as u64;
            let reading = scope.spawn({
                let killed = &killed;
                move || follow(reader, from, killed)
            });
            // Not an event but a moment: any.
            std::thread::sleep(life);
            killed.store(true, Ordering::Release);
            broker.kill()?;
            let published = publishing.join().expect("a publisher does not panic")?;
            let read = reading.join().expect("a reader does not panic")?;
            anyhow::Ok((published, read))
        })?;
        broker.restart()?;
        let found = read_all(&broker)?;
        ensure!(found.starts_with(&known), "what was there has changed");
        let read_count = read.len();
        ensure!(
            found[known.len()..].starts_with(&read),
            "what was read has changed"
        );
        let mine = found.iter().filter(|id| id.sender == published.sender);
        let mine: Vec<u64> = mine.map(|id| id.number).collect();
        ensure!(mine.is_sorted() && mine.len() as u64 >= published.confirmed);
        ensure!((0..mine.len() as u64).eq(mine.iter().copied()), "gaps");
        println!(
            "round {round}: {} confirmed, {read_count} read, {} there",
            published.confirmed,
            mine.len()
        );
        known = found;
    }
    Ok(())
}

fn declare(broker: &Broker) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let mut arguments = FieldTable::new();
    arguments.push(ShortString::new("x-queue-type")?, "stream");
    let declare = queue::Declare {
        queue: QueueName::new(STREAM)?,
        durable: true,
        arguments,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    Ok(())
}

/// Publishes until the broker is killed.
fn publish(
    mut client: Client,
    sender: u16,
    random: &mut Random,
    killed: &AtomicBool,
) -> anyhow::Result<Published> {
    let mut published = Published {
        sender,
        confirmed: 0,
    };
    match publish_all(&mut client, &mut published, random) {
        Err(error) if !killed.load(Ordering::Acquire) => Err(error),
        _ => Ok(published),
    }
}

fn publish_all(
    client: &mut Client,
    published: &mut Published,
    random: &mut Random,
) -> anyhow::Result<()> {
    client.open(1)?;
    client.call(1, &confirm::Select::default())?;
    let publish = basic::Publish {
        routing_key: RoutingKey::new(STREAM)?,
        ..basic::Publish::default()
    };
    let mut sent = 0;
    loop {
        while sent < published.confirmed + WINDOW {
            let id = Id {
                sender: published.sender,
                number: sent,
            };
            let body = message::body(id, random);
            client.publish(1, &publish, &BasicProperties::default(), &body)?;
            sent += 1;
        }
        let received = client.receive()?;
        let Received::Method(1, Method::Basic(basic::Method::Ack(ack))) = received else {
            bail!("{received:?} where a confirm belongs");
        };
        // One connection's messages are confirmed in their order.
        published.confirmed = published.confirmed.max(ack.delivery_tag.0);
    }
}

/// Reads what comes from this offset on until the broker is killed.
fn follow(mut client: Client, from: u64, killed: &AtomicBool) -> anyhow::Result<Vec<Id>> {
    let mut read = Vec::new();
    consume(&mut client, from)?;
    loop {
        match next(&mut client, from + read.len() as u64) {
            Ok(id) => read.push(id),
            Err(error) if !killed.load(Ordering::Acquire) => return Err(error),
            Err(_) => return Ok(read),
        }
    }
}

/// Reads as many messages as the stream says that it has.
fn read_all(broker: &Broker) -> anyhow::Result<Vec<Id>> {
    let mut client = broker.connect()?;
    let count = consume(&mut client, 0)?;
    (0..count).map(|offset| next(&mut client, offset)).collect()
}

/// Returns how many messages there are.
fn consume(client: &mut Client, from: u64) -> anyhow::Result<u64> {
    client.open(1)?;
    let prefetch = basic::Qos {
        prefetch_count: PREFETCH,
        ..basic::Qos::default()
    };
    client.call(1, &prefetch)?;
    let declare = queue::Declare {
        queue: QueueName::new(STREAM)?,
        passive: true,
        ..queue::Declare::default()
    };
    let Method::Queue(queue::Method::DeclareOk(found)) = client.call(1, &declare)? else {
        bail!("no queue.declare-ok");
    };
    let mut arguments = FieldTable::new();
    let offset = FieldValue::I64(i64::try_from(from)?);
    arguments.push(ShortString::new("x-stream-offset")?, offset);
    let consume = basic::Consume {
        queue: found.queue,
        consumer_tag: ConsumerTag::new("reader")?,
        no_wait: true,
        arguments,
        ..basic::Consume::default()
    };
    client.send(1, &consume)?;
    Ok(found.message_count.into())
}

/// The next message, which must have this offset.
fn next(client: &mut Client, offset: u64) -> anyhow::Result<Id> {
    let message = client.message(1)?;
    let Message {
        method: basic::Method::Deliver(deliver),
        properties,
        body,
        ..
    } = message
    else {
        bail!("{:?} where a delivery belongs", message.method);
    };
    let headers = BasicProperties::decode(&properties)?.headers;
    let headers = headers.context("it has no headers")?;
    let given = headers.get("x-stream-offset");
    let given = given.and_then(FieldValue::as_integer);
    ensure!(
        given == Some(i64::try_from(offset)?),
        "{given:?} for {offset}"
    );
    if deliver.delivery_tag.0 % u64::from(PREFETCH / 2) == 0 {
        let ack = basic::Ack {
            delivery_tag: DeliveryTag(deliver.delivery_tag.0),
            multiple: true,
        };
        client.send(1, &ack)?;
    }
    message::identify(&body)
}
