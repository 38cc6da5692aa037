//! A connection that consumes.

use anyhow::Result;

use super::delivery::{Delivery, Parser, Sink, TAG_LENGTH};
use super::gauge::{Gauge, REACTION};
use crate::perf::amqp::call::{Call, Table, Value};
use crate::perf::amqp::client::Client;
use crate::perf::amqp::dialogue::CHANNEL;
use crate::perf::amqp::frame::Frame;
use crate::perf::amqp::method::basic;
use crate::perf::measure::histogram::Histogram;
use crate::perf::measure::ledger::Ledger;

const NO_ACK: u8 = 0b10;
const NO_WAIT: u8 = 0b1000;
const MULTIPLE: u8 = 1;

/// How a consumer acknowledges and what it measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Bytes of a body.
    pub(crate) size: usize,
    /// 0 for automatic acknowledgement.
    pub(crate) ack_every: u32,
    pub(crate) prefetch: u16,
    /// Whether arrivals are told apart by queue, as every queue gets every message, or every consumer of a stream.
    pub(crate) by_queue: bool,
    /// Whether a stream is read from its first message on.
    pub(crate) from_first: bool,
    /// Whether the latency of every message is recorded.
    pub(crate) latency: bool,
}

/// A consuming thread's state.
#[derive(Debug)]
pub(crate) struct Consumer<'a> {
    client: Client,
    gauge: &'a Gauge,
    manner: Manner,
    /// Name of each queue to consume, and a number to tell its messages by.
    queues: Vec<(String, u32)>,
}

/// What a consumer has seen.
#[derive(Debug)]
pub(crate) struct Consumed {
    pub(crate) ledger: Ledger,
    pub(crate) latencies: Histogram,
}

impl<'a> Consumer<'a> {
    /// Prepares a connection to consume `queues`, without consuming yet.
    pub(crate) fn new(
        mut client: Client,
        gauge: &'a Gauge,
        manner: Manner,
        queues: Vec<(String, u32)>,
    ) -> Result<Self> {
        if manner.prefetch > 0 {
            let qos = Call::new(CHANNEL, basic::QOS)
                .long(0)
                .short(manner.prefetch)
                .octet(0);
            client.call(qos, basic::QOS_OK)?;
        }
        Ok(Self {
            client,
            gauge,
            manner,
            queues,
        })
    }

    /// Begins to consume and waits until the broker has agreed. For queues that are empty: nothing may arrive meanwhile.
    pub(crate) fn subscribe(&mut self) -> Result<()> {
        for (name, number) in &self.queues {
            self.client
                .call(self.consume(name, *number, 0), basic::CONSUME_OK)?;
        }
        Ok(())
    }

    /// Begins to consume without waiting for the broker's answer, as deliveries may come before it.
    pub(crate) fn subscribe_at_once(&mut self) -> Result<()> {
        for (name, number) in &self.queues {
            self.client
                .send_all(&self.consume(name, *number, NO_WAIT).finish())?;
        }
        Ok(())
    }

    /// Counts deliveries until the gauge says stop.
    ///
    /// # Errors
    /// If the broker closes the connection, cancels the consumer, or sends what is not a message of this tool.
    pub(crate) fn run(mut self) -> Result<Consumed> {
        self.client.time_out_after(REACTION)?;
        let mut parser = Parser::new(self.manner.size);
        let mut tracker = Tracker::new(self.manner);
        while !self.gauge.consuming_stopped() {
            let gauge = self.gauge;
            self.client.receive(|bytes| {
                tracker.now = gauge.clock.now();
                tracker.counted_from = gauge.counted_from();
                parser.parse(bytes, &mut tracker)
            })?;
            if tracker.received > 0 {
                self.gauge
                    .add_delivered(std::mem::take(&mut tracker.received), tracker.now);
            }
            self.acknowledge(&mut tracker)?;
        }
        tracker.acknowledge_rest();
        self.client.send_all(&tracker.acks)?;
        self.client.close()?;
        Ok(Consumed {
            ledger: tracker.ledger,
            latencies: tracker.latencies,
        })
    }

    /// Sends what it can; a broker that is busy sending gets the rest after the next read.
    fn acknowledge(&mut self, tracker: &mut Tracker) -> Result<()> {
        if !tracker.acks.is_empty() {
            let sent = self.client.send(&tracker.acks)?;
            tracker.acks.drain(..sent);
        }
        Ok(())
    }

    fn consume(&self, queue: &str, number: u32, mut flags: u8) -> Call {
        if self.manner.ack_every == 0 {
            flags |= NO_ACK;
        }
        let mut arguments = Table::new();
        if self.manner.from_first {
            let first = Value::Text("first".to_owned());
            arguments.push(("x-stream-offset".to_owned(), first));
        }
        let tag = consumer_tag(number);
        let tag = std::str::from_utf8(&tag).unwrap_or_default();
        Call::new(CHANNEL, basic::CONSUME)
            .short(0)
            .name(queue)
            .name(tag)
            .octet(flags)
            .table(&arguments)
    }
}

/// The number of a queue in letters.
fn consumer_tag(number: u32) -> [u8; TAG_LENGTH] {
    let mut rest = number;
    let mut tag = [b'a'; TAG_LENGTH];
    for letter in tag.iter_mut().rev() {
        *letter += (rest % 26).to_le_bytes()[0];
        rest /= 26;
    }
    tag
}

fn queue_number(tag: [u8; TAG_LENGTH]) -> u32 {
    tag.iter().fold(0, |number, letter| {
        number * 26 + u32::from(letter.wrapping_sub(b'a'))
    })
}

/// Counts what arrives and collects the acknowledgements to send.
#[derive(Debug)]
struct Tracker {
    manner: Manner,
    ledger: Ledger,
    latencies: Histogram,
    now: u64,
    /// The latency of what was sent, or due, before does not count.
    counted_from: u64,
    received: u64,
    unacknowledged: u32,
    last_tag: u64,
    acks: Vec<u8>,
}

impl Tracker {
    fn new(manner: Manner) -> Self {
        Self {
            manner,
            ledger: Ledger::default(),
            latencies: Histogram::default(),
            now: 0,
            counted_from: 0,
            received: 0,
            unacknowledged: 0,
            last_tag: 0,
            acks: Vec::new(),
        }
    }

    fn acknowledge_rest(&mut self) {
        if self.unacknowledged > 0 {
            self.unacknowledged = 0;
            put_ack(&mut self.acks, self.last_tag);
        }
    }
}

impl Sink for Tracker {
    #[inline]
    fn delivery(&mut self, delivery: Delivery) {
        let queue = if self.manner.by_queue {
            queue_number(delivery.consumer)
        } else {
            0
        };
        self.ledger.record(queue, delivery.word);
        self.received += 1;
        if self.manner.latency && delivery.time >= self.counted_from {
            self.latencies
                .record(self.now.saturating_sub(delivery.time));
        }
        if self.manner.ack_every > 0 {
            self.last_tag = delivery.tag;
            self.unacknowledged += 1;
            if self.unacknowledged == self.manner.ack_every {
                self.acknowledge_rest();
            }
        }
    }

    fn method(&mut self, frame: &Frame<'_>) -> Result<()> {
        frame.refuse_closing()
    }
}

/// Appends `basic.ack` for everything up to `tag`.
fn put_ack(out: &mut Vec<u8>, tag: u64) {
    out.extend(
        Call::new(CHANNEL, basic::ACK)
            .longlong(tag)
            .octet(MULTIPLE)
            .finish(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::amqp::frame::Frame;
    use crate::perf::measure::ledger::Word;

    #[test]
    fn a_consumer_tag_says_which_queue() {
        for number in [0, 1, 25, 26, 99_999] {
            assert_eq!(queue_number(consumer_tag(number)), number);
        }
    }

    #[test]
    fn acks_cover_every_so_many_and_then_the_rest() {
        let mut tracker = Tracker::new(Manner {
            size: 16,
            ack_every: 3,
            prefetch: 0,
            by_queue: false,
            from_first: false,
            latency: false,
        });
        for tag in 1..=8 {
            tracker.delivery(Delivery {
                consumer: *b"aaaa",
                tag,
                word: Word {
                    stream: 0,
                    number: tag,
                },
                time: 0,
            });
        }
        tracker.acknowledge_rest();
        tracker.acknowledge_rest();
        let (mut tags, mut bytes) = (Vec::new(), tracker.acks.as_slice());
        while let Some((frame, length)) = Frame::split(bytes).unwrap() {
            let mut arguments = frame.arguments();
            tags.push((frame.method(), arguments.longlong(), arguments.octet()));
            bytes = &bytes[length..];
        }
        assert_eq!(
            tags,
            [3, 6, 8].map(|tag| (Some(basic::ACK), Some(tag), Some(1)))
        );
    }
}
