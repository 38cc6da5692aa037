//! Queues that refuse messages when they are full: `x-overflow` of `reject-publish` or `reject-publish-dlx`.

use amphora_core::queue::{Effects, Space};
use amphora_core::queue_arguments::Overflow;

use super::{Ingress, MessageRef, Slot};
use crate::runtime::batch::Owned;
use crate::runtime::dead_letter::{self, Death};
use crate::runtime::plugins::DeadLetter;
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::Handle;

impl Slot {
    /// Whether the queue takes one more body of so many bytes, beside what is collected already.
    fn has_space(&self, bytes: u64) -> bool {
        let Space {
            messages,
            bytes: bytes_max,
        } = self.queue.space();
        (self.messages.len() as u64) < messages
            && (self.body_bytes as u64).saturating_add(bytes) <= bytes_max
    }
}

/// Where the messages go that the queue refuses, if that is asked for.
fn to_bury(queue: &Handle) -> Option<DeadLetter> {
    let to = queue.dead_letter();
    to.filter(|_| queue.overflow() == Overflow::RejectPublishDlx)
}

impl Ingress {
    /// Whether the queue of a slot refuses the message. What is collected for it is handed on first if it seems full: consumers
    /// may make room. The limit is soft as in RabbitMQ: several connections that publish at the same time may exceed it.
    pub(super) fn refuses(&mut self, index: u32, message: MessageRef, buffer: &[u8]) -> bool {
        let bytes = message.body_len().into();
        let Some(slot) = self.slots.get(index as usize) else {
            return false;
        };
        if slot.has_space(bytes) {
            return false;
        }
        if !slot.messages.is_empty() {
            self.hand_on(index, buffer);
        }
        let Some(slot) = self.slots.get(index as usize) else {
            return false;
        };
        if slot.has_space(bytes) || self.is_known(slot, message, buffer) {
            return false;
        }
        self.refuse(index, message, buffer);
        true
    }

    /// Whether the message is a duplicate to the queue of the slot, and takes no room.
    fn is_known(&self, slot: &Slot, message: MessageRef, buffer: &[u8]) -> bool {
        let Some(deduplicator) = &slot.queue.deduplicator else {
            return false;
        };
        let id = deduplicator.id(message.resolve(buffer, &self.owned).properties);
        id.is_some_and(|id| deduplicator.knows(id))
    }

    /// Whether the queue of a slot has room for a dead letter. What is collected for it is handed on first if it seems full. If it has none, who
    /// waits for that hears of it when there is more.
    pub(super) fn has_room(&mut self, index: u32, message: MessageRef, buffer: &[u8]) -> bool {
        let bytes = message.body_len().into();
        let has_space = |ingress: &Self| {
            let slot = ingress.slots.get(index as usize);
            slot.is_none_or(|slot| slot.has_space(bytes))
        };
        if has_space(self) {
            return true;
        }
        self.hand_on(index, buffer);
        if let Some(slot) = self.slots.get(index as usize) {
            slot.queue.await_room();
        }
        has_space(self)
    }

    /// Whether what the queue of a slot refuses is published as a dead letter.
    pub(super) fn buries_refused(&self, index: u32) -> bool {
        let slot = self.slots.get(index as usize);
        slot.is_some_and(|slot| to_bury(&slot.queue).is_some())
    }

    /// Tells queues what they refused: once for all of it.
    pub(super) fn tell_refused(&mut self) {
        while let Some(index) = self.refusing.pop() {
            let Some(slot) = self.slots.get_mut(index as usize) else {
                continue;
            };
            let refused = std::mem::take(&mut slot.refused);
            let committer = &self.vhost.committer;
            slot.queue.with(committer, &mut self.touched, |model, _| {
                model.refused(refused);
                ((), Effects::default())
            });
        }
    }

    /// Counts the refusal, and publishes the message as a dead letter if that is asked for.
    fn refuse(&mut self, index: u32, message: MessageRef, buffer: &[u8]) {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        slot.refused += 1;
        if slot.refused == 1 {
            self.refusing.push(index);
        }
        let queue = slot.queue.clone();
        let Some(to) = to_bury(&queue) else {
            return;
        };
        let message: Owned = message.resolve(buffer, &self.owned).into();
        let death = Death {
            queue: &queue.name,
            reason: "maxlen",
            plugin: None,
            time: now_ms() / 1000,
        };
        if !self.begin_burial(Some(&queue.name)) {
            return;
        }
        let outcome = dead_letter::letter(&message, &to, &death)
            .and_then(|letter| self.publish_letter(letter.message, &letter.been_in, false, buffer));
        self.end_burial();
        tracing::trace!(queue = %queue.name, exchange = %to.exchange, ?outcome, "a refused message is a dead letter");
    }
}
