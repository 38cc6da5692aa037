//! Messages that go the way of the last one: their exchange, its user and its plugins were looked at with that.

use amphora_core::message::SHARED_BODY_MIN;
use amphora_protocol::connection::Content;
use amphora_protocol::exception::Exception;

use super::routes::To;
use super::{Ingress, Outcome, Ticket, Way};
use crate::runtime::batch::MessageRef;
use crate::runtime::special;

impl Ingress {
    /// The way of the last message, if others may follow without being looked at as closely.
    pub(in crate::runtime) fn way(&self) -> Option<Way> {
        let last = &self.routes.last;
        let way = match &last.to {
            To::Slots(_) if self.is_straight() && self.waiting.is_none() => Way::Straight,
            To::Asking(_) => Way::Asking,
            _ => return None,
        };
        last.deduplicator.is_none().then_some(way)
    }

    fn is_straight(&self) -> bool {
        matches!(&self.routes.last.to, To::Slots(slots) if !slots.is_empty())
    }

    /// Collects a message if it can go straight to the queues of the last one, as that did. [`Ingress::count_alike`] is due before
    /// a message goes another way.
    #[inline]
    pub(in crate::runtime) fn collect_alike(
        &mut self,
        buffer: &[u8],
        content: &Content<'_>,
    ) -> bool {
        let Content::Inline {
            target,
            properties,
            body,
        } = *content
        else {
            return false;
        };
        let follows = *self.routes.last_target() == *target && is_simple(content);
        if follows {
            debug_assert!(
                self.is_straight(),
                "the target of a route to queues is kept with it"
            );
            let persistent = special::is_persistent(properties);
            let message = MessageRef::within(buffer, target, properties, body, persistent);
            self.add(message);
        }
        follows
    }

    /// So many messages have gone the way of the last one, straight to queues.
    pub(in crate::runtime) fn count_alike(&mut self, count: u64) {
        if let To::Slots(slots) = &self.routes.last.to {
            let exchange = self.routes.last.exchange;
            self.traffic.count(exchange, count, slots.len());
        }
    }

    /// Puts a message to those that wait for the plugin of the last one, if it is for the same exchange.
    ///
    /// # Errors
    /// The message is damaged.
    pub(in crate::runtime) fn ask_alike(
        &mut self,
        buffer: &[u8],
        content: &Content<'_>,
        ticket: Ticket,
    ) -> Result<Option<Outcome>, Exception> {
        match self.routes.last.to {
            To::Asking(_) if self.is_asked_again(content.target()) && is_simple(content) => {
                let outcome = self.collect_resolved(buffer, content.clone(), ticket)?;
                Ok(Some(outcome))
            }
            _ => Ok(None),
        }
    }
}

/// Whether the message lies in the input, and asks for nothing beside its way.
#[inline]
fn is_simple(content: &Content<'_>) -> bool {
    let Content::Inline {
        properties, body, ..
    } = content
    else {
        return false;
    };
    body.len() < SHARED_BODY_MIN && !special::is_watched(properties)
}
