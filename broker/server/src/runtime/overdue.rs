//! Messages that a consumer holds for longer than it may: `x-consumer-timeout`.
//!
//! The consumer is cancelled and its messages go to others. A client that does not understand basic.cancel from the server loses its
//! channel instead, as in RabbitMQ. Only connections on which there is such a timeout look at the clock for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use amphora_core::channel::SourceKey;
use amphora_core::queue::Return;
use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::types::{ChannelNumber, ConsumerTag};

use super::broker::Broker;
use super::queue::SharedQueue;
use super::session::Session;
use super::timers::now_ms;

/// A timeout is noticed late by this part of it, at most.
const LATENESS: u32 = 10;

/// The clock is looked at no more often.
const LOOK_MIN: Duration = Duration::from_millis(100);
/// And no less.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// When the connection is to look for messages that are held too long.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    every: Option<Duration>,
    pub(super) next: Option<Instant>,
}

impl Patience {
    /// There is a consumer with this timeout.
    pub(super) fn shorten(&mut self, timeout: Duration) {
        let every = (timeout / LATENESS).clamp(LOOK_MIN, LOOK_MAX);
        if self.every.is_none_or(|before| every < before) {
            self.every = Some(every);
            self.next = Some(Instant::now() + every);
        }
    }
}

/// How long the queue, or the configuration, lets a message be held, in milliseconds; without end, if nothing is said.
fn timeout_of(broker: &Broker, queue: &SharedQueue) -> Option<u64> {
    let default = || Some(broker.limits().consumer_timeout).filter(|_| !queue.is_stream());
    queue.consumer_timeout().or_else(default).and_then(millis)
}

/// 0 is no timeout.
fn millis(timeout: Duration) -> Option<u64> {
    let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    Some(millis).filter(|&millis| millis > 0)
}

impl Session {
    /// How long a consumer may hold a message: what it says itself, or what its queue does. The node's default is not for streams, of which
    /// nobody holds anything.
    pub(super) fn set_timeout(
        &mut self,
        number: ChannelNumber,
        source: SourceKey,
        queue: &SharedQueue,
        own: Option<Duration>,
    ) {
        let timeout = own.map_or_else(|| timeout_of(&self.broker, queue), millis);
        if let Some(out) = self.peer.outbox.lock().channel(number) {
            out.unacked.set_timeout(source, timeout, own.is_some());
        }
        if let Some(timeout) = timeout {
            self.patience.shorten(Duration::from_millis(timeout));
        }
    }

    /// What policies or the configuration say of timeouts has changed.
    pub(super) fn renew_timeouts(&mut self) {
        let mut outbox = self.peer.outbox.lock();
        for &number in self.channels.keys() {
            if let Some(out) = outbox.channel(number) {
                out.unacked
                    .renew_timeouts(|queue| timeout_of(&self.broker, queue));
            }
        }
        drop(outbox);
        if let Some(shortest) = self.shortest_timeout() {
            self.patience.shorten(shortest);
        }
    }

    /// Takes back what is held too long, if it is time to look.
    pub(super) fn look_for_overdue(&mut self, now: Instant) {
        if self.patience.next.is_none_or(|next| next > now) {
            return;
        }
        let numbers: Vec<ChannelNumber> = self.channels.keys().copied().collect();
        for number in numbers {
            while let Some((source, timeout)) = self.overdue(number) {
                if !self.take_back(number, source, timeout) {
                    break;
                }
            }
        }
        self.patience = Patience::default();
        // Without any timeout left, nobody looks again.
        if let Some(shortest) = self.shortest_timeout() {
            self.patience.shorten(shortest);
        }
        self.finish();
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        let mut outbox = self.peer.outbox.lock();
        let channels = self.channels.keys();
        channels
            .filter_map(|number| outbox.channel(*number)?.unacked.shortest_timeout())
            .min()
            .map(Duration::from_millis)
    }

    fn overdue(&self, number: ChannelNumber) -> Option<(SourceKey, u64)> {
        let mut outbox = self.peer.outbox.lock();
        outbox.channel(number)?.unacked.overdue(now_ms())
    }

    /// Takes back what the source holds. False if the channel is closed for it.
    fn take_back(&mut self, number: ChannelNumber, source: SourceKey, timeout: u64) -> bool {
        let consumer = self.channels.get(&number).and_then(|channel| {
            let mut consumers = channel.consumers.iter();
            let found = consumers.find(|(_, consumer)| consumer.source == source);
            found.map(|(tag, consumer)| (tag.clone(), consumer.queue.name.clone()))
        });
        let told = consumer.is_some() && self.peer.cancel_notify.load(Ordering::Relaxed);
        self.settle();
        if let Some((tag, queue)) = consumer {
            tracing::warn!(
                connection = %self.info.name, channel = number.0, consumer_tag = %tag, %queue, timeout,
                "a consumer holds a message for too long, and is cancelled"
            );
            self.cancel_overdue(number, &tag, told);
        }
        if let Some(out) = self.peer.outbox.lock().channel(number) {
            out.unacked.recall(number.0, source, &mut self.settling);
        }
        self.requeue(Return::Nacked);
        if !told {
            let text = format!(
                "delivery acknowledgement on channel {number} timed out. Timeout value used: {timeout} ms. This timeout value can be configured, see consumers doc guide to learn more"
            );
            let exception = ChannelException::precondition_failed(text);
            self.raise(number, exception.at(0, 0));
        }
        told
    }

    fn cancel_overdue(&mut self, number: ChannelNumber, tag: &ConsumerTag, tell: bool) {
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        let Some(consumer) = channel.consumers.remove(tag) else {
            return;
        };
        channel.info.consumers.set(channel.consumers.len() as u64);
        self.tell_of_lost_consumer(number, tag, &consumer.queue);
        consumer
            .queue
            .with(&self.broker.committer, &mut self.touched, |model, sink| {
                model.cancel(consumer.key);
                ((), model.dispatch(sink))
            });
        if let Some(out) = self.peer.outbox.lock().channel(number) {
            out.unacked.close_source(consumer.source);
        }
        if tell {
            let cancel = basic::Cancel {
                consumer_tag: tag.clone(),
                no_wait: true,
            };
            self.send(number, cancel);
        }
        if let Some(entered) = &self.entered {
            let vhost = Arc::clone(&entered.ingress.vhost);
            vhost.delete_if_unused(&consumer.queue, &mut self.touched);
        }
    }
}
