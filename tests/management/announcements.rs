//! What the broker itself publishes: events, and the firehose.

mod changes;
mod consumers;
mod firehose;

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{QueueName, ShortString};
use amphora_tests::{Broker, PATIENCE, Settings};
use anyhow::ensure;
use serde_json::{Value, json};

use crate::api::Api;

/// The next messages of a queue, as soon as there are so many.
fn next(api: &Api, queue: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    let begun = Instant::now();
    let path = format!("/queues/%2F/{queue}");
    while api.get(&path)?["messages_ready"].as_u64() < Some(count as u64) {
        ensure!(begun.elapsed() < PATIENCE, "{}", api.get(&path)?);
        std::thread::sleep(Duration::from_millis(10));
    }
    let body = json!({ "count": count, "ackmode": "ack_requeue_false", "encoding": "auto" });
    let got = api.run("POST", &format!("{path}/get"), &body)?;
    Ok(got.as_array().cloned().unwrap_or_default())
}

fn bind(api: &Api, exchange: &str, queue: &str, key: &str) -> anyhow::Result<()> {
    let path = format!("/bindings/%2F/e/{exchange}/q/{queue}");
    api.run("POST", &path, &json!({ "routing_key": key }))?;
    Ok(())
}

/// A queue that gets what is published to an exchange with one of the keys.
fn listen(api: &Api, exchange: &str, queue: &str, keys: &[&str]) -> anyhow::Result<()> {
    api.run(
        "PUT",
        &format!("/queues/%2F/{queue}"),
        &json!({ "durable": true }),
    )?;
    keys.iter()
        .try_for_each(|key| bind(api, exchange, queue, key))
}

/// The key, and the headers without the time.
fn event(message: &Value) -> (String, Value) {
    let mut headers = message["properties"]["headers"].clone();
    let time = headers
        .as_object_mut()
        .and_then(|headers| headers.remove("timestamp_in_ms"));
    assert!(time.is_some_and(|time| time.as_u64() > Some(1_700_000_000_000)));
    assert!(message["properties"]["timestamp"].as_u64() > Some(1_700_000_000));
    let key = message["routing_key"].as_str().unwrap_or_default();
    (key.to_owned(), headers)
}

/// What is told of an exchange, a queue and a binding that come and go.
fn expected() -> [(&'static str, Value); 5] {
    let by = "guest";
    [
        (
            "exchange.created",
            json!({
                "name": "x", "type": "topic", "durable": true, "auto_delete": false, "internal": false, "arguments": {},
                "vhost": "/", "user_who_performed_action": by,
            }),
        ),
        (
            "queue.created",
            json!({
                "name": "q", "type": "rabbit_classic_queue", "durable": false, "auto_delete": true, "exclusive": false,
                "arguments": { "x-max-length": 5 }, "vhost": "/", "user_who_performed_action": by,
            }),
        ),
        (
            "binding.deleted",
            json!({
                "source_name": "x", "source_kind": "exchange", "destination_name": "q", "destination_kind": "queue",
                "routing_key": "k", "arguments": {}, "vhost": "/", "user_who_performed_action": by,
            }),
        ),
        (
            "exchange.deleted",
            json!({ "name": "x", "vhost": "/", "user_who_performed_action": by }),
        ),
        (
            "queue.deleted",
            json!({
                "name": "q", "type": "rabbit_classic_queue", "vhost": "/", "user_who_performed_action": by,
            }),
        ),
    ]
}

/// A client comes, and goes.
fn client_comes_and_goes(broker: &Broker, api: &Api) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let mut arguments = FieldTable::new();
    arguments.insert(ShortString::new("x-priority")?, 3);
    let consume = basic::Consume {
        queue: QueueName::new("before")?,
        arguments,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    drop(client);
    let seen = next(api, "events", 6)?;
    let keys: Vec<_> = seen
        .iter()
        .map(|message| message["routing_key"].clone())
        .collect();
    assert_eq!(
        keys,
        [
            "connection.created",
            "channel.created",
            "consumer.created",
            "channel.closed",
            "consumer.deleted",
            "connection.closed",
        ]
    );
    let headers = &seen[0]["properties"]["headers"];
    assert_eq!(
        (&headers["user"], &headers["vhost"]),
        (&json!("guest"), &json!("/"))
    );
    for number in ["timeout", "frame_max", "channel_max", "connected_at"] {
        assert!(headers[number].is_u64(), "{number}: {headers}");
    }
    assert_eq!(headers["pid"], seen[5]["properties"]["headers"]["pid"]);
    assert!(
        headers["node"]
            .as_str()
            .is_some_and(|node| node.starts_with("amphora@"))
    );
    let headers = &seen[2]["properties"]["headers"];
    let told = ["exclusive", "ack_required", "prefetch_count", "arguments"];
    let told: Vec<_> = told.iter().map(|name| headers[name].clone()).collect();
    assert_eq!(
        told,
        [
            json!(false),
            json!(true),
            json!(0),
            json!({ "x-priority": 3 })
        ]
    );
    Ok(())
}

#[test]
fn events_tell_what_comes_and_goes_also_after_a_restart() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let api = Api::of(&broker)?;
    // Nobody hears of these.
    api.run("PUT", "/queues/%2F/before", &json!({}))?;
    let keys = [
        "queue.*",
        "exchange.*",
        "binding.deleted",
        "connection.*",
        "channel.*",
        "consumer.*",
    ];
    listen(&api, "amq.rabbitmq.event", "events", &keys)?;
    let exchange = &api.get("/exchanges/%2F/amq.rabbitmq.event")?;
    assert_eq!(
        (&exchange["type"], &exchange["internal"]),
        (&json!("topic"), &json!(true))
    );
    for _ in 0..2 {
        let api = Api::of(&broker)?;
        api.run(
            "PUT",
            "/exchanges/%2F/x",
            &json!({ "type": "topic", "durable": true }),
        )?;
        let queue = json!({ "auto_delete": true, "arguments": { "x-max-length": 5 } });
        api.run("PUT", "/queues/%2F/q", &queue)?;
        bind(&api, "x", "q", "k")?;
        api.run("DELETE", "/exchanges/%2F/x", &Value::Null)?;
        api.run("DELETE", "/queues/%2F/q", &Value::Null)?;
        let seen: Vec<_> = next(&api, "events", 5)?.iter().map(event).collect();
        let expected = expected();
        let expected = expected.map(|(key, headers)| (key.to_owned(), headers));
        assert_eq!(seen, expected);
        client_comes_and_goes(&broker, &api)?;
        broker.restart()?;
        let api = Api::of(&broker)?;
        // What was fetched just before a crash may come again.
        api.run("DELETE", "/queues/%2F/events/contents", &Value::Null)?;
        api.run("PUT", "/queues/%2F/before", &json!({}))?;
        assert_eq!(next(&api, "events", 1)?[0]["routing_key"], "queue.created");
    }
    Ok(())
}

#[test]
fn a_virtual_host_that_comes_later_can_have_the_events() -> anyhow::Result<()> {
    let mut broker = Broker::with(Settings {
        config: "event_vhost = \"later\"\n".to_owned(),
        ..Settings::default()
    })?;
    let api = Api::of(&broker)?;
    let there = |api: &Api| api.call("GET", "/exchanges/later/amq.rabbitmq.event", &Value::Null);
    assert_eq!(there(&api)?.0, 404);
    api.run("PUT", "/vhosts/later", &Value::Null)?;
    assert_eq!(there(&api)?.0, 200);
    api.run("PUT", "/queues/later/events", &json!({ "durable": true }))?;
    let bindings = "/bindings/later/e/amq.rabbitmq.event/q/events";
    api.run("POST", bindings, &json!({ "routing_key": "queue.created" }))?;
    for _ in 0..2 {
        let api = Api::of(&broker)?;
        api.run("PUT", "/queues/%2F/told", &json!({}))?;
        let begun = Instant::now();
        while api.get("/queues/later/events")?["messages"] == 0 {
            ensure!(begun.elapsed() < PATIENCE, "nothing is told");
            std::thread::sleep(Duration::from_millis(10));
        }
        api.run("DELETE", "/queues/later/events/contents", &Value::Null)?;
        broker.restart()?;
    }
    Ok(())
}

#[test]
fn who_logs_in_and_how_is_told() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    listen(
        &api,
        "amq.rabbitmq.event",
        "events",
        &["user.authentication.*"],
    )?;
    let _client = broker.connect()?;
    let begun = Instant::now();
    loop {
        ensure!(begun.elapsed() < PATIENCE, "nobody is told");
        // Whoever calls the API logs in each time.
        let seen = next(&api, "events", 1)?;
        let (key, headers) = event(&seen[0]);
        if headers["connection_type"] == "network" {
            assert_eq!(key, "user.authentication.success");
            let told = ["name", "host", "protocol", "auth_mechanism", "ssl"];
            let told: Vec<_> = told.iter().map(|name| headers[name].clone()).collect();
            let expected = [
                json!("guest"),
                json!("127.0.0.1"),
                json!("{0,9,1}"),
                json!("PLAIN"),
                json!(false),
            ];
            assert_eq!(told, expected);
            return Ok(());
        }
    }
}
