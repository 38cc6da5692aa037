//! What is collected for each queue.

use std::sync::Arc;

use super::outcome::Put;
use super::{Ingress, Outcome};
use crate::runtime::batch::{MessageRef, small};
use crate::runtime::plugins::Chain;
use crate::runtime::vhost::Handle;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) queue: Handle,
    pub(super) messages: Vec<MessageRef>,
    pub(super) bytes: usize,
    /// Of the bodies alone.
    pub(super) body_bytes: usize,
    /// The queue refuses messages when it is full.
    pub(super) may_refuse: bool,
    /// Messages that it refused and does not know of yet.
    pub(super) refused: u64,
    /// Transforms that are attached to the queue.
    pub(super) chain: Option<Arc<Chain>>,
}

impl Ingress {
    /// Collects a client's message for queues of which some may have transforms.
    pub(super) fn put_each(
        &mut self,
        slots: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        self.put_all(slots, message, buffer, true).outcome
    }

    /// Collects a message for queues of which some may have transforms. `heard`: somebody learns of a refusal.
    pub(super) fn put_all(
        &mut self,
        slots: &[u32],
        message: MessageRef,
        buffer: &[u8],
        heard: bool,
    ) -> Put {
        let (mut outcome, mut taken) = (Outcome::Unroutable, false);
        for &index in slots {
            let Some(slot) = self.slots.get(index as usize) else {
                continue;
            };
            let one = if let Some(chain) = slot.chain.clone() {
                let message = message.resolve(buffer, &self.owned).into();
                let put = self.enqueue(index, &chain, message, buffer, heard);
                taken |= put.taken;
                put.outcome
            } else if slot.may_refuse && self.refuses(index, message, buffer) {
                taken |= self.buries_refused(index);
                Outcome::Full
            } else {
                self.put(index, message);
                taken = true;
                Outcome::Routed
            };
            outcome = outcome.and(one);
        }
        Put { outcome, taken }
    }

    pub(super) fn put(&mut self, slot: u32, message: MessageRef) {
        let bytes = message.cost();
        self.collected += bytes;
        self.references += 1;
        push(&mut self.slots, &mut self.active, slot, message, bytes);
    }

    /// The number of the slot in which messages for this queue are collected.
    pub(super) fn slot(&mut self, queue: &Handle) -> u32 {
        if let Some(&slot) = self.slot_of.get(&queue.id.0) {
            return slot;
        }
        let slot = small(self.slots.len());
        self.slots.push(Slot {
            queue: Arc::clone(queue),
            messages: Vec::new(),
            bytes: 0,
            body_bytes: 0,
            may_refuse: queue.may_refuse(),
            refused: 0,
            chain: (!queue.is_own)
                .then(|| self.vhost.plugins.for_queue(&self.vhost.name, queue))
                .flatten(),
        });
        self.slot_of.insert(queue.id.0, slot);
        slot
    }
}

/// A queue that gets `message` with the next flush gets as many more like it, each of which lies `length` bytes behind the one before.
pub(super) fn push_repeats(slot: &mut Slot, message: MessageRef, length: usize, count: usize) {
    let repeats = (1..=count).map(|number| message.with_body_behind(number * length));
    slot.messages.extend(repeats);
    slot.bytes += message.cost() * count;
    slot.body_bytes += message.body_len() as usize * count;
}

/// The queue gets the message with the next flush.
#[inline]
pub(super) fn push(
    slots: &mut [Slot],
    active: &mut Vec<u32>,
    index: u32,
    message: MessageRef,
    bytes: usize,
) {
    if let Some(slot) = slots.get_mut(index as usize) {
        if slot.messages.is_empty() {
            active.push(index);
        }
        slot.messages.push(message);
        slot.bytes += bytes;
        slot.body_bytes += message.body_len() as usize;
    }
}
