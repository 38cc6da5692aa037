//! Events about consumers that the broker itself lets go.

use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::types::{ConsumerTag, QueueName};
use amphora_tests::{Broker, Client};
use serde_json::{Value, json};

use super::{event, listen, next};
use crate::api::Api;

fn consume(client: &mut Client, queue: &str) -> anyhow::Result<()> {
    let consume = basic::Consume {
        queue: QueueName::new(queue)?,
        consumer_tag: ConsumerTag::new(queue)?,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    Ok(())
}

/// The next event, which must be the end of this consumer.
fn expect_end(api: &Api, tag: &str) -> anyhow::Result<()> {
    let seen = next(api, "events", 1)?;
    let (key, headers) = event(&seen[0]);
    assert_eq!(key, "consumer.deleted");
    assert_eq!(
        (&headers["consumer_tag"], &headers["queue"]),
        (&json!(tag), &json!(tag))
    );
    Ok(())
}

#[test]
fn a_consumer_goes_with_its_queue_and_when_it_holds_a_message_for_too_long() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    listen(&api, "amq.rabbitmq.event", "events", &["consumer.deleted"])?;
    api.run("PUT", "/queues/%2F/deleted", &json!({}))?;
    let timeout = json!({ "arguments": { "x-consumer-timeout": 50 } });
    api.run("PUT", "/queues/%2F/slow", &timeout)?;
    let mut client = broker.connect()?;
    client.open(1)?;
    consume(&mut client, "deleted")?;
    consume(&mut client, "slow")?;
    api.run("DELETE", "/queues/%2F/deleted", &Value::Null)?;
    expect_end(&api, "deleted")?;
    let message = json!({
        "routing_key": "slow", "properties": {}, "payload": "one", "payload_encoding": "string",
    });
    api.run("POST", "/exchanges/%2F/amq.default/publish", &message)?;
    expect_end(&api, "slow")?;
    // Once each.
    assert_eq!(api.get("/queues/%2F/events")?["messages_ready"], 0);
    Ok(())
}
