//! What is collected for one queue.

use std::sync::Arc;

use super::Ingress;
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
