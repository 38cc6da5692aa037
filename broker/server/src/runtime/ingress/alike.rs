//! Messages that go the way of the last one: their exchange, its user and its plugins were looked at with that.

use amphora_core::message::SHARED_BODY_MIN;
use amphora_protocol::connection::{Content, Publish};
use amphora_protocol::exception::Exception;

use super::routes::To;
use super::slots::{push, push_repeats};
use super::{Ingress, Outcome, Ticket, Way};
use crate::runtime::batch::MessageRef;
use crate::runtime::special;

impl Ingress {
    /// The way of the last message, if others may follow without being looked at as closely.
    pub(in crate::runtime) fn way(&mut self) -> Option<Way> {
        let last = &self.routes.last;
        if last.deduplicator.is_some() {
            return None;
        }
        match &last.to {
            To::Slots(slots) if !slots.is_empty() && self.waiting.is_none() => {
                let kind = self.routes.last_kind();
                self.straights.keep(kind, last.exchange, slots);
                Some(Way::Straight)
            }
            To::Asking(_) => Some(Way::Asking),
            _ => None,
        }
    }

    fn is_straight(&self) -> bool {
        matches!(&self.routes.last.to, To::Slots(slots) if !slots.is_empty())
    }

    /// Collects a message if it can go straight to the queues of the last one, as that did, or of an earlier one of its kind.
    /// [`Ingress::count_alike`] is due before a message goes another way.
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
        if !is_simple(content) {
            return false;
        }
        let refer = || {
            let persistent = special::is_persistent(properties);
            MessageRef::within(buffer, target, properties, body, persistent)
        };
        if *self.routes.last_target() == *target && self.routes.leads(properties) {
            debug_assert!(
                self.is_straight(),
                "the target of a route to queues is kept with it"
            );
            self.alike += 1;
            self.add(refer());
            return true;
        }
        let Some(straight) = self.straights.find(target, properties) else {
            return false;
        };
        let message = refer();
        let bytes = message.cost();
        self.collected += bytes;
        self.traffic
            .count(straight.exchange, 1, straight.slots.len());
        self.references += straight.slots.len();
        for &slot in &straight.slots {
            push(&mut self.slots, &mut self.active, slot, message, bytes);
        }
        true
    }

    /// Collects what comes right behind a publish that was collected, as long as only bodies differ and not enough has been collected: they go where
    /// that went, and nothing of them is looked at. It takes `length` bytes of `buffer`, from `start` on. Returns how many there are.
    pub(in crate::runtime) fn collect_repeats(
        &mut self,
        buffer: &[u8],
        start: usize,
        length: usize,
        publish: &Publish<'_>,
    ) -> usize {
        let To::Slots(slots) = &self.routes.last.to else {
            return 0;
        };
        let content = &publish.content;
        // One of another kind was collected after the last one.
        if self.routes.last_target() != content.target() || !self.routes.leads(content.properties())
        {
            return 0;
        }
        let persistent = special::is_persistent(content.properties());
        let (target, properties, body) = (content.target(), content.properties(), content.body());
        let message = MessageRef::within(buffer, target, properties, body, persistent);
        let most = self.room(message.cost(), slots.len());
        let count = publish.repeats(buffer.get(start..).unwrap_or_default(), length, most);
        if count > 0 {
            self.alike += count as u64;
            self.collected += message.cost() * count;
            self.references += slots.len() * count;
            for &slot in slots {
                if let Some(slot) = self.slots.get_mut(slot as usize) {
                    push_repeats(slot, message, length, count);
                }
            }
        }
        count
    }

    /// Counts the messages that have gone the way of the last one, straight to queues.
    pub(in crate::runtime) fn count_alike(&mut self) {
        if let To::Slots(slots) = &self.routes.last.to {
            let exchange = self.routes.last.exchange;
            let alike = std::mem::take(&mut self.alike);
            self.traffic.count(exchange, alike, slots.len());
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
