//! A client that does one thing after the other, on one channel with confirms.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{AnyMethod, Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Message, PATIENCE};
use anyhow::{Context, bail, ensure};

use crate::exchange::table;

/// The one channel.
const CHANNEL: u16 = 1;

#[derive(Debug)]
pub(crate) struct Channel(Client);

impl Channel {
    pub(crate) fn open(broker: &Broker) -> anyhow::Result<Self> {
        let mut client = broker.connect()?;
        client.open(CHANNEL)?;
        client.call(CHANNEL, &confirm::Select { no_wait: false })?;
        Ok(Self(client))
    }

    pub(crate) fn exchange(
        &mut self,
        name: &str,
        kind: &str,
        arguments: FieldTable,
    ) -> anyhow::Result<()> {
        self.done(&exchange::Declare {
            exchange: ExchangeName::new(name)?,
            kind: ShortString::new(kind)?,
            arguments,
            ..exchange::Declare::default()
        })
    }

    /// Declares a durable queue.
    pub(crate) fn queue(&mut self, name: &str, arguments: FieldTable) -> anyhow::Result<()> {
        self.done(&queue::Declare {
            queue: QueueName::new(name)?,
            durable: true,
            arguments,
            ..queue::Declare::default()
        })
    }

    pub(crate) fn bind(&mut self, queue: &str, exchange: &str) -> anyhow::Result<()> {
        self.bind_with(queue, exchange, "")
    }

    /// As [`Channel::bind`], with a routing key.
    pub(crate) fn bind_with(
        &mut self,
        queue: &str,
        exchange: &str,
        key: &str,
    ) -> anyhow::Result<()> {
        self.done(&queue::Bind {
            queue: QueueName::new(queue)?,
            exchange: ExchangeName::new(exchange)?,
            routing_key: RoutingKey::new(key)?,
            ..queue::Bind::default()
        })
    }

    /// What comes to the one exchange goes on to the other.
    pub(crate) fn chain(&mut self, from: &str, to: &str) -> anyhow::Result<()> {
        self.done(&exchange::Bind {
            destination: ExchangeName::new(to)?,
            source: ExchangeName::new(from)?,
            ..exchange::Bind::default()
        })
    }

    fn done(&mut self, method: &impl AnyMethod) -> anyhow::Result<()> {
        match self.0.call(CHANNEL, method)? {
            Method::Exchange(_) | Method::Queue(_) => Ok(()),
            refusal => bail!("{refusal:?}"),
        }
    }

    /// Publishes a persistent message with these headers. Returns whether it was confirmed.
    pub(crate) fn publish(
        &mut self,
        (exchange, key): (&str, &str),
        headers: FieldTable,
        body: &str,
    ) -> anyhow::Result<bool> {
        let publish = basic::Publish {
            exchange: ExchangeName::new(exchange)?,
            routing_key: RoutingKey::new(key)?,
            ..basic::Publish::default()
        };
        let properties = BasicProperties {
            headers: Some(headers),
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        self.0
            .publish(CHANNEL, &publish, &properties, body.as_bytes())?;
        match self.0.method(CHANNEL)? {
            Method::Basic(basic::Method::Ack(_)) => Ok(true),
            Method::Basic(basic::Method::Nack(_)) => Ok(false),
            other => bail!("{other:?} where a confirm belongs"),
        }
    }

    /// Writes publishes as they are.
    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.0
    }

    /// How many messages are ready.
    pub(crate) fn ready(&mut self, queue: &str) -> anyhow::Result<u32> {
        let declare = queue::Declare {
            queue: QueueName::new(queue)?,
            passive: true,
            ..queue::Declare::default()
        };
        match self.0.call(CHANNEL, &declare)? {
            Method::Queue(queue::Method::DeclareOk(queue)) => Ok(queue.message_count),
            other => bail!("{other:?}"),
        }
    }

    /// Waits until at least so many messages are ready.
    pub(crate) fn wait_for(&mut self, queue: &str, count: u32) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let ready = self.ready(queue)?;
            if ready >= count {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "{ready} in '{queue}'");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes the first message that is ready: its body.
    pub(crate) fn first(&mut self, queue: &str) -> anyhow::Result<String> {
        let message = self.fetch(queue)?.context("there should be a message")?;
        String::from_utf8(message.body).context("no text")
    }

    /// Takes all that is ready out of a queue: the bodies.
    pub(crate) fn take(&mut self, queue: &str) -> anyhow::Result<Vec<String>> {
        let mut bodies = Vec::new();
        while let Some(message) = self.fetch(queue)? {
            bodies.push(String::from_utf8(message.body).context("no text")?);
        }
        Ok(bodies)
    }

    fn fetch(&mut self, queue: &str) -> anyhow::Result<Option<Message>> {
        let get = basic::Get {
            queue: QueueName::new(queue)?,
            no_ack: true,
        };
        match self.0.call(CHANNEL, &get)? {
            Method::Basic(basic::Method::GetEmpty(_)) => Ok(None),
            Method::Basic(method @ basic::Method::GetOk(_)) => {
                self.0.rest_of_message(CHANNEL, method).map(Some)
            }
            other => bail!("{other:?}"),
        }
    }

    /// Takes the first message that is ready: the names of its headers.
    pub(crate) fn headers(&mut self, queue: &str) -> anyhow::Result<Vec<String>> {
        let message = self.fetch(queue)?.context("there should be a message")?;
        let headers = RawProperties::new(&message.properties)?.headers_raw()?;
        let headers = FieldTable::decode_fields(headers.unwrap_or_default())?;
        let names = headers.iter().map(|(name, _)| name.to_string());
        Ok(names.collect())
    }

    /// Takes the one message that is in a queue, or comes soon.
    pub(crate) fn one(&mut self, queue: &str) -> anyhow::Result<String> {
        let consume = basic::Consume {
            queue: QueueName::new(queue)?,
            consumer_tag: amphora_protocol::wire::types::ConsumerTag::new("one")?,
            no_ack: true,
            ..basic::Consume::default()
        };
        self.0.call(CHANNEL, &consume)?;
        let body = self.0.message(CHANNEL)?.body;
        let cancel = basic::Cancel {
            consumer_tag: consume.consumer_tag,
            no_wait: false,
        };
        match self.0.call(CHANNEL, &cancel)? {
            Method::Basic(basic::Method::CancelOk(_)) => {}
            other => bail!("{other:?} where there should have been one message"),
        }
        let left = self.ready(queue)?;
        ensure!(left == 0, "{left} more in '{queue}'");
        String::from_utf8(body).context("no text")
    }
}

/// No arguments or headers.
pub(crate) fn none() -> FieldTable {
    table([])
}
