//! Where messages with one target go.

use std::sync::Arc;

use amphora_core::exchange::LazyHeaders;
use amphora_core::route::Varies;
use amphora_protocol::connection::Content;
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;

use super::asking::Asking;
use super::one_by_one::Failed;
use super::{Ingress, Slots, exchange_of, names};
use crate::runtime::batch::small;
use crate::runtime::deduplication::Deduplicator;
use crate::runtime::plugins::Chain;
use crate::runtime::vhost::VirtualHost;

/// Where messages with one target go.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Where the message is counted.
    pub(super) exchange: u32,
    pub(super) to: To,
    /// What the exchange has seen, if it takes each id once.
    pub(super) deduplicator: Option<Arc<Deduplicator>>,
}

#[derive(Clone, Debug)]
pub(super) enum To {
    Slots(Slots),
    /// Depends on more than the target.
    PerMessage,
    /// As `Slots`, or `Chained`, and histories keep the message, too.
    Remembered(Slots, Slots),
    /// A plugin is asked: an index into `Ingress::asking`.
    Asking(u32),
    /// As `Slots`, and some of the queues have transforms, or refuse messages when they are full.
    Chained(Slots),
    /// Transforms come first, and the message that they make is routed by itself.
    Chain(Arc<Chain>),
    /// As `PerMessage`, and plugins on the way, behind other exchanges, have no answer to the message in hand.
    Failed(Arc<[Failed]>),
}

impl Route {
    pub(super) fn per_message(exchange: u32) -> Self {
        Self {
            exchange,
            to: To::PerMessage,
            deduplicator: None,
        }
    }

    /// The numbers of slots that it holds.
    pub(super) fn size(&self) -> usize {
        match &self.to {
            To::Slots(slots) | To::Chained(slots) => slots.len(),
            To::Remembered(slots, histories) => slots.len() + histories.len(),
            To::PerMessage | To::Asking(_) | To::Chain(_) | To::Failed(..) => 0,
        }
    }

    /// It is the same for all messages with its target, and looked up as often as may be.
    pub(super) fn is_fixed(&self) -> bool {
        !matches!(self.to, To::PerMessage | To::Failed(_))
    }

    /// It stays while the topology does. An exchange that is asked may give way to its answer.
    fn is_final(&self) -> bool {
        self.is_fixed() && !matches!(self.to, To::Asking(_))
    }
}

impl Ingress {
    /// Leaves the message's route in `routes.last`, or its queues in `routed` if the route is its own.
    pub(super) fn resolve(
        &mut self,
        content: &Content<'_>,
        may_write: impl FnOnce(&VirtualHost, &str, &str) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        let target = content.target();
        if self.routes.last_target() == target {
            match &self.routes.last.to {
                To::PerMessage => return self.route_again(content),
                _ if !self.routes.leads(content.properties()) => return self.route_again(content),
                _ if self.routes.last.is_final() => return Ok(()),
                _ => {}
            }
        }
        if self.is_asked_again(target) {
            return Ok(());
        }
        let is_known = self.routes.recall(target);
        if is_known && self.routes.last.is_fixed() {
            return Ok(());
        }
        let (exchange, key) = names(target)?;
        if is_known {
            self.route(exchange, key, content)?;
            self.remember(content, true);
            return Ok(());
        }
        may_write(&self.vhost, exchange, key)?;
        let plain = self.routes.plain_exchange(target);
        self.routes.last = Route::per_message(plain.unwrap_or_default());
        if plain.is_none() {
            self.routes.last.deduplicator = self.vhost.deduplicators.find(exchange);
            if self.begins_with_plugins(target, exchange)? {
                return Ok(());
            }
        }
        self.route(exchange, key, content)?;
        if plain.is_none() {
            let number = self.traffic.number(&self.vhost.exchanges, exchange);
            self.routes.last.exchange = number;
            if self.routes.last.deduplicator.is_none() {
                self.routes.note_plain_exchange(target, number);
            }
        }
        self.remember(content, false);
        Ok(())
    }

    /// The message is for the plugin's exchange that the last one was for, and is asked about whatever its routing key.
    pub(super) fn is_asked_again(&self, target: &[u8]) -> bool {
        let To::Asking(index) = self.routes.last.to else {
            return false;
        };
        let exchange = exchange_of(self.routes.last_target());
        let asking = self.asking.get(index as usize).and_then(Option::as_ref);
        !exchange.is_empty()
            && target.starts_with(exchange)
            && asking.is_some_and(|asking| !asking.needs.only_target())
    }

    /// Transforms of the exchange come before its routing, and an exchange of a plugin's type asks its plugin. That is so for all messages
    /// with the target.
    fn begins_with_plugins(&mut self, target: &[u8], exchange: &str) -> Result<bool, Exception> {
        let topology = self.vhost.topology();
        let definition = topology.find_exchange(exchange)?;
        let policies = topology.policies_of_exchange(exchange);
        let plugins = &self.vhost.plugins;
        let chain = plugins.for_exchange(&self.vhost.name, definition, policies);
        // One that delays looks at the message before it asks.
        let asked = topology
            .asked(exchange)
            .filter(|_| !definition.internal && !topology.delays(exchange));
        drop(topology);
        let to = match (chain, asked) {
            (Some(chain), _) => To::Chain(chain),
            (None, Some(asked)) => {
                let number = self.traffic.number(&self.vhost.exchanges, exchange);
                let is_same = |known: &Option<Box<Asking>>| {
                    known.as_ref().is_some_and(|known| known.exchange == number)
                };
                let index = self.asking.iter().position(is_same).unwrap_or_else(|| {
                    self.asking
                        .push(Some(Box::new(Asking::new(asked, exchange, number))));
                    self.asking.len() - 1
                });
                To::Asking(small(index))
            }
            (None, None) => return Ok(false),
        };
        self.routes.last.exchange = self.traffic.number(&self.vhost.exchanges, exchange);
        self.routes.last.to = to;
        self.routes.keep(target, self.routes.last.clone());
        self.routes.serve(target);
        Ok(true)
    }

    /// The message has the target of the last one, and a route of its own.
    fn route_again(&mut self, content: &Content<'_>) -> Result<(), Exception> {
        let (exchange, key) = names(content.target())?;
        self.routes.last.to = To::PerMessage;
        self.routes.depend_on(None);
        self.route(exchange, key, content)?;
        if matches!(self.routes.last.to, To::PerMessage) {
            self.expect_properties(content.properties());
        } else {
            self.routes.serve_none();
        }
        Ok(())
    }

    /// Messages that follow with the same target and properties go where this one goes, if nothing else decides that: many publishers send
    /// runs of them.
    fn expect_properties(&mut self, properties: &[u8]) {
        if self.routed.varies != Varies::WithProperties || !self.routed.remembered.is_empty() {
            return;
        }
        let slots = self.routed_slots();
        if self.are_plain(&slots) {
            self.routes.last.to = To::Slots(slots);
            self.routes.depend_on(Some(properties));
        }
    }

    /// Finds the message's queues, asking the plugins on its way. The broker's own are none that messages are published to.
    fn route(&mut self, exchange: &str, key: &str, content: &Content<'_>) -> Result<(), Exception> {
        let raw = RawProperties::new(content.properties())
            .map_err(|error| ConnectionException::frame_error(error.to_string()))?;
        let headers = LazyHeaders::new(raw);
        self.vhost
            .topology()
            .route(exchange, &[key], &headers, &mut self.routed)?;
        if self.routed.asked.is_empty() {
            self.routed.queues.retain(|queue| !queue.is_own);
            return Ok(());
        }
        self.hold();
        let mut routed = std::mem::take(&mut self.routed);
        let origin = (content.target(), content.properties(), content.body());
        let failures = self.ask_each(&mut routed, &[key], &headers, origin);
        self.note_time();
        self.routed = routed;
        // What a plugin behind other exchanges says may be another thing for each message.
        self.routed.varies = Varies::Always;
        let failures = failures?;
        self.routed.queues.retain(|queue| !queue.is_own);
        if !failures.is_empty() {
            self.routes.last.to = To::Failed(failures.into());
        }
        Ok(())
    }

    /// Keeps the message's route for those that follow. `known`: that the messages with its target have their own is kept already.
    fn remember(&mut self, content: &Content<'_>, known: bool) {
        let target = content.target();
        if self.routed.varies != Varies::Never {
            if !known {
                let route = Route {
                    to: To::PerMessage,
                    ..self.routes.last.clone()
                };
                self.routes.keep(target, route);
            }
            if matches!(self.routes.last.to, To::PerMessage) {
                self.routes.serve(target);
                self.expect_properties(content.properties());
            }
            return;
        }
        let slots = self.routed_slots();
        self.routes.last.to = if self.routed.remembered.is_empty() {
            self.to_slots(slots)
        } else {
            To::Remembered(slots, self.histories())
        };
        let route = self.routes.last.clone();
        self.routes.keep(target, route);
        self.routes.serve(target);
    }

    fn to_slots(&self, slots: Slots) -> To {
        if self.are_plain(&slots) {
            To::Slots(slots)
        } else {
            To::Chained(slots)
        }
    }

    /// None of the queues has transforms, or may refuse a message.
    pub(super) fn are_plain(&self, slots: &[u32]) -> bool {
        slots.iter().all(|slot| {
            let slot = self.slots.get(*slot as usize);
            slot.is_some_and(|slot| slot.chain.is_none() && !slot.may_refuse)
        })
    }
}
