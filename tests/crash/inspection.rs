//! What is in the queues after a crash, in order.

use amphora_protocol::wire::method::{Method, basic, confirm, queue};
use amphora_protocol::wire::types::{ConsumerTag, DeliveryTag, QueueName};
use amphora_tests::{Broker, Client};
use anyhow::bail;

use super::consumer::{Entry, Report, delivered};
use super::ledger::Ledger;
use super::{ASIDE, QUEUES};

/// Looks at every message, and leaves it where it is.
pub(crate) fn look(broker: &Broker) -> anyhow::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for name in QUEUES {
        // Closing the connection gives everything back.
        let mut client = broker.connect()?;
        client.open(1)?;
        found.extend(take_all(&mut client, name)?);
    }
    Ok(found)
}

/// Acknowledges every message.
pub(crate) fn empty(broker: &Broker, ledger: &mut Ledger) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let mut settled = Vec::new();
    for name in QUEUES {
        settled.extend(take_all(&mut client, name)?);
    }
    client.send(
        1,
        &basic::Ack {
            delivery_tag: DeliveryTag(0),
            multiple: true,
        },
    )?;
    // As in `Consumer::barrier`.
    client.call(1, &basic::Qos::default())?;
    client.open(2)?;
    client.call(2, &confirm::Select::default())?;
    client.publish_to(2, ASIDE, b"")?;
    client.method(2)?;
    ledger.consumed(Report {
        settled,
        ..Report::default()
    });
    Ok(())
}

/// Has every message of the queue delivered, as many as it says that it has.
fn take_all(client: &mut Client, name: &'static str) -> anyhow::Result<Vec<Entry>> {
    let declare = queue::Declare {
        queue: QueueName::new(name)?,
        passive: true,
        ..queue::Declare::default()
    };
    let answer = client.call(1, &declare)?;
    let Method::Queue(queue::Method::DeclareOk(queue)) = answer else {
        bail!("{answer:?} where queue.declare-ok belongs");
    };
    let tag = ConsumerTag::new(name)?;
    let consume = basic::Consume {
        queue: queue.queue,
        consumer_tag: tag.clone(),
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    let mut found = Vec::new();
    for _ in 0..queue.message_count {
        found.push(delivered(&client.message(1)?)?.1);
    }
    // And not one more.
    let cancel = basic::Cancel {
        consumer_tag: tag,
        no_wait: false,
    };
    match client.call(1, &cancel)? {
        Method::Basic(basic::Method::CancelOk(_)) => Ok(found),
        other => bail!("{other:?} where basic.cancel-ok belongs"),
    }
}
