//! Direct reply-to: a requester's channel is the queue of its answers, without a queue.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use amphora_core::message::{Delivery, Message};
use amphora_protocol::wire::types::ChannelNumber;
use parking_lot::RwLock;

use super::outbox::OUTBOX_BYTES;
use super::peer::{Peer, Touched};

/// What a requester consumes from, and names in `reply-to`.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// What the responder sees begins with this.
pub(super) const REPLY_TO_PREFIX: &str = "amq.rabbitmq.reply-to.";

/// The requesters of a virtual host, by the token that their responders were given.
#[derive(Debug, Default)]
pub(super) struct ReplyConsumers {
    consumers: RwLock<HashMap<Box<str>, ReplyConsumer>>,
}

#[derive(Debug)]
struct ReplyConsumer {
    peer: Weak<Peer>,
    channel: ChannelNumber,
    prefix: Box<[u8]>,
}

impl ReplyConsumers {
    /// Registers a requester; returns the name for `reply-to`.
    pub(super) fn add(
        &self,
        peer: &Arc<Peer>,
        channel: ChannelNumber,
        prefix: Box<[u8]>,
    ) -> String {
        let token = crate::random::token();
        let name = format!("{REPLY_TO_PREFIX}{token}");
        let consumer = ReplyConsumer {
            peer: Arc::downgrade(peer),
            channel,
            prefix,
        };
        self.consumers.write().insert(token.into(), consumer);
        name
    }

    pub(super) fn remove(&self, name: &str) {
        if let Some(token) = name.strip_prefix(REPLY_TO_PREFIX) {
            self.consumers.write().remove(token);
        }
    }

    /// Whether somebody waits for answers under this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        name.strip_prefix(REPLY_TO_PREFIX)
            .is_some_and(|token| self.consumers.read().contains_key(token))
    }

    /// Hands an answer to its requester. False if nobody waits for it.
    ///
    /// A requester that does not read its answers loses them, as it would with RabbitMQ: there is no queue to hold them.
    pub(super) fn deliver(&self, name: &str, message: Message<'_>, touched: &mut Touched) -> bool {
        let Some(token) = name.strip_prefix(REPLY_TO_PREFIX) else {
            return false;
        };
        let consumers = self.consumers.read();
        let Some(consumer) = consumers.get(token) else {
            return false;
        };
        let Some(peer) = consumer.peer.upgrade() else {
            return false;
        };
        let delivery = Delivery {
            attempts: None,
            position: 0,
            redelivered: false,
            message,
        };
        let mut outbox = peer.outbox.lock();
        if outbox.closed || outbox.size > REPLY_BYTES_MAX {
            return false;
        }
        let Some(mut deliveries) = outbox.deliveries(consumer.channel, &consumer.prefix, None)
        else {
            return false;
        };
        deliveries.push(&delivery);
        peer.publish_size(&outbox);
        drop(outbox);
        touched.add(&peer);
        true
    }
}

/// Answers that wait for one connection at most.
const REPLY_BYTES_MAX: usize = 16 * OUTBOX_BYTES;
