//! What the broker itself publishes: events, and the firehose.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey};
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
    let consume = basic::Consume {
        queue: QueueName::new("before")?,
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

/// A request that changes something, and the events that tell of it, with their headers.
type Change = (
    &'static str,
    &'static str,
    Value,
    Vec<(&'static str, Value)>,
);

/// What is changed about users, virtual hosts and parameters, and what is told of it.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn administered() -> Vec<Change> {
    let by = "guest";
    let told = |key: &'static str, mut headers: Value| {
        headers["user_who_performed_action"] = json!(by);
        (key, headers)
    };
    let place = json!({ "user": "shop", "vhost": "v" });
    let everything =
        json!({ "user": by, "vhost": "v", "configure": ".*", "write": ".*", "read": ".*" });
    let policy = json!({ "pattern": "^p", "definition": { "max-length": 5 }, "priority": 1, "apply-to": "queues" });
    let with = |mut one: Value, other: &Value| {
        let members = other.as_object().cloned().unwrap_or_default();
        one.as_object_mut()
            .into_iter()
            .for_each(|one| one.extend(members.clone()));
        one
    };
    let limits = json!({ "vhost": "v", "component": "vhost-limits", "name": "limits" });
    let operator = json!({ "vhost": "v", "component": "operator_policy", "name": "o" });
    vec![
        (
            "PUT",
            "/users/shop",
            json!({ "password": "secret", "tags": "management,monitoring" }),
            vec![
                told("user.created", json!({ "name": "shop" })),
                told(
                    "user.tags.set",
                    json!({ "name": "shop", "tags": ["management", "monitoring"] }),
                ),
            ],
        ),
        (
            "PUT",
            "/users/shop",
            json!({ "password": "other", "tags": "" }),
            vec![
                told("user.password.changed", json!({ "name": "shop" })),
                told("user.tags.set", json!({ "name": "shop", "tags": [] })),
            ],
        ),
        (
            "PUT",
            "/vhosts/v",
            json!({ "description": "a shop", "tags": "a,b" }),
            vec![
                told(
                    "vhost.created",
                    json!({ "name": "v", "description": "a shop", "tags": ["a", "b"] }),
                ),
                told("permission.created", everything),
            ],
        ),
        (
            "PUT",
            "/permissions/v/shop",
            json!({ "configure": "^c", "write": "^w", "read": "^r" }),
            vec![told(
                "permission.created",
                with(
                    place.clone(),
                    &json!({ "configure": "^c", "write": "^w", "read": "^r" }),
                ),
            )],
        ),
        (
            "PUT",
            "/topic-permissions/v/shop",
            json!({ "exchange": "x", "write": "^w", "read": "^r" }),
            vec![told(
                "topic.permission.created",
                with(
                    place.clone(),
                    &json!({ "exchange": "x", "write": "^w", "read": "^r" }),
                ),
            )],
        ),
        (
            "DELETE",
            "/topic-permissions/v/shop/x",
            Value::Null,
            vec![told(
                "topic.permission.deleted",
                with(place.clone(), &json!({ "exchange": "x" })),
            )],
        ),
        (
            "DELETE",
            "/permissions/v/shop",
            Value::Null,
            vec![told("permission.deleted", place)],
        ),
        (
            "PUT",
            "/policies/v/p",
            policy.clone(),
            vec![told(
                "policy.set",
                with(json!({ "name": "p", "vhost": "v" }), &policy),
            )],
        ),
        (
            "DELETE",
            "/policies/v/p",
            Value::Null,
            vec![told("policy.cleared", json!({ "name": "p", "vhost": "v" }))],
        ),
        (
            "PUT",
            "/operator-policies/v/o",
            policy.clone(),
            vec![
                told(
                    "parameter.set",
                    with(operator.clone(), &json!({ "value": policy })),
                ),
                told(
                    "policy.set",
                    with(json!({ "name": "o", "vhost": "v" }), &policy),
                ),
            ],
        ),
        (
            "DELETE",
            "/operator-policies/v/o",
            Value::Null,
            vec![
                told("parameter.cleared", operator),
                told("policy.cleared", json!({ "name": "o", "vhost": "v" })),
            ],
        ),
        (
            "PUT",
            "/vhost-limits/v/max-queues",
            json!({ "value": 5 }),
            vec![
                told(
                    "parameter.set",
                    with(limits.clone(), &json!({ "value": { "max-queues": 5 } })),
                ),
                told(
                    "vhost.limits.set",
                    json!({ "name": "limits", "vhost": "v", "max-queues": 5 }),
                ),
            ],
        ),
        (
            "DELETE",
            "/vhost-limits/v/max-queues",
            Value::Null,
            vec![
                told("parameter.cleared", limits),
                told(
                    "vhost.limits.cleared",
                    json!({ "name": "limits", "vhost": "v" }),
                ),
            ],
        ),
        (
            "PUT",
            "/global-parameters/g",
            json!({ "value": { "n": 1 } }),
            vec![told(
                "parameter.set",
                json!({ "component": "global", "name": "g", "value": { "n": 1 } }),
            )],
        ),
        (
            "DELETE",
            "/global-parameters/g",
            Value::Null,
            vec![told(
                "parameter.cleared",
                json!({ "component": "global", "name": "g" }),
            )],
        ),
        (
            "DELETE",
            "/vhosts/v",
            Value::Null,
            vec![
                told("permission.deleted", json!({ "user": by, "vhost": "v" })),
                told("vhost.deleted", json!({ "name": "v" })),
            ],
        ),
        (
            "DELETE",
            "/users/shop",
            Value::Null,
            vec![told("user.deleted", json!({ "name": "shop" }))],
        ),
    ]
}

#[test]
fn changes_of_users_vhosts_and_parameters_are_told() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let keys = [
        "user.#",
        "permission.#",
        "topic.permission.#",
        "vhost.#",
        "policy.#",
        "parameter.#",
    ];
    listen(&api, "amq.rabbitmq.event", "events", &keys)?;
    for (method, path, body, expected) in administered() {
        api.run(method, path, &body)?;
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            let next = next(&api, "events", 1)?;
            // Whoever calls the API logs in each time.
            let next = next.iter().map(event);
            seen.extend(next.filter(|(key, _)| !key.starts_with("user.authentication")));
        }
        let expected = expected.into_iter();
        let expected: Vec<_> = expected
            .map(|(key, headers)| (key.to_owned(), headers))
            .collect();
        assert_eq!(seen, expected, "{method} {path}");
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
fn the_firehose_has_a_copy_of_what_is_published_and_delivered() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    listen(&api, "amq.rabbitmq.trace", "traces", &["#"])?;
    api.run("PUT", "/queues/%2F/q", &json!({}))?;
    bind(&api, "amq.topic", "q", "k")?;
    let publish = |body: &str| {
        let mut client = broker.connect()?;
        client.open(1)?;
        let publish = basic::Publish {
            exchange: ExchangeName::new("amq.topic")?,
            routing_key: RoutingKey::new("k")?,
            ..basic::Publish::default()
        };
        client.publish(1, &publish, &BasicProperties::default(), body.as_bytes())?;
        let get = basic::Get {
            queue: QueueName::new("q")?,
            no_ack: true,
        };
        client.send(1, &get)?;
        client.message(1)?;
        anyhow::Ok(client)
    };
    publish("not overheard")?;
    api.run("PUT", "/vhosts/%2F", &json!({ "tracing": true }))?;
    assert_eq!(api.get("/vhosts/%2F")?["tracing"], true);
    // Whose messages they are is known while the client is there.
    let _client = publish("overheard")?;
    let seen = next(&api, "traces", 2)?;
    let [published, delivered] = seen.as_slice() else {
        anyhow::bail!("{seen:?}");
    };
    assert_eq!(published["routing_key"], "publish.amq.topic");
    assert_eq!(delivered["routing_key"], "deliver.q");
    for message in [published, delivered] {
        assert_eq!(message["exchange"], "amq.rabbitmq.trace");
        assert_eq!(message["payload"], "overheard");
        let headers = &message["properties"]["headers"];
        assert_eq!(headers["exchange_name"], "amq.topic");
        assert_eq!(headers["routing_keys"], json!(["k"]));
        assert_eq!(headers["vhost"], "/");
        assert_eq!(headers["user"], "guest");
        assert_eq!(headers["channel"], 1);
        assert!(
            headers["connection"]
                .as_str()
                .is_some_and(|name| name.contains(" -> "))
        );
        assert!(
            headers["node"]
                .as_str()
                .is_some_and(|node| node.starts_with("amphora@"))
        );
    }
    assert_eq!(
        published["properties"]["headers"]["routed_queues"],
        json!(["q"])
    );
    assert_eq!(delivered["properties"]["headers"]["redelivered"], 0);
    api.run("PUT", "/vhosts/%2F", &json!({ "tracing": false }))?;
    publish("not overheard")?;
    let queue = api.get("/queues/%2F/traces")?;
    assert_eq!(queue["messages_ready"], 0);
    Ok(())
}
