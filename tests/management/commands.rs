//! What is declared by HTTP is there for AMQP, and survives like it.

use amphora_protocol::wire::method::{Method, exchange, queue};
use amphora_protocol::wire::types::{ExchangeName, QueueName};
use amphora_tests::Broker;
use anyhow::bail;
use serde_json::json;

use crate::api::Api;

#[test]
fn what_was_answered_survives_a_crash() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run(
        "PUT",
        "/exchanges/%2F/x",
        &json!({ "type": "topic", "durable": true }),
    )?;
    api.run(
        "PUT",
        "/queues/%2F/q",
        &json!({ "durable": true, "arguments": { "x-max-length": 5 } }),
    )?;
    api.run("PUT", "/queues/%2F/gone", &json!({ "durable": true }))?;
    api.run(
        "POST",
        "/bindings/%2F/e/x/q/q",
        &json!({ "routing_key": "a.*" }),
    )?;
    api.run(
        "POST",
        "/bindings/%2F/e/x/q/q",
        &json!({ "routing_key": "b" }),
    )?;
    api.run("DELETE", "/bindings/%2F/e/x/q/q/b", &json!(null))?;
    api.run("DELETE", "/queues/%2F/gone", &json!(null))?;
    broker.restart()?;

    let api = Api::of(&broker)?;
    assert_eq!(
        api.get("/queues?columns=name,arguments")?,
        json!([{ "name": "q", "arguments": { "x-max-length": 5 } }])
    );
    assert_eq!(
        api.get("/exchanges/%2F/x/bindings/source?columns=destination,routing_key")?,
        json!([{ "destination": "q", "routing_key": "a.*" }])
    );
    Ok(())
}

#[test]
fn both_ways_declare_the_same_things() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run(
        "PUT",
        "/exchanges/%2F/x",
        &json!({ "type": "fanout", "auto_delete": true }),
    )?;
    api.run(
        "PUT",
        "/queues/%2F/q",
        &json!({ "arguments": { "x-expires": 60_000 } }),
    )?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let passive = exchange::Declare {
        exchange: ExchangeName::new("x")?,
        passive: true,
        ..exchange::Declare::default()
    };
    client.call(1, &passive)?;
    // Without the argument it is another queue.
    let other = queue::Declare {
        queue: QueueName::new("q")?,
        ..queue::Declare::default()
    };
    let Method::Channel(refusal) = client.call(1, &other)? else {
        bail!("the queue was declared again, differently");
    };
    assert!(
        format!("{refusal:?}").contains("inequivalent arg 'x-expires'"),
        "{refusal:?}"
    );
    let (status, answer) = api.call("PUT", "/queues/%2F/q", &json!({}))?;
    assert_eq!(status, 400);
    let reason = answer["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("inequivalent arg 'x-expires'"), "{reason}");
    Ok(())
}

#[test]
fn conditions_of_a_deletion_are_kept() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/queues/%2F/q", &json!({}))?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        ..queue::Declare::default()
    };
    client.publish_to(1, "q", b"one")?;
    // Answered when the message is in its queue.
    client.call(1, &declare)?;
    let purge = queue::Purge {
        queue: QueueName::new("q")?,
        ..queue::Purge::default()
    };
    let (status, _) = api.call("DELETE", "/queues/%2F/q?if-empty=true", &json!(null))?;
    let Method::Queue(queue::Method::PurgeOk(purged)) = client.call(1, &purge)? else {
        bail!("not purged");
    };
    assert_eq!((status, purged.message_count), (400, 1));
    api.run("DELETE", "/queues/%2F/q?if-empty=true", &json!(null))?;
    assert_eq!(api.get("/queues")?, json!([]));
    Ok(())
}
