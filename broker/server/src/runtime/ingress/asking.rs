//! Exchanges whose types plugins supply: their messages wait until there are enough for a call, or something else comes.
//!
//! The order of a connection's publishes is kept: before a message that need not wait is collected, those that do are answered.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use amphora_core::hook::{BATCH_MAX, Fault, HookError, Needs, Origin, PackedBatch};
use amphora_core::route::{Asked, Routed};
use amphora_protocol::wire::error::WireError;
use foldhash::fast::FixedState;

use super::answers::Answers;
use super::{Ingress, Slots, Ticket, names};
use crate::runtime::batch::MessageRef;
use crate::runtime::vhost::Handle;

/// How often a batch is packed again because its plugin was replaced by one with other needs meanwhile.
pub(super) const REPLACED_MAX: u32 = 3;

/// One exchange whose plugin is asked, and what is known of its answers while the topology does not change.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) asked: Asked,
    /// Its name.
    pub(super) name: Box<str>,
    /// Where its messages are counted.
    pub(super) exchange: u32,
    pub(super) needs: Arc<Needs>,
    /// The destinations of messages that the plugin saw so, if its answers are pure.
    pub(super) pure: Answers,
    /// The destinations that a set of bindings leads to.
    places: HashMap<Box<[u32]>, Place, FixedState>,
    /// Those of one binding alone, by its id: most answers are such.
    singles: Vec<Option<Place>>,
    pub(super) batch: PackedBatch,
    /// How many messages the next call is to have.
    due: usize,
    pub(super) waiting: Vec<Waiting>,
    /// For each message that waited, the number of its bindings and their ids; none for one that has no answer.
    pub(super) answer: Vec<u32>,
    /// The messages that have no answer.
    pub(super) failures: Vec<Unanswered>,
    pub(super) routed: Routed<Handle>,
    /// What the plugin would see of the message in hand.
    pub(super) seen: Vec<u8>,
}

/// Where a set of bindings leads to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) slots: Slots,
    /// None of the queues has transforms, or may refuse a message.
    pub(super) is_plain: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) message: MessageRef,
    pub(super) ticket: Ticket,
}

/// Messages of a batch for which a call failed.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) messages: Range<usize>,
    pub(super) error: HookError,
}

impl Asking {
    pub(super) fn new(asked: Asked, name: &str, exchange: u32) -> Self {
        Self {
            // A plugin that is not there needs nothing; the call that follows says so.
            needs: asked.hook.needs().unwrap_or_default(),
            asked,
            name: name.into(),
            exchange,
            pure: Answers::default(),
            places: HashMap::default(),
            singles: Vec::new(),
            batch: PackedBatch::default(),
            due: 1,
            waiting: Vec::new(),
            answer: Vec::new(),
            failures: Vec::new(),
            routed: Routed::default(),
            seen: Vec::new(),
        }
    }

    /// Where these bindings lead to, if that is known.
    #[inline]
    pub(super) fn known(&self, answer: &[u32]) -> Option<&Place> {
        match answer {
            [id] if (*id as usize) < ANSWERS_MAX => self.singles.get(*id as usize)?.as_ref(),
            _ => self.places.get(answer),
        }
    }

    /// Remembers where these bindings lead to.
    pub(super) fn learn(&mut self, answer: &[u32], place: Place) {
        if let [id] = answer
            && (*id as usize) < ANSWERS_MAX
        {
            let index = *id as usize;
            if self.singles.len() <= index {
                self.singles.resize(index + 1, None);
            }
            self.singles[index] = Some(place);
            return;
        }
        if self.places.len() >= ANSWERS_MAX {
            self.places.clear();
        }
        self.places.insert(answer.into(), place);
    }

    /// Lets a message wait that was pushed to the batch.
    #[inline]
    pub(super) fn wait(&mut self, message: MessageRef, ticket: Ticket) {
        if self.waiting.is_empty() {
            self.due = self.asked.hook.batch_max().clamp(1, BATCH_MAX);
        }
        self.waiting.push(Waiting { message, ticket });
    }

    /// Whether enough messages wait for a call.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.waiting.len() >= self.due
    }

    /// Routes the batch.
    pub(super) fn route(&mut self, ingress: &Ingress, buffer: &[u8]) {
        self.answer.clear();
        self.failures.clear();
        self.route_part(0..self.batch.len(), ingress, buffer);
    }

    /// Routes some of the messages. A plugin that was replaced meanwhile may need to see something else: then the batch is packed again. If a
    /// call fails with several messages, each half is tried by itself, so that the others do not suffer from one that the plugin chokes on.
    fn route_part(&mut self, part: Range<usize>, ingress: &Ingress, buffer: &[u8]) {
        let mut replaced = 0;
        let error = loop {
            let hook = &self.asked.hook;
            let routed = if part.len() == self.batch.len() {
                hook.route(&self.batch, &mut self.answer)
            } else {
                hook.route(&self.batch.part(part.clone()), &mut self.answer)
            };
            match routed {
                Ok(()) => return,
                Err(error) if error.fault == Fault::Replaced && replaced < REPLACED_MAX => {
                    replaced += 1;
                    if let Err(error) = self.pack_again(&error.plugin, ingress, buffer) {
                        break error;
                    }
                }
                Err(error) => break error,
            }
        };
        if part.len() > 1 && error.fault.may_be_one_messages() {
            let middle = part.start + part.len() / 2;
            self.route_part(part.start..middle, ingress, buffer);
            self.route_part(middle..part.end, ingress, buffer);
            return;
        }
        self.answer.extend(part.clone().map(|_| 0));
        let messages = part;
        self.failures.push(Unanswered { messages, error });
    }

    /// Why a message has no answer, if that is so.
    #[inline]
    pub(super) fn failure(&self, index: usize) -> Option<&HookError> {
        let mut failures = self.failures.iter();
        let failure = failures.find(|failure| failure.messages.contains(&index))?;
        Some(&failure.error)
    }

    fn pack_again(
        &mut self,
        plugin: &str,
        ingress: &Ingress,
        buffer: &[u8],
    ) -> Result<(), HookError> {
        self.needs = self.asked.hook.needs()?;
        self.pure.clear();
        let needs = &self.needs;
        let origins = self.waiting.iter().map(|waiting| {
            let message = waiting.message.resolve(buffer, &ingress.owned);
            let names = names(message.target).unwrap_or_default();
            ingress.origin(needs, names, message.properties, message.body.bytes())
        });
        for (place, error) in pack(&mut self.batch, needs, origins) {
            let messages = place..place + 1;
            let error = HookError {
                plugin: plugin.into(),
                fault: Fault::Refused,
                text: error.to_string(),
            };
            self.failures.push(Unanswered { messages, error });
        }
        Ok(())
    }

    /// Forgets the messages that waited.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.batch.clear();
        self.failures.clear();
        self.answer.clear();
        self.answer.shrink_to(ANSWER_KEPT_MAX);
    }
}

/// Packs messages anew. Parts that were not asked for before may be damaged: such a message is packed without properties and body, so that all keep
/// their places, and named, so that what is said of it does not count.
fn pack<'a>(
    batch: &mut PackedBatch,
    needs: &Needs,
    origins: impl Iterator<Item = Origin<'a>>,
) -> Vec<(usize, WireError)> {
    batch.clear();
    let mut damaged = Vec::new();
    for (place, origin) in origins.enumerate() {
        let Err(error) = batch.push(needs, &origin) else {
            continue;
        };
        damaged.push((place, error));
        let bare = Origin {
            properties: &[0, 0],
            body: &[],
            ..origin
        };
        let packed = batch.push(needs, &bare);
        debug_assert!(packed.is_ok(), "nothing is there that could be damaged");
    }
    damaged
}

/// Answers of each kind that are remembered for one exchange.
const ANSWERS_MAX: usize = 4096;

/// Numbers of an answer for which the list is kept.
const ANSWER_KEPT_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use amphora_core::hook::HeaderNeeds;

    use super::*;

    #[test]
    fn a_damaged_message_leaves_the_others_in_their_places() {
        let needs = Needs {
            headers: HeaderNeeds::All,
            ..Needs::default()
        };
        let origin = |properties| Origin {
            properties,
            ..Origin::default()
        };
        // Headers of five bytes, of which there are none.
        let damaged = b"\x20\0\0\0\0\x05".as_slice();
        let whole = b"\0\0".as_slice();
        let mut batch = PackedBatch::default();
        let found = pack(
            &mut batch,
            &needs,
            [whole, damaged, whole, damaged].map(origin).into_iter(),
        );
        let places: Vec<usize> = found.iter().map(|(place, _)| *place).collect();
        assert_eq!((places, batch.len()), (vec![1, 3], 4));
        assert_eq!(batch.message(3), batch.message(2));
    }
}
