//! The firehose: copies of what is published and delivered.

use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::Broker;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{bind, listen, next};
use crate::api::Api;

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

#[test]
fn the_firehose_tells_all_keys_and_hides_who_else_gets_a_message() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    listen(&api, "amq.rabbitmq.trace", "traces", &["publish.#"])?;
    api.run("PUT", "/vhosts/%2F", &json!({ "tracing": true }))?;
    let text = |text| FieldValue::LongString(Bytes::from_static(text));
    let headers: FieldTable = [
        ("CC", vec![text(b"zz"), FieldValue::I32(3)]),
        ("BCC", vec![text(b"d")]),
    ]
    .into_iter()
    .map(|(name, keys)| (ShortString::cut(name), FieldValue::Array(keys)))
    .collect();
    let properties = BasicProperties {
        headers: Some(headers),
        ..BasicProperties::default()
    };
    let publish = basic::Publish {
        exchange: ExchangeName::new("amq.direct")?,
        routing_key: RoutingKey::new("q")?,
        ..basic::Publish::default()
    };
    let mut client = broker.connect()?;
    client.open(1)?;
    client.publish(1, &publish, &properties, b"")?;
    let seen = next(&api, "traces", 1)?;
    let headers: &Value = &seen[0]["properties"]["headers"];
    assert_eq!(headers["routing_keys"], json!(["q", "zz", "d"]));
    assert_eq!(headers["properties"]["headers"], json!({ "CC": ["zz", 3] }));
    Ok(())
}

/// The headers of the next traces, with their keys and payloads.
fn traces<const COUNT: usize>(api: &Api) -> anyhow::Result<[(String, String, Value); COUNT]> {
    let seen = next(api, "traces", COUNT)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let traces = seen.iter().map(|trace| {
        let (key, payload) = (text(&trace["routing_key"]), text(&trace["payload"]));
        (key, payload, trace["properties"]["headers"].clone())
    });
    let traces: Vec<_> = traces.collect();
    traces
        .try_into()
        .map_err(|traces| anyhow::anyhow!("{traces:?}"))
}

#[test]
fn the_firehose_has_what_the_api_publishes_fetches_and_moves() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    listen(&api, "amq.rabbitmq.trace", "traces", &["#"])?;
    for queue in ["q", "b"] {
        api.run("PUT", &format!("/queues/%2F/{queue}"), &json!({}))?;
    }
    api.run("PUT", "/vhosts/%2F", &json!({ "tracing": true }))?;
    let publish = json!({
        "routing_key": "q", "payload": "m", "payload_encoding": "string",
        "properties": { "headers": { "BCC": ["b"] } },
    });
    api.run("POST", "/exchanges/%2F/amq.default/publish", &publish)?;
    let [(key, payload, headers)] = traces(&api)?;
    assert_eq!((&*key, &*payload), ("publish.", "m"));
    assert_eq!(headers["routing_keys"], json!(["q", "b"]));
    assert_eq!(headers["routed_queues"], json!(["q", "b"]));
    assert_eq!(headers["properties"], json!({ "headers": {} }));
    assert_eq!(
        (&headers["user"], &headers["channel"]),
        (&json!("guest"), &json!(1))
    );
    assert!(
        headers["connection"]
            .as_str()
            .is_some_and(|name| name.starts_with("<amphora@"))
    );
    // Whoever is given the message: also where it is by its hidden key.
    for (queue, mode, redelivered) in [
        ("q", "ack_requeue_true", 0),
        ("q", "ack_requeue_false", 1),
        ("b", "reject_requeue_true", 0),
    ] {
        let get = json!({ "count": 1, "ackmode": mode, "encoding": "auto" });
        api.run("POST", &format!("/queues/%2F/{queue}/get"), &get)?;
        let [(key, payload, headers)] = traces(&api)?;
        assert_eq!((key, &*payload), (format!("deliver.{queue}"), "m"));
        assert_eq!(headers["routing_keys"], json!(["q", "b"]));
        assert_eq!(headers["redelivered"], redelivered);
        assert_eq!(headers["user"], "guest");
    }
    let to = json!({ "exchange": "", "routing_key": "q" });
    api.run("POST", "/queues/%2F/b/move", &to)?;
    let [(delivered, ..), (published, _, headers)] = traces(&api)?;
    assert_eq!((&*delivered, &*published), ("deliver.b", "publish."));
    assert_eq!(headers["routing_keys"], json!(["q"]));
    Ok(())
}

#[test]
fn the_firehose_has_no_publish_that_is_refused() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    listen(&api, "amq.rabbitmq.trace", "traces", &["#"])?;
    api.run("PUT", "/vhosts/%2F", &json!({ "tracing": true }))?;
    let mut client = broker.connect()?;
    client.open(1)?;
    for (exchange, body) in [("amq.direct", "unroutable"), ("missing", "refused")] {
        let publish = basic::Publish {
            exchange: ExchangeName::new(exchange)?,
            ..basic::Publish::default()
        };
        client.publish(1, &publish, &BasicProperties::default(), body.as_bytes())?;
    }
    // The channel is closed.
    client.method(1)?;
    let publish = json!({
        "routing_key": "k", "payload": "last", "payload_encoding": "string", "properties": {},
    });
    api.run("POST", "/exchanges/%2F/amq.direct/publish", &publish)?;
    let [(_, first, headers), (_, last, _)] = traces(&api)?;
    assert_eq!((&*first, &*last), ("unroutable", "last"));
    assert_eq!(headers["routed_queues"], json!([]));
    Ok(())
}
