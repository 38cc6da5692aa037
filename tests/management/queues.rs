//! What a listing says of queues while clients work on them.

use amphora_protocol::wire::method::{Method, basic, confirm, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{
    ConsumerTag, DeliveryTag, ExchangeName, QueueName, RoutingKey, ShortString,
};
use amphora_tests::{Broker, Client};
use anyhow::{bail, ensure};
use serde_json::{Value, json};

use crate::api::{Api, columns, only};

const COLUMNS: [&str; 7] = [
    "messages_ready",
    "messages_unacknowledged",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "messages_persistent",
    "message_bytes_persistent",
    "consumers",
];

/// Publishes bodies of these sizes, each second one persistent, and waits for the confirms.
fn publish(client: &mut Client, sizes: &[usize]) -> anyhow::Result<()> {
    for (index, &size) in sizes.iter().enumerate() {
        let publish = basic::Publish {
            routing_key: RoutingKey::new("q")?,
            ..basic::Publish::default()
        };
        let properties = BasicProperties {
            delivery_mode: Some(if index % 2 == 0 { 2 } else { 1 }),
            ..BasicProperties::default()
        };
        client.publish(1, &publish, &properties, &vec![7; size])?;
    }
    let mut confirmed = 0;
    while confirmed < sizes.len() as u64 {
        match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) => confirmed = ack.delivery_tag.0,
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
    Ok(())
}

fn open(broker: &Broker) -> anyhow::Result<Client> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        durable: true,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    client.call(1, &confirm::Select::default())?;
    Ok(client)
}

/// Takes `count` messages without acknowledging them.
fn consume(client: &mut Client, count: u16) -> anyhow::Result<()> {
    client.open(2)?;
    let qos = basic::Qos {
        prefetch_count: count,
        ..basic::Qos::default()
    };
    client.call(2, &qos)?;
    let consume = basic::Consume {
        queue: QueueName::new("q")?,
        consumer_tag: ConsumerTag::new("tag")?,
        ..basic::Consume::default()
    };
    client.call(2, &consume)?;
    for _ in 0..count {
        client.message(2)?;
    }
    Ok(())
}

#[test]
fn messages_and_their_bytes_are_counted_exactly_and_through_a_crash() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let mut client = open(&broker)?;
    publish(&mut client, &[1, 10, 100, 1_000, 10_000])?;
    let api = Api::of(&broker)?;
    let queue = api.get("/queues/%2F/q")?;
    assert_eq!(columns(&queue, COLUMNS), [5, 0, 11_111, 0, 3, 10_101, 0]);

    consume(&mut client, 2)?;
    let queue = api.get("/queues/%2F/q")?;
    assert_eq!(columns(&queue, COLUMNS), [3, 2, 11_100, 11, 3, 10_101, 1]);

    let ack = basic::Ack {
        delivery_tag: DeliveryTag(1),
        multiple: false,
    };
    client.send(2, &ack)?;
    client.message(2)?;
    publish(&mut client, &[5])?;
    let queue = api.get("/queues/%2F/q")?;
    assert_eq!(columns(&queue, COLUMNS), [3, 2, 11_005, 110, 3, 10_105, 1]);
    let totals = &api.get("/overview")?["queue_totals"];
    assert_eq!(totals["messages"], 5);

    broker.restart()?;
    let api = Api::of(&broker)?;
    let queue = api.get("/queues/%2F/q")?;
    assert_eq!(columns(&queue, COLUMNS), [3, 0, 10_105, 0, 3, 10_105, 0]);
    Ok(())
}

#[test]
fn what_happened_to_messages_is_counted_and_outlives_their_queue() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut client = open(&broker)?;
    publish(&mut client, &[1, 2, 3])?;
    consume(&mut client, 2)?;
    let nack = basic::Nack {
        delivery_tag: DeliveryTag(2),
        multiple: true,
        requeue: true,
    };
    client.send(2, &nack)?;
    for _ in 0..2 {
        client.message(2)?;
    }
    let names = ["publish", "deliver", "redeliver", "ack"];
    let api = Api::of(&broker)?;
    let stats = &api.get("/queues/%2F/q")?["message_stats"];
    assert_eq!(columns(stats, names), [3, 4, 2, 0]);

    let ack = basic::Ack {
        delivery_tag: DeliveryTag(0),
        multiple: true,
    };
    client.send(2, &ack)?;
    client.message(2)?;
    api.run("DELETE", "/queues/%2F/q", &json!(null))?;
    let overview = api.get("/overview")?;
    let stats = &overview["message_stats"];
    assert_eq!(columns(stats, names), [3, 5, 2, 2]);
    assert_eq!(stats["confirm"], 3);
    let churn = ["queue_declared", "queue_created", "queue_deleted"];
    assert_eq!(columns(&overview["churn_rates"], churn), [1, 1, 1]);
    match client.method(2)? {
        Method::Basic(basic::Method::Cancel(cancel)) => assert_eq!(cancel.consumer_tag, "tag"),
        other => bail!("{other:?} where basic.cancel belongs"),
    }
    Ok(())
}

#[test]
fn an_exclusive_queue_is_shown_with_its_owner_and_is_nobody_elses() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let declare = queue::Declare {
        queue: QueueName::new("mine")?,
        exclusive: true,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    let api = Api::of(&broker)?;
    let owner = &api.get("/queues/%2F/mine")?["owner_pid_details"];
    let connections = api.get("/connections")?;
    assert_eq!(owner["name"], only(&connections)?["name"]);
    let question = json!({ "count": 1, "ackmode": "ack_requeue_true", "encoding": "auto" });
    let (status, answer) = api.call("POST", "/queues/%2F/mine/get", &question)?;
    ensure!(status == 400, "{status} {answer}");
    assert_eq!(
        answer["reason"],
        "cannot obtain exclusive access to locked queue 'mine' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration."
    );
    Ok(())
}

#[test]
fn an_exchange_counts_what_came_in_and_where_it_went() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let declaration = json!({ "type": "fanout" });
    api.run("PUT", "/exchanges/%2F/x", &declaration)?;
    for queue in ["a", "b"] {
        api.run("PUT", &format!("/queues/%2F/{queue}"), &json!({}))?;
        let binding = json!({ "routing_key": "" });
        api.run("POST", &format!("/bindings/%2F/e/x/q/{queue}"), &binding)?;
    }
    let mut client = broker.connect()?;
    client.open(1)?;
    for exchange in ["x", "x", "", "amq.direct"] {
        let publish = basic::Publish {
            exchange: ExchangeName::new(exchange)?,
            routing_key: RoutingKey::new("a")?,
            ..basic::Publish::default()
        };
        client.publish(1, &publish, &BasicProperties::default(), b"one")?;
    }
    // Answered when all that went before is dealt with.
    client.call(1, &basic::Qos::default())?;
    let counted = |exchange: &str| -> anyhow::Result<[Value; 2]> {
        let exchange = api.get(&format!("/exchanges/%2F/{exchange}"))?;
        Ok(columns(
            &exchange["message_stats"],
            ["publish_in", "publish_out"],
        ))
    };
    assert_eq!(counted("x")?, [2, 4]);
    assert_eq!(counted("amq.default")?, [1, 1]);
    assert_eq!(counted("amq.direct")?, [1, 0]);
    api.run("DELETE", "/exchanges/%2F/x", &json!(null))?;
    api.run("PUT", "/exchanges/%2F/x", &declaration)?;
    assert_eq!(counted("x")?, [0, 0]);
    Ok(())
}

#[test]
fn a_paused_queue_delivers_nothing_until_it_is_resumed_and_shows_what_is_held() -> anyhow::Result<()>
{
    let mut broker = Broker::start()?;
    let mut client = open(&broker)?;
    publish(&mut client, &[1, 2, 3])?;
    consume(&mut client, 2)?;
    let api = Api::of(&broker)?;
    let unacked = api.get("/queues/%2F/q/unacked")?;
    let shown = ["position", "delivery_tag", "consumer_tag"];
    let held: Vec<_> = unacked.as_array().into_iter().flatten().collect();
    assert_eq!(held.len(), 2);
    assert_eq!(columns(held[0], shown), [json!(0), json!(1), json!("tag")]);
    assert_eq!(columns(held[1], shown), [json!(1), json!(2), json!("tag")]);
    assert!(held[0]["unacked_for_seconds"].as_u64() < Some(60));

    api.run("PUT", "/queues/%2F/q/pause", &json!(null))?;
    let ack = basic::Ack {
        delivery_tag: DeliveryTag(0),
        multiple: true,
    };
    client.send(2, &ack)?;
    // Answered when all that went before is dealt with: a delivery would come first.
    client.call(2, &basic::Qos::default())?;
    assert_eq!(api.get("/queues/%2F/q")?["state"], "paused");
    assert_eq!(api.get("/queues/%2F/q/unacked")?, json!([]));
    let (status, _) = api.call("PUT", "/queues/%2F/none/pause", &json!(null))?;
    assert_eq!(status, 404);

    // It stays so. What was not persistent is gone, and with it what waited.
    publish(&mut client, &[4])?;
    broker.restart()?;
    let api = Api::of(&broker)?;
    assert_eq!(api.get("/queues/%2F/q")?["state"], "paused");
    let mut client = broker.connect()?;
    client.open(2)?;
    let consume = basic::Consume {
        queue: QueueName::new("q")?,
        ..basic::Consume::default()
    };
    client.call(2, &consume)?;
    client.call(2, &basic::Qos::default())?;
    api.run("PUT", "/queues/%2F/q/resume", &json!(null))?;
    assert_eq!(client.message(2)?.body, vec![7; 3]);
    assert_eq!(api.get("/queues/%2F/q")?["state"], "running");
    Ok(())
}

#[test]
fn what_a_queue_gives_up_is_counted() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let arguments = json!({ "x-max-length": 2, "x-dead-letter-exchange": "amq.fanout" });
    api.run("PUT", "/queues/%2F/q", &json!({ "arguments": arguments }))?;
    api.run("PUT", "/queues/%2F/dead", &json!({}))?;
    let binding = json!({ "routing_key": "" });
    api.run("POST", "/bindings/%2F/e/amq.fanout/q/dead", &binding)?;
    let mut client = broker.connect()?;
    client.open(1)?;
    client.call(1, &confirm::Select::default())?;
    publish(&mut client, &[1, 2, 3])?;
    let take = json!({ "count": 1, "ackmode": "reject_requeue_false", "encoding": "auto" });
    api.run("POST", "/queues/%2F/q/get", &take)?;
    let begun = std::time::Instant::now();
    while api.get("/queues/%2F/dead")?["messages_ready"] != 2 {
        ensure!(begun.elapsed() < amphora_tests::PATIENCE, "no dead letters");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let queue = api.get("/queues/%2F/q")?;
    let deaths = ["rejected", "expired", "maxlen", "delivery_limit", "refused"];
    assert_eq!(columns(&queue["deaths"], deaths), [1, 0, 1, 0, 0]);
    Ok(())
}

#[test]
fn where_consumers_of_a_stream_go_on_is_shown() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let stream = json!({ "durable": true, "arguments": { "x-queue-type": "stream" } });
    api.run("PUT", "/queues/%2F/s", &stream)?;
    api.run("PUT", "/queues/%2F/q", &json!({}))?;
    assert_eq!(
        api.call("GET", "/queues/%2F/q/offsets", &Value::Null)?.0,
        404
    );
    assert_eq!(api.get("/queues/%2F/s/offsets")?, json!([]));
    let message = json!({ "routing_key": "s", "payload": "", "payload_encoding": "string", "properties": {} });
    for _ in 0..3 {
        api.run("POST", "/exchanges/%2F/amq.default/publish", &message)?;
    }
    let mut client = broker.connect()?;
    client.open(1)?;
    let qos = basic::Qos {
        prefetch_count: 10,
        ..basic::Qos::default()
    };
    client.call(1, &qos)?;
    let mut arguments = FieldTable::new();
    arguments.insert(ShortString::new("x-stream-offset")?, "first");
    arguments.insert(
        ShortString::new("x-stream-automatic-offset-tracking")?,
        true,
    );
    let consume = basic::Consume {
        queue: QueueName::new("s")?,
        consumer_tag: ConsumerTag::new("shop")?,
        arguments,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    for _ in 0..3 {
        client.message(1)?;
    }
    // What it holds is ready for others, and counts once.
    let counts = ["messages", "messages_ready", "messages_unacknowledged"];
    assert_eq!(columns(&api.get("/queues/%2F/s")?, counts), [3, 3, 0]);
    let ack = basic::Ack {
        delivery_tag: DeliveryTag(3),
        multiple: true,
    };
    client.send(1, &ack)?;
    client.call(1, &qos)?;
    let expected = json!([{ "consumer_tag": "shop", "next_offset": 3 }]);
    assert_eq!(api.get("/queues/%2F/s/offsets")?, expected);
    Ok(())
}
