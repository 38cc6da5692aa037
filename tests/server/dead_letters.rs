//! More dead letters than the queue takes that they go to.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, queue};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{DeliveryTag, QueueName, ShortString};
use amphora_tests::{Broker, Client};
use anyhow::{Context, bail, ensure};

const LETTERS: u32 = 2_000;

/// What the queue of dead letters takes.
const ROOM: i32 = 10;

/// Longer than the first pauses between two tries.
const A_WHILE: Duration = Duration::from_secs(4);

/// With a pause of a second for each time that there is room, it would take 200 seconds at least.
const LONG: Duration = Duration::from_mins(2);

fn declare(
    client: &mut Client,
    name: &str,
    arguments: &[(&str, FieldValue)],
) -> anyhow::Result<()> {
    let arguments = arguments.iter();
    let arguments: FieldTable = arguments
        .map(|(name, value)| (ShortString::cut(name), value.clone()))
        .collect();
    let declare = queue::Declare {
        queue: QueueName::new(name)?,
        durable: true,
        arguments,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    Ok(())
}

fn consume(client: &mut Client, name: &str, prefetch_count: u16) -> anyhow::Result<()> {
    let qos = basic::Qos {
        prefetch_count,
        ..basic::Qos::default()
    };
    client.call(1, &qos)?;
    let consume = basic::Consume {
        queue: QueueName::new(name)?,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    Ok(())
}

/// Publishes all messages; they are durable then.
fn publish(client: &mut Client) -> anyhow::Result<()> {
    client.call(1, &confirm::Select { no_wait: false })?;
    for number in 0..LETTERS {
        client.publish_to(1, "q", &number.to_be_bytes())?;
    }
    loop {
        match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) if ack.delivery_tag.0 == u64::from(LETTERS) => {
                return Ok(());
            }
            Method::Basic(basic::Method::Ack(_)) => {}
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
}

/// Rejects all messages.
fn reject(broker: &Broker) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    consume(&mut client, "q", 0)?;
    for _ in 0..LETTERS {
        client.message(1)?;
    }
    let nack = basic::Nack {
        delivery_tag: DeliveryTag(u64::from(LETTERS)),
        multiple: true,
        requeue: false,
    };
    client.send(1, &nack)?;
    // The answer says that it was read.
    client.call(1, &basic::Qos::default())?;
    Ok(())
}

#[test]
fn they_come_in_their_order_and_as_soon_as_there_is_room() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let refuses = ("x-overflow", FieldValue::from("reject-publish"));
    let limit = ("x-max-length", ROOM.into());
    declare(&mut client, "dead", &[refuses.clone(), limit])?;
    let arguments = [
        refuses,
        ("x-queue-type", "quorum".into()),
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
        ("x-dead-letter-strategy", "at-least-once".into()),
    ];
    declare(&mut client, "q", &arguments)?;
    publish(&mut client)?;
    reject(&broker)?;
    std::thread::sleep(A_WHILE);
    let begin = Instant::now();
    let mut consumer = broker.connect()?;
    consumer.open(1)?;
    consume(&mut consumer, "dead", 5)?;
    for number in 0..LETTERS {
        let message = consumer.message(1)?;
        let found = message.body.first_chunk().context("a short body")?;
        let found = u32::from_be_bytes(*found);
        ensure!(found == number, "{found} where {number} belongs");
        let ack = basic::Ack {
            delivery_tag: DeliveryTag(u64::from(number) + 1),
            multiple: false,
        };
        consumer.send(1, &ack)?;
    }
    ensure!(begin.elapsed() < LONG, "{:?}", begin.elapsed());
    Ok(())
}
