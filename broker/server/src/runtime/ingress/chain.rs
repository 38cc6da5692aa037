//! Messages that do not go the short way: transforms, several routing keys, dead letters, delays.

use std::sync::Arc;

use amphora_core::exchange::{LazyHeaders, MessageHeaders, sender_selected_keys};
use amphora_core::hook::{HookError, OnError};
use amphora_core::route::Routed;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::properties::RawProperties;

use super::letters::Dead;
use super::made::Refusal;
use super::outcome::Put;
use super::{Ingress, Outcome, names};
use crate::runtime::batch::Owned;
use crate::runtime::concealed::Concealed;
use crate::runtime::delays::Onward;
use crate::runtime::plugins::Chain;
use crate::runtime::special;
use crate::runtime::vhost::Handle;

/// Whose way a message is on when it comes back to be routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By<'a> {
    Client,
    Broker,
    /// A queue has given it up: see [`Ingress::publish_letter`].
    Queue {
        been_in: &'a [String],
        kept: bool,
    },
    /// By the broker, from this exchange on.
    From(&'a str),
}

impl By<'_> {
    /// Takes the queues out that a dead letter has been in. True if there are no others.
    fn goes_in_a_circle(self, routed: &mut Routed<Handle>) -> bool {
        let Self::Queue { been_in, .. } = self else {
            return false;
        };
        let before = routed.queues.len();
        let returns = |queue: &Handle| been_in.iter().any(|name| **name == *queue.name);
        routed.queues.retain(|queue| !returns(queue));
        let is_circle = routed.queues.is_empty() && before > 0;
        if is_circle {
            tracing::debug!(?been_in, "a dead letter went in a circle, and is dropped");
        }
        is_circle
    }

    /// It is kept, and published again, until all of its queues have it.
    pub(super) fn is_kept(self) -> bool {
        matches!(self, Self::Queue { kept: true, .. })
    }
}

impl Ingress {
    /// Publishes a message by the general way: transforms of its exchange, several routing keys. `buffer` is that of what was
    /// collected before.
    ///
    /// # Errors
    /// There is no such exchange, or its headers are damaged.
    pub(in crate::runtime) fn publish(
        &mut self,
        message: Owned,
        buffer: &[u8],
    ) -> Result<Outcome, Exception> {
        let (exchange, _) = names(&message.target)?;
        let topology = self.vhost.topology();
        let definition = topology.find_exchange(exchange)?;
        let policies = topology.policies_of_exchange(exchange);
        let plugins = &self.vhost.plugins;
        let chain = plugins.for_exchange(&self.vhost.name, definition, policies);
        drop(topology);
        let go_on = |ingress: &mut Self, message: Owned| match chain {
            None => ingress.route_owned(message, By::Client, buffer),
            Some(chain) => Ok(ingress.pass(&chain, message, buffer)),
        };
        match self.vhost.deduplicators.find(exchange) {
            None => go_on(self, message),
            Some(deduplicator) => {
                let content = message.clone().into();
                self.once(&deduplicator, buffer, content, |ingress, _| {
                    go_on(ingress, message)
                })
            }
        }
    }

    /// Publishes what the transforms of its exchange make of a message.
    pub(super) fn pass(&mut self, chain: &Chain, message: Owned, buffer: &[u8]) -> Outcome {
        self.hold();
        let made = self.run(chain, message, None, None);
        self.note_time();
        if let Some(refusal) = made.refused {
            return refusal.into_outcome();
        }
        let mut outcome = if made.on.is_empty() {
            Outcome::Taken
        } else {
            Outcome::Unroutable
        };
        self.bury(made.dead, None, buffer);
        for (message, delay) in made.on {
            let one = if delay > 0 {
                self.delay(&message, delay, Onward::Published)
            } else {
                // What a plugin wrote into the headers is no fault of the client's.
                self.route_owned(message, By::Client, buffer)
                    .unwrap_or_else(|exception| Outcome::Refused(exception.to_string()))
            };
            outcome = outcome.and(one);
        }
        outcome
    }

    /// Publishes a message of the broker's own, with all rights and without transforms of its exchange. Nothing that lies in a
    /// connection's input may be collected.
    ///
    /// # Errors
    /// There is no such exchange, or its headers are damaged.
    pub(in crate::runtime) fn publish_internal(
        &mut self,
        message: Owned,
    ) -> Result<Outcome, Exception> {
        self.route_owned(message, By::Broker, &[])
    }

    /// Publishes a message on behalf of the client that published it before, when it has waited: as that did, but without transforms of its
    /// exchange.
    ///
    /// # Errors
    /// There is no such exchange, or its headers are damaged.
    pub(in crate::runtime) fn publish_late(
        &mut self,
        message: Owned,
    ) -> Result<Outcome, Exception> {
        let target = message.target.clone();
        let (exchange, _) = names(&target)?;
        self.publish_from(exchange, message)
    }

    /// As [`Ingress::publish_late`], beginning at another exchange than the one that the message was published to.
    ///
    /// # Errors
    /// As there.
    pub(in crate::runtime) fn publish_from(
        &mut self,
        exchange: &str,
        message: Owned,
    ) -> Result<Outcome, Exception> {
        self.route_owned(message, By::From(exchange), &[])
    }

    /// Collects a message for one queue, without transforms.
    pub(in crate::runtime) fn put_into(&mut self, queue: &str, message: Owned) -> Outcome {
        let Some(slot) = self.slot_named(queue) else {
            return Outcome::Unroutable;
        };
        let message = self.own(message);
        self.put(slot, message);
        Outcome::Routed
    }

    /// Collects a message for one queue, as if it had been routed there. Nobody learns of a refusal, and nothing that lies in a connection's input may
    /// be collected.
    pub(in crate::runtime) fn give_to(&mut self, queue: &str, message: Owned) -> Outcome {
        let Some(slot) = self.slot_named(queue) else {
            return Outcome::Unroutable;
        };
        let message = self.own(message);
        self.put_all(&[slot], message, &[], false).outcome
    }

    /// The slot of the queue of this name, if there is one.
    fn slot_named(&mut self, queue: &str) -> Option<u32> {
        let topology = self.vhost.topology();
        let queue = topology.queue(queue).map(|entry| Arc::clone(&entry.handle));
        drop(topology);
        Some(self.slot(&queue?))
    }

    /// Collects a message for one queue with transforms. `heard`: somebody learns of a refusal.
    pub(super) fn enqueue(
        &mut self,
        index: u32,
        chain: &Chain,
        mut message: Owned,
        buffer: &[u8],
        heard: bool,
    ) -> Put {
        let (mut outcome, mut taken) = (Outcome::Unroutable, false);
        let Some(slot) = self.slots.get(index as usize) else {
            return Put { outcome, taken };
        };
        let (queue, may_refuse) = (Arc::clone(&slot.queue), slot.may_refuse);
        let whole = (!heard).then(|| message.clone());
        let concealed = Concealed::take(&mut message);
        self.hold();
        let mut made = self.run(
            chain,
            message,
            Some(&queue.name),
            queue.dead_letter().as_ref(),
        );
        self.note_time();
        if let Some(refusal) = made.refused {
            return match whole {
                Some(message) if refusal.is_verdict => {
                    self.bury_rejected(refusal, message, &queue.name, buffer)
                }
                _ => Put {
                    outcome: refusal.into_outcome(),
                    taken,
                },
            };
        }
        if let Some(concealed) = concealed {
            concealed.put_back(&mut made);
        }
        taken = made.on.is_empty() || !made.dead.is_empty();
        if made.on.is_empty() {
            outcome = Outcome::Routed;
        }
        self.bury(made.dead, Some(&queue.name), buffer);
        for (message, delay) in made.on {
            let one = if delay > 0 {
                self.delay(&message, delay, Onward::Queue(&queue.name))
            } else {
                let message = self.own(message);
                if may_refuse && self.refuses(index, message, buffer) {
                    taken |= self.buries_refused(index);
                    Outcome::Full
                } else {
                    self.put(index, message);
                    Outcome::Routed
                }
            };
            taken |= one == Outcome::Routed;
            outcome = outcome.and(one);
        }
        Put { outcome, taken }
    }

    /// A plugin has rejected a message of which nobody else would learn: so it is a dead letter, if that is asked for.
    fn bury_rejected(
        &mut self,
        refusal: Refusal,
        message: Owned,
        queue: &str,
        buffer: &[u8],
    ) -> Put {
        let Refusal {
            plugin, reason, to, ..
        } = refusal;
        match to {
            Some(to) => {
                let dead = Dead {
                    message,
                    to,
                    plugin,
                    reason,
                };
                self.bury(vec![dead], Some(queue), buffer);
            }
            None => self.vhost.plugins.lose(&plugin, &reason),
        }
        Put {
            outcome: Outcome::Taken,
            taken: true,
        }
    }

    /// The message goes nowhere else because a plugin failed: the operator has said what happens then.
    pub(super) fn give_up(
        &mut self,
        error: &HookError,
        on_error: OnError,
        message: Owned,
        buffer: &[u8],
    ) -> Outcome {
        match on_error {
            OnError::Drop => Outcome::Taken,
            OnError::DeadLetter => {
                let plugins = &self.vhost.plugins;
                let Some(to) = plugins.dead_letter(&error.plugin) else {
                    plugins.lose(&error.plugin, &error.text);
                    return Outcome::Taken;
                };
                let dead = Dead {
                    message,
                    to,
                    plugin: error.plugin.to_string(),
                    reason: error.text.clone(),
                };
                self.bury(vec![dead], None, buffer);
                Outcome::Taken
            }
            OnError::Reject | OnError::Pass | OnError::AlternateExchange => {
                Outcome::Refused(error.to_string())
            }
        }
    }

    /// Routes a message by itself, with all its routing keys, and collects it. `buffer` is that of what was collected before.
    pub(super) fn route_owned(
        &mut self,
        mut message: Owned,
        by: By<'_>,
        buffer: &[u8],
    ) -> Result<Outcome, Exception> {
        let (target, properties) = (message.target.clone(), message.properties.clone());
        let (exchange, key) = names(&target)?;
        let raw = RawProperties::new(&properties).map_err(special::syntax)?;
        let headers = LazyHeaders::new(raw);
        let mut keys = vec![key];
        if special::mentions_copies(raw)? {
            let table = headers.table()?;
            sender_selected_keys(table, &mut keys)?;
            if table.get(special::BCC).is_some() {
                message.properties = special::with_hidden_copies(&properties);
            }
        }
        let mut routed = Routed::default();
        let topology = self.vhost.topology();
        match by {
            By::Client => topology.route(exchange, &keys, &headers, &mut routed)?,
            By::Broker | By::Queue { .. } => {
                topology.route_internal(exchange, &keys, &headers, &mut routed)?;
            }
            By::From(start) => topology.route_internal(start, &keys, &headers, &mut routed)?,
        }
        drop(topology);
        let asks = !routed.asked.is_empty();
        if asks {
            self.hold();
        }
        let origin = (&*target, &*properties, &*message.body);
        let failures = self.ask_each(&mut routed, &keys, &headers, origin)?;
        if asks {
            self.note_time();
        }
        routed.queues.retain(|queue| !queue.is_own);
        if by.goes_in_a_circle(&mut routed) {
            return Ok(Outcome::Taken);
        }
        self.shorten(by, &mut routed);
        let has_others = !(routed.queues.is_empty()
            && routed.delayed.is_empty()
            && routed.remembered.is_empty());
        if let Some(failed) = failures.first()
            && by.comes_again(failed.on_error, has_others)
        {
            return Ok(Outcome::Refused(failed.error.to_string()));
        }
        let number = self.traffic.number(&self.vhost.exchanges, exchange);
        self.traffic.count_one(number, routed.queues.len(), asks);
        let slots: Vec<u32> = routed.queues.iter().map(|queue| self.slot(queue)).collect();
        let histories = self.history_slots(&routed.remembered);
        // With all its routing keys, which count again then.
        let whole = (!routed.delayed.is_empty() || !failures.is_empty()).then(|| Owned {
            properties,
            ..message.clone()
        });
        let message = self.own(message);
        let waits = whole.map(|whole| {
            let waits = if routed.delayed.is_empty() {
                Outcome::Unroutable
            } else {
                self.delay_at(&routed.delayed, &whole)
            };
            self.pass_failures(by, &failures, waits, &whole, buffer)
        });
        self.routes.forget_last();
        self.routed = routed;
        if by.is_kept() {
            return Ok(self.put_missing((&slots, &histories), waits, message, buffer));
        }
        self.put_into_histories(&histories, message, buffer);
        let put = self.put_all(&slots, message, buffer, by == By::Client);
        Ok(taken_together(by, waits, put))
    }
}

/// What becomes of a message that may wait at some exchanges, beside what goes to queues now.
fn taken_together(by: By<'_>, waits: Option<Outcome>, put: Put) -> Outcome {
    let taken = put.taken || waits == Some(Outcome::Routed);
    let outcome = match waits {
        None => put.outcome,
        Some(waits) => waits.and(put.outcome),
    };
    if by != By::Client && taken && outcome.is_refusal() {
        // The others have it, and must not get it again.
        tracing::debug!(?by, ?outcome, "a message does not reach all of its queues");
        return Outcome::Routed;
    }
    outcome
}
