//! Messages that go more ways than to queues: into histories, and aside to wait.

use std::sync::Arc;

use amphora_core::definition::ExchangeDefinition;
use amphora_protocol::connection::Content;

use super::routes::To;
use super::{Ingress, Outcome, Slots};
use crate::runtime::announce::Who;
use crate::runtime::batch::{MessageRef, Owned};
use crate::runtime::{histories, special};

impl Ingress {
    /// Collects a message whose route is its own, or that some of its queues look at first, or that is remembered.
    pub(super) fn collect_each(&mut self, buffer: &[u8], content: Content<'_>) -> Outcome {
        let slots = self.own_slots();
        self.traffic
            .count(self.routes.last.exchange, 1, slots.len());
        // What `routed` holds is this message's only if its route is its own.
        let (histories, delayed) = match &self.routes.last.to {
            To::PerMessage | To::Failed(_) => {
                (self.histories(), std::mem::take(&mut self.routed.delayed))
            }
            To::Remembered(_, histories) => (histories.clone(), Vec::new()),
            _ => (Slots::new(), Vec::new()),
        };
        let waits = (!delayed.is_empty()).then(|| self.delay_at(&delayed, &content.clone().into()));
        let message = self.refer(buffer, content);
        self.put_into_histories(&histories, message, buffer);
        let outcome = self.put_each(&slots, message, buffer);
        match waits {
            None => outcome,
            Some(waits) => waits.and(outcome),
        }
    }

    /// The slots of a message whose route is its own, or of one whose queues have transforms.
    fn own_slots(&mut self) -> Slots {
        if let To::Chained(slots) | To::Remembered(slots, _) = &self.routes.last.to {
            return slots.clone();
        }
        self.routed_slots()
    }

    /// The slots of the queues in `routed`.
    pub(super) fn routed_slots(&mut self) -> Slots {
        let queues = std::mem::take(&mut self.routed.queues);
        let slots = queues.iter().map(|queue| self.slot(queue)).collect();
        self.routed.queues = queues;
        slots
    }

    /// Has histories keep the message, unless it says that it is not to be kept.
    pub(super) fn put_into_histories(
        &mut self,
        histories: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) {
        if histories.is_empty()
            || !histories::is_kept(message.resolve(buffer, &self.owned).properties)
        {
            return;
        }
        for &slot in histories {
            self.put(slot, message);
        }
    }

    /// The queues that the last message went to, as far as that is known: if a plugin is asked, it is not.
    fn routed_names(&self) -> Vec<String> {
        let slots = match &self.routes.last.to {
            To::Slots(slots) | To::Chained(slots) | To::Remembered(slots, _) => slots,
            To::PerMessage => {
                let queues = self.routed.queues.iter();
                return queues.map(|queue| queue.name.to_string()).collect();
            }
            To::Asking(_) | To::Chain(_) | To::Failed(..) => return Vec::new(),
        };
        let slots = slots
            .iter()
            .filter_map(|slot| self.slots.get(*slot as usize));
        slots.map(|slot| slot.queue.name.to_string()).collect()
    }

    /// Lets who listens to the firehose know of the message that was published last.
    pub(in crate::runtime) fn trace(&self, who: Who, message: Owned) {
        // A direct reply is not routed.
        let queues = if special::is_reply(&message.target) {
            Vec::new()
        } else {
            self.routed_names()
        };
        self.vhost.tap.published(who, message, queues);
    }

    /// The slots of the histories that keep the message in `routed`.
    pub(super) fn histories(&mut self) -> Slots {
        let remembered = std::mem::take(&mut self.routed.remembered);
        let slots = self.history_slots(&remembered);
        self.routed.remembered = remembered;
        slots
    }

    /// One whose queue cannot be made does without; the log says so.
    pub(super) fn history_slots(&mut self, exchanges: &[Arc<ExchangeDefinition>]) -> Slots {
        let mut slots = Slots::new();
        for exchange in exchanges {
            match histories::queue(&self.vhost, exchange) {
                Ok(queue) => slots.push(self.slot(&queue)),
                Err(error) => {
                    tracing::warn!(vhost = %self.vhost.name, exchange = %exchange.name, %error, "nothing is remembered");
                }
            }
        }
        slots
    }
}
