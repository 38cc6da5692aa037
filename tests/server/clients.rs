//! Clients that make it difficult.

use amphora_protocol::wire::method::{Method, basic, queue};
use amphora_protocol::wire::types::{ConsumerTag, QueueName};
use amphora_tests::{Broker, Client};
use anyhow::bail;

#[test]
fn the_tag_of_a_consumer_is_free_as_soon_as_the_client_knows_that_it_was_cancelled()
-> anyhow::Result<()> {
    let broker = Broker::start()?;
    let (mut client, mut other) = (broker.connect()?, broker.connect()?);
    client.open(1)?;
    other.open(1)?;
    declare(&mut client, "next")?;
    for round in 0..20 {
        let name = format!("q{round}");
        declare(&mut client, &name)?;
        let Method::Basic(basic::Method::ConsumeOk(_)) = client.call(1, &consume(&name)?)? else {
            bail!("no consumer");
        };
        // Each of them waits for the disk, so that the connection is busy for a while.
        for number in 0..20 {
            let name = format!("busy{round}.{number}");
            client.send(1, &durable(&name)?)?;
        }
        let delete = queue::Delete {
            queue: QueueName::new(name.clone())?,
            ..queue::Delete::default()
        };
        other.call(1, &delete)?;
        let Method::Basic(basic::Method::Cancel(_)) = client.method(1)? else {
            bail!("the consumer was not cancelled");
        };
        match client.call(1, &consume("next")?)? {
            Method::Basic(basic::Method::ConsumeOk(_)) => {}
            other => bail!("{other:?}"),
        }
        client.call(
            1,
            &basic::Cancel {
                consumer_tag: ConsumerTag::new("t")?,
                no_wait: false,
            },
        )?;
    }
    Ok(())
}

fn consume(name: &str) -> anyhow::Result<basic::Consume> {
    Ok(basic::Consume {
        queue: QueueName::new(name)?,
        consumer_tag: ConsumerTag::new("t")?,
        ..basic::Consume::default()
    })
}

fn durable(name: &str) -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(name)?,
        durable: true,
        no_wait: true,
        ..queue::Declare::default()
    })
}

fn declare(client: &mut Client, name: &str) -> anyhow::Result<u32> {
    let declare = queue::Declare {
        queue: QueueName::new(name)?,
        ..queue::Declare::default()
    };
    match client.call(1, &declare)? {
        Method::Queue(queue::Method::DeclareOk(ok)) => Ok(ok.message_count),
        other => bail!("{other:?}"),
    }
}
