//! A client whose messages have nothing to do with plugins.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{QueueName, RoutingKey};
use amphora_tests::{Broker, Client};
use anyhow::{bail, ensure};

const QUEUE: &str = "beside";
/// Messages that are published at once.
const BURST: u64 = 50;

/// How it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Went {
    /// Messages a second.
    pub(crate) rate: u64,
    /// The longest that a burst took until all of it was delivered and confirmed.
    pub(crate) longest: Duration,
}

/// Publishes to a queue with confirms, and consumes from it.
#[derive(Debug)]
pub(crate) struct Beside(Client);

impl Beside {
    pub(crate) fn new(broker: &Broker) -> anyhow::Result<Self> {
        let mut client = broker.connect()?;
        client.open(1)?;
        let name = QueueName::new(QUEUE)?;
        client.call(
            1,
            &queue::Declare {
                queue: name.clone(),
                ..queue::Declare::default()
            },
        )?;
        client.call(1, &confirm::Select { no_wait: false })?;
        client.call(
            1,
            &basic::Consume {
                queue: name,
                no_ack: true,
                ..basic::Consume::default()
            },
        )?;
        Ok(Self(client))
    }

    /// Goes on as long as it is told to, and sees each message arrive in its turn, and confirmed.
    pub(crate) fn go_on(&mut self, goes_on: impl Fn() -> bool) -> anyhow::Result<Went> {
        let begun = Instant::now();
        let (mut delivered, mut confirmed) = (0, 0);
        let mut longest = Duration::ZERO;
        while goes_on() {
            let burst = Instant::now();
            self.publish(delivered)?;
            let end = delivered + BURST;
            while delivered < end || confirmed < end {
                match self.0.method(1)? {
                    Method::Basic(basic::Method::Ack(ack)) => confirmed = ack.delivery_tag.0,
                    Method::Basic(method @ basic::Method::Deliver(_)) => {
                        let message = self.0.rest_of_message(1, method)?;
                        ensure!(
                            message.body == delivered.to_be_bytes(),
                            "message {delivered} is another one"
                        );
                        delivered += 1;
                    }
                    other => bail!("{other:?}"),
                }
            }
            longest = longest.max(burst.elapsed());
        }
        let milliseconds = u64::try_from(begun.elapsed().as_millis())?;
        Ok(Went {
            rate: delivered * 1000 / milliseconds.max(1),
            longest,
        })
    }

    fn publish(&mut self, first: u64) -> anyhow::Result<()> {
        let publish = basic::Publish {
            routing_key: RoutingKey::new(QUEUE)?,
            ..basic::Publish::default()
        };
        let mut bytes = Vec::new();
        for number in first..first + BURST {
            let body = number.to_be_bytes();
            let properties = BasicProperties::default();
            self.0
                .write_publish(1, &publish, &properties, &body, &mut bytes);
        }
        self.0.write(&bytes)
    }
}
