//! Delayed messages, more of them than stay in memory.

use std::collections::BTreeSet;
use std::time::Duration;

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client};
use anyhow::{Context, bail, ensure};

/// 40 MiB, of which the broker keeps less than half in memory.
const MESSAGES: u32 = 40_000;
const BODY: usize = 1024;

/// The first is due after this time, and the last so much later.
const LEAD_MS: u32 = 3_000;
const SPAN_MS: u32 = 2_000;

/// A message's delay: they are not published in the order in which they are due.
fn delay_ms(number: u32) -> u32 {
    LEAD_MS + (number * 7_919 % MESSAGES) / (MESSAGES / SPAN_MS)
}

fn table(name: &str, value: impl Into<FieldValue>) -> anyhow::Result<FieldTable> {
    Ok([(ShortString::new(name)?, value.into())]
        .into_iter()
        .collect())
}

fn declare(client: &mut Client) -> anyhow::Result<()> {
    client.call(
        1,
        &exchange::Declare {
            exchange: ExchangeName::new("later")?,
            kind: ShortString::new("x-delayed-message")?,
            durable: true,
            arguments: table("x-delayed-type", "direct")?,
            ..exchange::Declare::default()
        },
    )?;
    client.call(
        1,
        &queue::Declare {
            queue: QueueName::new("q")?,
            durable: true,
            ..queue::Declare::default()
        },
    )?;
    client.call(
        1,
        &queue::Bind {
            queue: QueueName::new("q")?,
            exchange: ExchangeName::new("later")?,
            routing_key: RoutingKey::new("k")?,
            ..queue::Bind::default()
        },
    )?;
    Ok(())
}

/// Publishes all messages; they are durable then.
fn publish(client: &mut Client) -> anyhow::Result<()> {
    client.call(1, &confirm::Select { no_wait: false })?;
    let publish = basic::Publish {
        exchange: ExchangeName::new("later")?,
        routing_key: RoutingKey::new("k")?,
        ..basic::Publish::default()
    };
    let mut bytes = Vec::new();
    for number in 0..MESSAGES {
        let properties = BasicProperties {
            headers: Some(table("x-delay", FieldValue::U32(delay_ms(number)))?),
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        let mut body = number.to_be_bytes().to_vec();
        body.resize(BODY, b'x');
        client.write_publish(1, &publish, &properties, &body, &mut bytes);
        if bytes.len() > 256 << 10 {
            client.write(&bytes)?;
            bytes.clear();
        }
    }
    client.write(&bytes)?;
    loop {
        match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) if ack.delivery_tag.0 == u64::from(MESSAGES) => {
                return Ok(());
            }
            Method::Basic(basic::Method::Ack(_)) => {}
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
}

fn consume(broker: &Broker) -> anyhow::Result<Client> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let consume = basic::Consume {
        queue: QueueName::new("q")?,
        no_ack: true,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    Ok(client)
}

fn next(client: &mut Client) -> anyhow::Result<u32> {
    let message = client.message(1)?;
    let number = message.body.first_chunk().context("a short body")?;
    ensure!(message.body.len() == BODY, "{} bytes", message.body.len());
    Ok(u32::from_be_bytes(*number))
}

#[test]
fn messages_that_left_memory_come_once_each_and_in_time() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    declare(&mut client)?;
    publish(&mut client)?;
    let mut consumer = consume(&broker)?;
    let mut seen = BTreeSet::new();
    let mut last = 0;
    while seen.len() < MESSAGES as usize {
        let number = next(&mut consumer)?;
        ensure!(seen.insert(number), "{number} came twice");
        let delay = delay_ms(number);
        // They were not all published at the same moment.
        ensure!(delay + LEAD_MS > last, "{delay} came after {last}");
        last = last.max(delay);
    }
    Ok(())
}

#[test]
fn a_crash_in_the_middle_loses_none() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    declare(&mut client)?;
    publish(&mut client)?;
    // Some have gone on by then, and some wait.
    std::thread::sleep(Duration::from_millis((LEAD_MS + SPAN_MS / 2).into()));
    broker.restart()?;
    let mut consumer = consume(&broker)?;
    let mut seen = BTreeSet::new();
    let mut twice = 0;
    while seen.len() < MESSAGES as usize {
        twice += u32::from(!seen.insert(next(&mut consumer)?));
    }
    // Those that went on just before the crash may come again.
    ensure!(twice < MESSAGES / 4, "{twice} came twice");
    Ok(())
}
