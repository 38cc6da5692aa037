//! Connections, channels and consumers.

use amphora_protocol::wire::method::{Method, basic, connection, queue, tx};
use amphora_protocol::wire::types::{ConsumerTag, DeliveryTag, QueueName};
use amphora_tests::{Broker, Client};
use anyhow::bail;
use serde_json::json;

use crate::api::{Api, columns, only};

/// A client that consumes from `q` on channel 1, and has published a message from channel 3.
fn working(broker: &Broker) -> anyhow::Result<Client> {
    let mut client = broker.connect()?;
    client.open(1)?;
    client.open(3)?;
    declare(&mut client)?;
    for (prefetch_count, global) in [(4, false), (9, true)] {
        let qos = basic::Qos {
            prefetch_count,
            global,
            ..basic::Qos::default()
        };
        client.call(1, &qos)?;
    }
    let consume = basic::Consume {
        queue: QueueName::new("q")?,
        consumer_tag: ConsumerTag::new("tag")?,
        exclusive: true,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    client.publish_to(3, "q", b"one")?;
    client.message(1)?;
    Ok(client)
}

/// Answered when all that was sent on the channel before is dealt with.
fn declare(client: &mut Client) -> anyhow::Result<Method> {
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        ..queue::Declare::default()
    };
    client.call(1, &declare)
}

fn ack(delivery_tag: u64) -> basic::Ack {
    basic::Ack {
        delivery_tag: DeliveryTag(delivery_tag),
        multiple: false,
    }
}

#[test]
fn a_connection_is_shown_with_who_it_is() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let _client = working(&broker)?;
    let connections = api.get("/connections")?;
    let connection = only(&connections)?;
    let names = ["user", "vhost", "state", "auth_mechanism"];
    assert_eq!(
        columns(connection, names),
        ["guest", "/", "running", "PLAIN"]
    );
    assert_eq!(columns(connection, ["channels", "frame_max"]), [2, 131_072]);
    assert_eq!(connection["ssl"], false);
    for counter in ["recv_oct", "send_oct"] {
        assert!(connection[counter].as_u64() > Some(0), "{connection}");
    }
    Ok(())
}

#[test]
fn channels_and_consumers_are_shown_with_what_they_do() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let mut client = working(&broker)?;
    let consumers = api.get("/consumers/%2F")?;
    let consumer = only(&consumers)?;
    assert_eq!(
        columns(consumer, ["exclusive", "ack_required"]),
        [true, true]
    );
    assert_eq!(
        columns(consumer, ["consumer_tag", "prefetch_count"]),
        [json!("tag"), json!(4)]
    );
    assert_eq!(api.get("/queues/%2F/q")?["exclusive_consumer_tag"], "tag");

    let names = [
        "number",
        "consumer_count",
        "messages_unacknowledged",
        "prefetch_count",
        "global_prefetch_count",
    ];
    let channels = api.get("/channels?sort=number")?;
    assert_eq!(columns(&channels[0], names), [1, 1, 1, 4, 9]);
    assert_eq!(columns(&channels[1], names), [3, 0, 0, 0, 0]);
    assert_eq!(channels[0]["message_stats"]["deliver"], 1);
    assert_eq!(channels[1]["message_stats"]["publish"], 1);

    client.send(1, &ack(1))?;
    let cancel = basic::Cancel {
        consumer_tag: ConsumerTag::new("tag")?,
        ..basic::Cancel::default()
    };
    client.call(1, &cancel)?;
    let channels = api.get("/channels?sort=number")?;
    assert_eq!(columns(&channels[0], names), [1, 0, 0, 4, 9]);
    assert_eq!(channels[0]["message_stats"]["ack"], 1);
    assert_eq!(api.get("/consumers/%2F")?, json!([]));
    Ok(())
}

#[test]
fn a_transaction_is_counted_until_it_is_committed() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let mut client = broker.connect()?;
    client.open(1)?;
    declare(&mut client)?;
    client.publish_to(1, "q", b"one")?;
    client.call(1, &tx::Select {})?;
    let get = basic::Get {
        queue: QueueName::new("q")?,
        no_ack: false,
    };
    client.send(1, &get)?;
    client.message(1)?;
    client.publish_to(1, "q", b"two")?;
    client.publish_to(1, "q", b"three")?;
    client.send(1, &ack(1))?;
    declare(&mut client)?;
    let names = ["messages_uncommitted", "acks_uncommitted"];
    let channels = api.get("/channels")?;
    assert_eq!(columns(only(&channels)?, names), [2, 1]);
    assert_eq!(channels[0]["transactional"], true);
    client.call(1, &tx::Commit {})?;
    let channels = api.get("/channels")?;
    assert_eq!(columns(only(&channels)?, names), [0, 0]);
    Ok(())
}

#[test]
fn a_connection_is_closed_by_its_name() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut api = Api::of(&broker)?;
    api.reason = Some("go away");
    let mut client = broker.connect()?;
    client.open(1)?;
    let connections = api.get("/connections")?;
    let name = only(&connections)?["name"].as_str().unwrap_or_default();
    let path = format!(
        "/connections/{}",
        name.replace(' ', "%20").replace('>', "%3E")
    );
    api.run("DELETE", &path, &json!(null))?;
    match client.method(0)? {
        Method::Connection(connection::Method::Close(close)) => {
            assert_eq!(close.reply_code, 320);
            assert_eq!(close.reply_text, "CONNECTION_FORCED - go away");
        }
        other => bail!("{other:?} where connection.close belongs"),
    }
    client.send(0, &connection::CloseOk {})?;
    client.expect_end()?;
    let (status, _) = api.call("DELETE", &path, &json!(null))?;
    assert_eq!(status, 404);
    Ok(())
}
