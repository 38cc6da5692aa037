//! Copies that nobody may see (BCC), in queues with transforms: their dead letters go to those keys all the same.

use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_tests::Broker;
use anyhow::ensure;

use crate::built::{component, plugin};
use crate::channel::{Channel, none};
use crate::exchange::table;
use crate::operator::upload;

/// A broker with a transform in C that writes a header and rejects messages without a body.
fn broker() -> anyhow::Result<Broker> {
    let folder = tempfile::tempdir()?;
    let new = ["new", "--lang", "c", "--kind", "transform", "up"];
    plugin(folder.path(), &new)?;
    let component = component(&folder.path().join("up"))?;
    let broker = Broker::start()?;
    ensure!(upload(&broker, "up", &component)?.0 == 201);
    Ok(broker)
}

/// Queues `own` and `copy` get the dead letters of key `jobs` and `hidden`.
fn dead_letter_queues(channel: &mut Channel) -> anyhow::Result<()> {
    channel.exchange("dlx", "direct", none())?;
    for (queue, key) in [("own", "jobs"), ("copy", "hidden")] {
        channel.queue(queue, none())?;
        channel.bind_with(queue, "dlx", key)?;
    }
    Ok(())
}

/// Arguments of a queue with the transform and the dead-letter exchange, and one more.
fn arguments(name: &str, value: FieldValue) -> FieldTable {
    table([
        ("x-transform", "up".into()),
        ("x-dead-letter-exchange", "dlx".into()),
        (name, value),
    ])
}

fn hidden() -> FieldTable {
    table([("BCC", FieldValue::Array(vec!["hidden".into()]))])
}

#[test]
fn dead_letters_of_transformed_messages_go_to_copies_that_nobody_sees() -> anyhow::Result<()> {
    let broker = broker()?;
    let mut channel = Channel::open(&broker)?;
    dead_letter_queues(&mut channel)?;
    channel.queue("jobs", arguments("x-message-ttl", 100.into()))?;
    ensure!(channel.publish(("", "jobs"), hidden(), "dies")?);
    for queue in ["own", "copy"] {
        ensure!(channel.one(queue)? == "dies", "queue {queue}");
    }
    // Who consumes it sees what the plugin wrote, and not who else would get it.
    channel.queue("kept", table([("x-transform", "up".into())]))?;
    ensure!(channel.publish(("", "kept"), hidden(), "stays")?);
    let names = channel.headers("kept")?;
    assert_eq!(names, ["published-by"]);
    Ok(())
}

#[test]
fn what_a_transform_rejects_behind_an_exchange_that_died_goes_there_too() -> anyhow::Result<()> {
    let broker = broker()?;
    let mut channel = Channel::open(&broker)?;
    dead_letter_queues(&mut channel)?;
    // What dies in the first queue comes to the second as a dead letter, and nobody hears that the plugin rejects it.
    channel.exchange("second", "fanout", none())?;
    channel.queue("jobs", arguments("x-max-priority", 1.into()))?;
    channel.bind("jobs", "second")?;
    channel.queue(
        "begins",
        table([
            ("x-message-ttl", 1.into()),
            ("x-dead-letter-exchange", "second".into()),
        ]),
    )?;
    channel.exchange("entry", "fanout", none())?;
    channel.bind("begins", "entry")?;
    ensure!(channel.publish(("entry", "jobs"), hidden(), "")?);
    for queue in ["own", "copy"] {
        ensure!(channel.one(queue)?.is_empty(), "queue {queue}");
    }
    Ok(())
}
