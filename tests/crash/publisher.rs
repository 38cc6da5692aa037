//! A client that publishes as fast as it is confirmed.

use std::sync::atomic::{AtomicBool, Ordering};

use amphora_protocol::wire::method::{Method, basic, confirm};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use amphora_tests::{Client, Received};
use anyhow::{Context, bail};

use super::message::{self, Id};
use super::random::Random;
use super::{EXCHANGE, QUEUES};

/// How many messages may be without a confirm.
const WINDOW: usize = 300;

/// One message, as its publisher knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) id: Id,
    /// The queue that it went to; all of them if there is none.
    pub(crate) queue: Option<&'static str>,
    pub(crate) persistent: bool,
    pub(crate) confirmed: bool,
}

/// Publishes until the broker is killed.
pub(crate) fn run(
    client: Client,
    sender: u16,
    random: Random,
    killed: &AtomicBool,
) -> anyhow::Result<Vec<Published>> {
    let mut publisher = Publisher {
        client,
        sender,
        random,
        published: Vec::new(),
        unconfirmed: 0,
        floor: 0,
    };
    let ended = publisher.publish();
    match ended {
        Err(error) if !killed.load(Ordering::Acquire) => Err(error),
        _ => Ok(publisher.published),
    }
}

struct Publisher {
    client: Client,
    sender: u16,
    random: Random,
    published: Vec<Published>,
    unconfirmed: usize,
    /// Everything up to here is confirmed.
    floor: u64,
}

impl Publisher {
    fn publish(&mut self) -> anyhow::Result<()> {
        self.client.open(1)?;
        self.client.call(1, &confirm::Select::default())?;
        loop {
            let mut bytes = Vec::new();
            for _ in 0..=self.random.below(40) {
                self.write(&mut bytes)?;
            }
            self.client.write(&bytes)?;
            while self.unconfirmed > WINDOW {
                self.read()?;
            }
        }
    }

    fn write(&mut self, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
        let id = Id {
            sender: self.sender,
            number: self.published.len() as u64 + 1,
        };
        let everywhere = self.random.one_in(5);
        let index = self.random.below(QUEUES.len() as u64);
        let queue = QUEUES.iter().zip(0..).find(|&(_, at)| at == index);
        let queue = queue.map(|(name, _)| *name).filter(|_| !everywhere);
        let persistent = !self.random.one_in(10);
        let publish = basic::Publish {
            exchange: ExchangeName::new(if everywhere { EXCHANGE } else { "" })?,
            routing_key: RoutingKey::new(queue.unwrap_or_default())?,
            ..basic::Publish::default()
        };
        let properties = BasicProperties {
            delivery_mode: Some(if persistent { 2 } else { 1 }),
            ..BasicProperties::default()
        };
        let body = message::body(id, &mut self.random);
        self.client
            .write_publish(1, &publish, &properties, &body, bytes);
        self.published.push(Published {
            id,
            queue,
            persistent,
            confirmed: false,
        });
        self.unconfirmed += 1;
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let Received::Method(1, Method::Basic(basic::Method::Ack(ack))) = self.client.receive()?
        else {
            bail!("something else than a confirm");
        };
        let tag = ack.delivery_tag.0;
        let first = if ack.multiple { self.floor + 1 } else { tag };
        for number in first..=tag {
            let index = usize::try_from(number)? - 1;
            let message = self
                .published
                .get_mut(index)
                .context("a confirm of nothing")?;
            if !std::mem::replace(&mut message.confirmed, true) {
                self.unconfirmed -= 1;
            }
        }
        if ack.multiple {
            self.floor = tag;
        }
        Ok(())
    }
}
