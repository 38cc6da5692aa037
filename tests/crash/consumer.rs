//! A client that consumes, and acknowledges some of what it gets.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use amphora_protocol::wire::method::{Method, basic, confirm};
use amphora_protocol::wire::types::{ConsumerTag, DeliveryTag, QueueName};
use amphora_tests::{Client, Message, Received};
use anyhow::{Context, bail};

use super::message::{self, Id};
use super::random::Random;
use super::{ASIDE, QUEUES};

/// Consuming happens here.
const WORK: u16 = 1;
/// What is published and confirmed here makes earlier acknowledgements durable.
const BARRIER: u16 = 2;

const PREFETCH: u16 = 40;

/// With so many deliveries in hand, the older half is acknowledged.
const HELD_MAX: usize = 100;

/// After so many acknowledgements a consumer wants them to be durable.
const BARRIER_AFTER: usize = 150;

/// A message in a queue.
pub(crate) type Entry = (&'static str, Id);

/// What a consumer knows when its broker is gone.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Everything that it got, and whether it was marked as redelivered.
    pub(crate) deliveries: Vec<(Entry, bool)>,
    /// Acknowledged, and nothing more is known of it.
    pub(crate) acknowledged: Vec<Entry>,
    /// Acknowledged, and never to be seen again.
    pub(crate) settled: Vec<Entry>,
}

/// Consumes from these queues until the broker is killed.
pub(crate) fn run(
    client: Client,
    queues: &[&'static str],
    random: Random,
    killed: &AtomicBool,
) -> anyhow::Result<Report> {
    let mut consumer = Consumer {
        client,
        random,
        held: VecDeque::new(),
        report: Report::default(),
    };
    match consumer.consume(queues) {
        Err(error) if !killed.load(Ordering::Acquire) => Err(error),
        _ => Ok(consumer.report),
    }
}

struct Consumer {
    client: Client,
    random: Random,
    /// What is not acknowledged yet, in the order of its tags.
    held: VecDeque<(u64, Entry)>,
    report: Report,
}

impl Consumer {
    fn consume(&mut self, queues: &[&'static str]) -> anyhow::Result<()> {
        self.client.open(BARRIER)?;
        self.client.call(BARRIER, &confirm::Select::default())?;
        self.client.open(WORK)?;
        let prefetch = basic::Qos {
            prefetch_count: PREFETCH,
            ..basic::Qos::default()
        };
        self.client.call(WORK, &prefetch)?;
        for &name in queues {
            let consume = basic::Consume {
                queue: QueueName::new(name)?,
                consumer_tag: ConsumerTag::new(name)?,
                no_wait: true,
                ..basic::Consume::default()
            };
            self.client.send(WORK, &consume)?;
        }
        loop {
            let received = self.client.receive()?;
            self.take(received)?;
            if self.report.acknowledged.len() > BARRIER_AFTER {
                self.barrier()?;
            }
        }
    }

    /// Takes a delivery, and does something with it, or with those before it.
    fn take(&mut self, received: Received) -> anyhow::Result<()> {
        let Received::Method(WORK, Method::Basic(method @ basic::Method::Deliver(_))) = received
        else {
            bail!("{received:?} where a delivery belongs");
        };
        let message = self.client.rest_of_message(WORK, method)?;
        let (tag, entry, redelivered) = delivered(&message)?;
        self.report.deliveries.push((entry, redelivered));
        match self.random.below(20) {
            0 => self.client.send(
                WORK,
                &basic::Reject {
                    delivery_tag: DeliveryTag(tag),
                    requeue: true,
                },
            )?,
            1..=6 => self.held.push_back((tag, entry)),
            _ => {
                self.acknowledge(tag, false)?;
                self.report.acknowledged.push(entry);
            }
        }
        if self.held.len() > HELD_MAX {
            let half: Vec<_> = self.held.drain(..HELD_MAX / 2).collect();
            let (last, _) = *half.last().context("half of many is some")?;
            self.acknowledge(last, true)?;
            self.report
                .acknowledged
                .extend(half.into_iter().map(|(_, entry)| entry));
        }
        Ok(())
    }

    fn acknowledge(&mut self, tag: u64, multiple: bool) -> anyhow::Result<()> {
        let ack = basic::Ack {
            delivery_tag: DeliveryTag(tag),
            multiple,
        };
        self.client.send(WORK, &ack)
    }

    /// Sees to it that what is acknowledged is durable. The answer to qos says that the broker has the acknowledgements;
    /// what is confirmed after that was committed with them, or later.
    fn barrier(&mut self) -> anyhow::Result<()> {
        let unchanged = basic::Qos {
            prefetch_count: PREFETCH,
            ..basic::Qos::default()
        };
        self.client.send(WORK, &unchanged)?;
        self.until(|method| matches!(method, Method::Basic(basic::Method::QosOk(_))))?;
        let acknowledged = std::mem::take(&mut self.report.acknowledged);
        self.client.publish_to(BARRIER, ASIDE, b"")?;
        // Until it is confirmed, they are only acknowledged.
        self.report.acknowledged.clone_from(&acknowledged);
        let before = acknowledged.len();
        self.until(|method| matches!(method, Method::Basic(basic::Method::Ack(_))))?;
        self.report.acknowledged.drain(..before);
        self.report.settled.extend(acknowledged);
        Ok(())
    }

    /// Deals with deliveries until this comes.
    fn until(&mut self, wanted: impl Fn(&Method) -> bool) -> anyhow::Result<()> {
        loop {
            match self.client.receive()? {
                Received::Method(_, method) if wanted(&method) => return Ok(()),
                received => self.take(received)?,
            }
        }
    }
}

/// The tag, what it is, and whether it is marked as redelivered.
pub(crate) fn delivered(message: &Message) -> anyhow::Result<(u64, Entry, bool)> {
    let basic::Method::Deliver(deliver) = &message.method else {
        bail!("{:?} where a delivery belongs", message.method);
    };
    let id = message::identify(&message.body)?;
    let tag = deliver.consumer_tag.as_str();
    let queue = QUEUES
        .into_iter()
        .find(|name| *name == tag)
        .context("whose queue?")?;
    Ok((deliver.delivery_tag.0, (queue, id), deliver.redelivered))
}
