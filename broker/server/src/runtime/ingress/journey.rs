//! Dead letters of which none may be lost: what some of the queues have, while others do not take it.

use std::collections::HashSet;

use amphora_core::route::Routed;
use amphora_core::store::QueueId;

use super::chain::By;
use super::outcome::Put;
use super::{Ingress, MessageRef, Outcome};
use crate::runtime::vhost::Handle;

/// Where a letter is already, so that it does not come there again when it is published to the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct Arrived {
    queues: Vec<QueueId>,
    /// It waits for its time at exchanges on its way.
    waits: bool,
    /// Exchanges on its way remember it.
    is_remembered: bool,
}

/// What is known of the way of a queue's letters.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Journey {
    /// Queues that had no room for one. Those that come later must not overtake it there.
    pub(in crate::runtime) full: HashSet<QueueId>,
    /// Where the letter in hand is already.
    pub(in crate::runtime) arrived: Arrived,
}

impl Arrived {
    /// Nobody has it.
    pub(in crate::runtime) fn is_nowhere(&self) -> bool {
        *self == Self::default()
    }
}

impl Ingress {
    /// Leaves out what the exchanges on the way of a letter that is kept have done already.
    pub(super) fn shorten(&self, by: By<'_>, routed: &mut Routed<Handle>) {
        let arrived = &self.journey.arrived;
        if by.is_kept() && arrived.waits {
            routed.delayed.clear();
        }
        if by.is_kept() && arrived.is_remembered {
            routed.remembered.clear();
        }
    }

    /// Collects a letter for those of its queues and histories that do not have it. Those that refuse it may be asked again. `waits` is
    /// what became of it where it is to wait for its time, if there is such a place.
    pub(super) fn put_missing(
        &mut self,
        (slots, histories): (&[u32], &[u32]),
        waits: Option<Outcome>,
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        let arrived = &mut self.journey.arrived;
        arrived.waits |= waits == Some(Outcome::Routed);
        arrived.is_remembered |= !histories.is_empty();
        let is_somewhere = arrived.waits || !arrived.queues.is_empty();
        self.put_into_histories(histories, message, buffer);
        let mut outcome = if is_somewhere {
            Outcome::Routed
        } else {
            Outcome::Unroutable
        };
        for &index in slots {
            let Some(slot) = self.slots.get(index as usize) else {
                continue;
            };
            let queue = slot.queue.id;
            if self.journey.arrived.queues.contains(&queue) {
                continue;
            }
            let one = self.put_letter(index, message, buffer);
            if one.taken || !one.outcome.is_refusal() {
                self.journey.arrived.queues.push(queue);
                outcome = outcome.and(Outcome::Routed);
            } else {
                outcome = outcome.and(one.outcome);
            }
        }
        outcome.and(waits.unwrap_or(Outcome::Unroutable))
    }

    fn put_letter(&mut self, index: u32, message: MessageRef, buffer: &[u8]) -> Put {
        let refused = Put {
            outcome: Outcome::Full,
            taken: false,
        };
        let Some(slot) = self.slots.get(index as usize) else {
            return refused;
        };
        let queue = slot.queue.id;
        if slot.may_refuse
            && (self.journey.full.contains(&queue) || !self.has_room(index, message, buffer))
        {
            self.journey.full.insert(queue);
            return refused;
        }
        let slot = self.slots.get(index as usize);
        if let Some(chain) = slot.and_then(|slot| slot.chain.clone()) {
            let message = message.resolve(buffer, &self.owned).into();
            return self.enqueue(index, &chain, message, buffer, true);
        }
        self.put(index, message);
        Put {
            outcome: Outcome::Routed,
            taken: true,
        }
    }
}
