//! From a queue to the outboxes of its consumers' connections.

use std::sync::Arc;

use amphora_core::message::Delivery;
use amphora_core::queue::{Accepted, Consumer, Room, Sink};

use super::announce::Who;
use super::encoding::delivery_overhead;
use super::outbox::OUTBOX_BYTES;
use super::peer::Touched;
use super::queue::{SharedQueue, Subscriber};
use super::timers::now_ms;

/// Gives a queue's messages to the outboxes of its consumers.
#[derive(Debug)]
pub(super) struct Delivering<'a> {
    pub(super) queue: &'a Arc<SharedQueue>,
    pub(super) touched: &'a mut Touched,
    /// The consumers' connections are full.
    pub(super) starved: bool,
}

impl Sink<Subscriber> for Delivering<'_> {
    fn room(&mut self, consumer: &Consumer<Subscriber>) -> Room {
        Room {
            bytes: OUTBOX_BYTES.saturating_sub(consumer.connection.peer.outbox_size()),
            messages: u32::MAX,
            overhead: delivery_overhead(&consumer.connection.prefix),
        }
    }

    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<Subscriber>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        let to = &consumer.connection;
        let source = (!consumer.options.no_ack).then_some(to.source);
        let mut outbox = to.peer.outbox.lock();
        if outbox.closed {
            return Accepted::Closed;
        }
        let Some(mut out) = outbox.deliveries(to.channel, &to.prefix, source) else {
            return Accepted::Closed;
        };
        let mut window = usize::MAX;
        if source.is_some() {
            out.channel.unacked.tell_time(now_ms());
            window = out.channel.window_left();
        }
        let mut accepted = Accepted::All;
        let (mut taken, mut redelivered) = (0, 0);
        let tap = Some(&self.queue.tap).filter(|tap| tap.is_on());
        for delivery in deliveries {
            if window == taken || *out.size >= OUTBOX_BYTES {
                accepted = Accepted::First(taken);
                break;
            }
            taken += 1;
            redelivered += u64::from(delivery.redelivered);
            out.push(&delivery);
            if let Some(tap) = tap {
                let who = Who::Connection(to.peer.id, to.channel);
                tap.delivered(who, &self.queue.name, &delivery);
            }
        }
        let traffic = &mut out.channel.traffic;
        traffic.redelivered += redelivered;
        if source.is_some() {
            traffic.delivered += taken as u64;
        } else {
            traffic.delivered_no_ack += taken as u64;
        }
        to.peer.publish_size(&outbox);
        drop(outbox);
        self.touched.add(&to.peer);
        accepted
    }

    fn starve(&mut self, consumer: &Consumer<Subscriber>) -> bool {
        let to = &consumer.connection;
        let mut outbox = to.peer.outbox.lock();
        if outbox.closed {
            return true;
        }
        let full = outbox.size >= OUTBOX_BYTES;
        self.starved |= full;
        let waiting = if full {
            &mut outbox.starved
        } else if let Some(channel) = outbox.channel(to.channel)
            && !consumer.options.no_ack
            && channel.window_left() == 0
        {
            &mut channel.starved
        } else {
            return false;
        };
        if !waiting.iter().any(|queue| Arc::ptr_eq(queue, self.queue)) {
            waiting.push(Arc::clone(self.queue));
        }
        true
    }
}
