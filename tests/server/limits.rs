//! Limits that the configuration sets.

use amphora_protocol::wire::method::{Method, basic, channel, connection, queue};
use amphora_protocol::wire::types::{ConsumerTag, QueueName, ShortString};
use amphora_tests::{Broker, Client, Settings};
use anyhow::bail;

fn broker(limits: &str) -> anyhow::Result<Broker> {
    Broker::with(Settings {
        config: format!("[limits]\n{limits}\n"),
        ..Settings::default()
    })
}

fn client_with_queue(broker: &Broker) -> anyhow::Result<Client> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    Ok(client)
}

fn consume(tag: &str) -> anyhow::Result<basic::Consume> {
    Ok(basic::Consume {
        queue: QueueName::new("q")?,
        consumer_tag: ConsumerTag::new(tag)?,
        ..basic::Consume::default()
    })
}

#[test]
fn a_channel_has_so_many_consumers_at_most() -> anyhow::Result<()> {
    let broker = broker("channel_consumers_max = 2")?;
    let mut client = client_with_queue(&broker)?;
    client.call(1, &consume("one")?)?;
    client.call(1, &consume("two")?)?;
    // Another channel counts its own, and one that goes makes room.
    client.open(2)?;
    client.call(2, &consume("three")?)?;
    let cancel = basic::Cancel {
        consumer_tag: ConsumerTag::new("two")?,
        no_wait: false,
    };
    client.call(1, &cancel)?;
    client.call(1, &consume("four")?)?;
    client.send(1, &consume("five")?)?;
    let Method::Connection(connection::Method::Close(close)) = client.method(0)? else {
        bail!("no connection.close");
    };
    assert_eq!(close.reply_code, 530);
    assert_eq!(
        close.reply_text,
        "NOT_ALLOWED - reached maximum (2) of consumers per channel"
    );
    Ok(())
}

#[test]
fn a_connection_has_so_many_channels_at_most() -> anyhow::Result<()> {
    let broker = broker("channel_max = 2")?;
    let mut client = broker.connect()?;
    client.open(1)?;
    client.open(2)?;
    client.send(3, &channel::Open {})?;
    let Method::Connection(connection::Method::Close(close)) = client.method(0)? else {
        bail!("no connection.close");
    };
    assert_eq!(close.reply_code, 530);
    assert_eq!(
        close.reply_text,
        "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)"
    );
    Ok(())
}

#[test]
fn a_node_has_so_many_channels_at_most() -> anyhow::Result<()> {
    let broker = broker("node_channels_max = 2")?;
    let mut one = broker.connect()?;
    one.open(1)?;
    one.open(2)?;
    let mut other = broker.connect()?;
    other.send(1, &channel::Open {})?;
    let Method::Connection(connection::Method::Close(close)) = other.method(0)? else {
        bail!("no connection.close");
    };
    assert_eq!(close.reply_code, 530);
    // The node is named after the machine.
    let text = close.reply_text.as_str();
    let rest = text.strip_prefix("NOT_ALLOWED - number of channels opened on node 'amphora@");
    let host =
        rest.and_then(|rest| rest.strip_suffix("' has reached the maximum allowed limit of (2)"));
    assert!(host.is_some_and(|host| !host.is_empty()), "{text}");
    Ok(())
}

#[test]
fn a_message_is_not_held_for_longer_than_the_node_allows() -> anyhow::Result<()> {
    let broker = broker("consumer_timeout = \"300ms\"")?;
    let mut client = client_with_queue(&broker)?;
    client.call(1, &consume("slow")?)?;
    client.publish_to(1, "q", b"message")?;
    client.message(1)?;
    let Method::Basic(basic::Method::Cancel(cancel)) = client.method(1)? else {
        bail!("no basic.cancel");
    };
    assert_eq!(cancel.consumer_tag.as_str(), "slow");
    // A consumer that says how long it needs may take as long.
    let mut patient = consume("patient")?;
    patient.arguments = [(ShortString::new("x-consumer-timeout")?, 0.into())]
        .into_iter()
        .collect();
    client.call(1, &patient)?;
    let message = client.message(1)?;
    assert_eq!(message.body, b"message");
    client.patience = std::time::Duration::from_secs(1);
    assert!(client.method(1).is_err(), "nothing comes");
    Ok(())
}
