//! Many definitions at a time.

use amphora_protocol::wire::method::{Method, channel, exchange, queue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, ShortString};
use amphora_tests::{Broker, Client};
use anyhow::{bail, ensure};

const COUNT: usize = 300;

#[test]
fn declarations_that_come_together_are_answered_in_order_and_kept() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let mut declare = exchange::Declare {
        exchange: ExchangeName::new("x")?,
        kind: ShortString::new("direct")?,
        durable: true,
        ..exchange::Declare::default()
    };
    client.send(1, &declare)?;
    for number in 0..COUNT {
        client.send(1, &queue(number, true)?)?;
        let bind = queue::Bind {
            queue: QueueName::new(format!("q{number}"))?,
            exchange: declare.exchange.clone(),
            ..queue::Bind::default()
        };
        client.send(1, &bind)?;
    }
    // One that is refused is so after those before it were answered, and what follows is for a channel that is closed.
    declare.kind = ShortString::new("fanout")?;
    client.send(1, &declare)?;
    client.send(1, &queue(COUNT, true)?)?;
    let Method::Exchange(exchange::Method::DeclareOk(_)) = client.method(1)? else {
        bail!("the exchange was not declared");
    };
    for number in 0..COUNT {
        declared(&mut client, number)?;
        let Method::Queue(queue::Method::BindOk(_)) = client.method(1)? else {
            bail!("q{number} was not bound");
        };
    }
    let Method::Channel(channel::Method::Close(close)) = client.method(1)? else {
        bail!("the channel was not closed");
    };
    ensure!(close.reply_code == 406, "{close:?}");
    broker.kill()?;
    broker.restart()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    for number in 0..COUNT {
        client.send(1, &queue(number, false)?)?;
    }
    for number in 0..COUNT {
        declared(&mut client, number)?;
    }
    Ok(())
}

/// A declaration of a durable queue, or the question whether it is there.
fn queue(number: usize, make: bool) -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(format!("q{number}"))?,
        durable: make,
        passive: !make,
        ..queue::Declare::default()
    })
}

fn declared(client: &mut Client, number: usize) -> anyhow::Result<()> {
    match client.method(1)? {
        Method::Queue(queue::Method::DeclareOk(ok)) if *ok.queue == *format!("q{number}") => Ok(()),
        other => bail!("in place of an answer for q{number}: {other:?}"),
    }
}
