//! Exchanges whose types plugins supply: their messages wait until there are enough for a call, or something else comes.
//!
//! The order of a connection's publishes is kept: before a message that need not wait is collected, those that do are answered.

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::hook::{Fault, HookError, Needs, PackedBatch};
use amphora_core::route::{Asked, Routed};
use foldhash::fast::FixedState;

use super::{Ingress, Slots, Ticket, names};
use crate::runtime::batch::MessageRef;
use crate::runtime::vhost::Handle;

/// How often a batch is packed again because its plugin was replaced by one with other needs meanwhile.
pub(super) const REPLACED_MAX: u32 = 3;

/// One exchange whose plugin is asked, and what is known of its answers while the topology does not change.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) asked: Asked,
    /// Where its messages are counted.
    pub(super) exchange: u32,
    pub(super) needs: Arc<Needs>,
    /// The destinations of messages that the plugin saw so, if its answers are pure.
    pub(super) pure: HashMap<Box<[u8]>, Slots, FixedState>,
    /// The destinations that a set of bindings leads to.
    pub(super) places: HashMap<Box<[u32]>, Slots, FixedState>,
    pub(super) batch: PackedBatch,
    pub(super) waiting: Vec<Waiting>,
    pub(super) answer: Vec<u32>,
    pub(super) routed: Routed<Handle>,
    /// What the plugin would see of the message in hand.
    pub(super) seen: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) message: MessageRef,
    pub(super) ticket: Ticket,
    /// Where it begins in the batch.
    pub(super) begin: usize,
}

impl Asking {
    pub(super) fn new(asked: Asked, exchange: u32) -> Self {
        Self {
            // A plugin that is not there needs nothing; the call that follows says so.
            needs: asked.hook.needs().unwrap_or_default(),
            asked,
            exchange,
            pure: HashMap::default(),
            places: HashMap::default(),
            batch: PackedBatch::default(),
            waiting: Vec::new(),
            answer: Vec::new(),
            routed: Routed::default(),
            seen: Vec::new(),
        }
    }

    /// Routes the batch. A plugin that was replaced meanwhile may need to see something else: then it is packed again.
    pub(super) fn route(&mut self, ingress: &Ingress, buffer: &[u8]) -> Result<(), HookError> {
        let mut replaced = 0;
        loop {
            self.answer.clear();
            match self.asked.hook.route(&self.batch, &mut self.answer) {
                Err(error) if error.fault == Fault::Replaced && replaced < REPLACED_MAX => {
                    replaced += 1;
                    self.pack_again(ingress, buffer)?;
                }
                result => return result,
            }
        }
    }

    fn pack_again(&mut self, ingress: &Ingress, buffer: &[u8]) -> Result<(), HookError> {
        self.needs = self.asked.hook.needs()?;
        self.pure.clear();
        self.batch.clear();
        for waiting in &mut self.waiting {
            waiting.begin = self.batch.bytes().len();
            let message = waiting.message.resolve(buffer, &ingress.owned);
            let (exchange, key) = names(message.target).unwrap_or_default();
            let origin = ingress.origin(
                &self.needs,
                (exchange, key),
                message.properties,
                message.body.bytes(),
            );
            // The parts that the other version did not ask for may be damaged.
            self.batch
                .push(&self.needs, &origin)
                .map_err(|error| HookError {
                    plugin: exchange.into(),
                    fault: Fault::Refused,
                    text: error.to_string(),
                })?;
        }
        Ok(())
    }

    /// What the plugin saw of a waiting message.
    pub(super) fn shown(&self, index: usize) -> &[u8] {
        let begin = self.waiting.get(index).map_or(0, |waiting| waiting.begin);
        let end = self.waiting.get(index + 1);
        let end = end.map_or(self.batch.bytes().len(), |next| next.begin);
        self.batch.bytes().get(begin..end).unwrap_or_default()
    }
}
