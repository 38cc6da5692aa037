//! Columns that tell of what a broker does: where messages are, how well they are taken, what went over the wire.

use std::time::Instant;

use amphora_protocol::wire::method::{basic, connection, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{QueueName, ShortString};
use amphora_tests::{Broker, Client, PATIENCE};
use anyhow::ensure;
use serde_json::{Value, json};

use crate::api::Api;

const MADE_AT: u64 = 1_700_000_000;

fn publish(client: &mut Client, count: usize) -> anyhow::Result<()> {
    let publish = basic::Publish {
        routing_key: ShortString::cut("q").into(),
        ..basic::Publish::default()
    };
    let properties = BasicProperties {
        delivery_mode: Some(2),
        timestamp: Some(MADE_AT),
        ..BasicProperties::default()
    };
    for _ in 0..count {
        client.publish(1, &publish, &properties, b"12345")?;
    }
    Ok(())
}

#[test]
fn a_queue_tells_where_its_messages_are_and_how_they_are_taken() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        durable: true,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    let empty = api.get("/queues/%2F/q")?;
    ensure!(empty["head_message_timestamp"].is_null(), "{empty}");
    ensure!(empty["consumer_capacity"] == 0.0, "{empty}");

    let qos = basic::Qos {
        prefetch_count: 1,
        ..basic::Qos::default()
    };
    client.call(1, &qos)?;
    let consume = basic::Consume {
        queue: QueueName::new("q")?,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    ensure!(api.get("/queues/%2F/q")?["consumer_capacity"] == 1.0);
    publish(&mut client, 3)?;
    client.message(1)?;
    client.call(1, &declare)?;

    let queue = api.get("/queues/%2F/q")?;
    for (column, expected) in [
        ("head_message_timestamp", MADE_AT),
        ("messages_ram", 3),
        ("messages_ready_ram", 2),
        ("messages_unacknowledged_ram", 1),
        ("messages_paged_out", 0),
        ("message_bytes_ram", 15),
        ("message_bytes_paged_out", 0),
    ] {
        ensure!(queue[column] == expected, "{column}: {queue}");
    }
    // They are counted when they are written, which nobody has waited for.
    let begun = Instant::now();
    while api.get("/queues/%2F/q")?["message_stats"]["disk_writes"] != 3 {
        ensure!(begun.elapsed() < PATIENCE, "{}", api.get("/queues/%2F/q")?);
    }
    ensure!(api.get("/overview")?["message_stats"]["disk_writes"] == 3);
    Ok(())
}

#[test]
fn bytes_of_a_virtual_host_outlive_its_connections() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/queues/%2F/q", &json!({ "durable": true }))?;
    let mut client = broker.connect()?;
    client.open(1)?;
    publish(&mut client, 5)?;
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        passive: true,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    let shown = &api.get("/connections")?[0];
    for column in ["recv_oct", "recv_cnt", "send_oct", "send_cnt"] {
        ensure!(shown[column].as_u64() > Some(0), "{shown}");
    }
    ensure!(shown["user_who_performed_action"] == "guest", "{shown}");
    let open = api.get("/vhosts/%2F")?;
    ensure!(
        open["recv_oct"].as_u64() >= shown["recv_oct"].as_u64(),
        "{open}"
    );
    client.call(0, &connection::Close::default())?;
    drop(client);
    broker.logged("connection closed")?;
    let closed = api.get("/vhosts/%2F")?;
    ensure!(
        closed["recv_oct"].as_u64() >= open["recv_oct"].as_u64(),
        "{closed}"
    );
    ensure!(api.get("/nodes")?[0]["connection_created"] == 1);
    Ok(())
}

#[test]
fn what_is_in_force_is_told_without_secrets() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/settings", &json!({ "memory_mark": "123MiB" }))?;
    let config = api.get("/config/effective")?;
    ensure!(config["limits"]["memory_mark"] == "123MiB", "{config}");
    ensure!(config["durability"] == "fsync", "{config}");
    ensure!(config.get("users").is_none(), "{config}");
    let node = api.get("/nodes")?[0]["name"].clone();
    let node = node.as_str().unwrap_or_default();
    let relative = api.get(&format!("/nodes/{node}/memory/relative"))?;
    ensure!(relative["memory"]["total"] == 100, "{relative}");
    let shares = relative["memory"].as_object().into_iter().flatten();
    let told: u64 = shares
        .filter(|(name, _)| *name != "total")
        .filter_map(|(_, share)| share.as_u64())
        .sum();
    ensure!((90..=110).contains(&told), "{relative}");
    let (status, _) = api.call("GET", "/nodes/nothing/memory/relative", &Value::Null)?;
    ensure!(status == 404);
    Ok(())
}
