//! From a connection's input to queues: publishes are collected per queue while a batch of input is parsed, and each
//! queue is locked once for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::exchange::LazyHeaders;
use amphora_core::message::SHARED_BODY_MIN;
use amphora_core::route::Routed;
use amphora_protocol::connection::{Content, split_target};
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;
use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::batch::{Collected, MessageRef, Owned, small};
use super::peer::Touched;
use super::special;
use super::timers::now_ms;
use super::traffic::Gathered;
use super::vhost::{Handle, VirtualHost};

/// Input that is collected at most before it is handed on, if it goes to few queues: what is collected is still in the
/// processor's cache then, and consumers start sooner.
const FLUSH_BYTES: usize = 64 << 10;
/// More queues than this are better served with larger batches.
const FEW_QUEUES: usize = 4;
/// Routes that are remembered.
const ROUTES_MAX: usize = 4096;

#[derive(Debug)]
struct Slot {
    queue: Handle,
    messages: Vec<MessageRef>,
    bytes: usize,
}

/// Where messages with one target go.
#[derive(Clone, Debug)]
struct Route {
    /// Where the message is counted.
    exchange: u32,
    to: To,
}

#[derive(Clone, Debug)]
enum To {
    Slots(SmallVec<[u32; 4]>),
    /// Depends on more than the target.
    PerMessage,
}

impl Route {
    fn per_message(exchange: u32) -> Self {
        Self {
            exchange,
            to: To::PerMessage,
        }
    }

    fn is_fixed(&self) -> bool {
        matches!(self.to, To::Slots(_))
    }
}

/// What became of a message at its routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Routed,
    Unroutable,
}

/// What a flush leaves to do.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    /// Something must become durable.
    pub(super) commit: bool,
    /// A queue whose consumers cannot follow.
    pub(super) over: Option<Handle>,
}

#[derive(Debug)]
pub(super) struct Ingress {
    pub(super) vhost: Arc<VirtualHost>,
    generation: u64,
    last_target: Vec<u8>,
    last_route: Route,
    routes: HashMap<Box<[u8]>, Route, FixedState>,
    slots: Vec<Slot>,
    slot_of: HashMap<u32, u32, FixedState>,
    /// Slots that have messages.
    active: Vec<u32>,
    owned: Vec<Owned>,
    routed: Routed<Handle>,
    collected: usize,
    traffic: Gathered,
    /// Some of the messages expire.
    expiring: bool,
}

impl Ingress {
    pub(super) fn new(vhost: Arc<VirtualHost>) -> Self {
        Self {
            generation: vhost.generation(),
            vhost,
            last_target: Vec::new(),
            last_route: Route::per_message(0),
            routes: HashMap::default(),
            slots: Vec::new(),
            slot_of: HashMap::default(),
            active: Vec::new(),
            owned: Vec::new(),
            routed: Routed::default(),
            collected: 0,
            traffic: Gathered::default(),
            expiring: false,
        }
    }

    /// To be called between batches: forgets routes if the topology has changed.
    pub(super) fn refresh(&mut self) {
        let generation = self.vhost.generation();
        if self.generation != generation || self.slots.len() > ROUTES_MAX {
            debug_assert!(
                self.active.is_empty(),
                "collected messages are flushed first"
            );
            self.generation = generation;
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.last_target.clear();
        self.last_route = Route::per_message(0);
        self.traffic.forget();
        self.routes.clear();
        self.slots.clear();
        self.slot_of.clear();
    }

    /// Whether enough has been collected.
    pub(super) fn is_due(&self) -> bool {
        self.collected >= FLUSH_BYTES && self.active.len() <= FEW_QUEUES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.traffic.is_empty()
    }

    /// Collects a message that lies in `buffer`, or was put together. `may_write` is asked once for each new exchange.
    ///
    /// # Errors
    /// There is no such exchange, or the user may not write to it; nothing was collected.
    pub(super) fn collect(
        &mut self,
        buffer: &[u8],
        content: Content<'_>,
        may_write: impl FnOnce(&str) -> Result<(), Exception>,
    ) -> Result<Outcome, Exception> {
        self.resolve(content.target(), content.properties(), may_write)?;
        let count = match &self.last_route.to {
            To::Slots(slots) => slots.len(),
            To::PerMessage => self.routed.queues.len(),
        };
        self.traffic.count(self.last_route.exchange, count);
        if count == 0 {
            return Ok(Outcome::Unroutable);
        }
        let persistent = special::is_persistent(content.properties());
        self.expiring |= special::expires(content.properties());
        let message = match content {
            Content::Inline {
                target,
                properties,
                body,
            } if body.len() < SHARED_BODY_MIN => {
                MessageRef::within(buffer, target, properties, body, persistent)
            }
            content => self.own(Owned::from(content), persistent),
        };
        self.add(message);
        Ok(Outcome::Routed)
    }

    fn own(&mut self, message: Owned, persistent: bool) -> MessageRef {
        let reference = MessageRef::owned(self.owned.len(), &message, persistent);
        self.owned.push(message);
        reference
    }

    fn add(&mut self, message: MessageRef) {
        let bytes = message.cost();
        self.collected += bytes;
        match &self.last_route.to {
            To::Slots(slots) => {
                for &slot in slots {
                    push(&mut self.slots, &mut self.active, slot, message, bytes);
                }
            }
            To::PerMessage => {
                let queues = std::mem::take(&mut self.routed.queues);
                for queue in &queues {
                    let slot = self.slot(queue);
                    push(&mut self.slots, &mut self.active, slot, message, bytes);
                }
                self.routed.queues = queues;
            }
        }
    }

    /// Leaves the message's route in `last_route`, or its queues in `routed` if the route is its own.
    fn resolve(
        &mut self,
        target: &[u8],
        properties: &[u8],
        may_write: impl FnOnce(&str) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        if self.last_target == target && self.last_route.is_fixed() {
            return Ok(());
        }
        self.last_target.clear();
        let known = self.routes.get(target);
        if let Some(route) = known.filter(|route| route.is_fixed()) {
            self.last_target.extend_from_slice(target);
            self.last_route.clone_from(route);
            return Ok(());
        }
        let (exchange, key) = names(target)?;
        let number = known.map(|route| route.exchange);
        if number.is_none() {
            may_write(exchange)?;
        }
        self.last_route = Route::per_message(number.unwrap_or_default());
        let properties = RawProperties::new(properties)
            .map_err(|error| ConnectionException::frame_error(error.to_string()))?;
        let headers = LazyHeaders::new(properties);
        self.vhost
            .topology()
            .route(exchange, &[key], &headers, &mut self.routed)?;
        if number.is_none() {
            self.last_route.exchange = self.traffic.number(&self.vhost.exchanges, exchange);
        }
        self.remember(target);
        Ok(())
    }

    fn remember(&mut self, target: &[u8]) {
        if self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
        }
        if self.routed.depends_on_headers {
            self.routes.insert(target.into(), self.last_route.clone());
            return;
        }
        let queues = std::mem::take(&mut self.routed.queues);
        let slots: SmallVec<[u32; 4]> = queues.iter().map(|queue| self.slot(queue)).collect();
        self.routed.queues = queues;
        self.last_route.to = To::Slots(slots);
        self.routes.insert(target.into(), self.last_route.clone());
        self.last_target.extend_from_slice(target);
    }

    fn slot(&mut self, queue: &Handle) -> u32 {
        if let Some(&slot) = self.slot_of.get(&queue.id.0) {
            return slot;
        }
        let slot = small(self.slots.len());
        self.slots.push(Slot {
            queue: Arc::clone(queue),
            messages: Vec::new(),
            bytes: 0,
        });
        self.slot_of.insert(queue.id.0, slot);
        slot
    }

    /// Counts a message that was routed apart from the cache, to so many queues.
    pub(super) fn count(&mut self, exchange: &str, queues: usize) {
        let number = self.traffic.number(&self.vhost.exchanges, exchange);
        self.traffic.count(number, queues);
    }

    /// Collects a message for queues that were found apart from the cache.
    pub(super) fn collect_for(&mut self, queues: Vec<Handle>, message: Owned) {
        let persistent = special::is_persistent(&message.properties);
        self.expiring |= special::expires(&message.properties);
        let message = self.own(message, persistent);
        self.last_route = Route::per_message(0);
        self.last_target.clear();
        self.routed.queues = queues;
        self.add(message);
    }

    /// Hands all that was collected to its queues.
    pub(super) fn flush(&mut self, buffer: &[u8], touched: &mut Touched) -> Flushed {
        let mut flushed = Flushed::default();
        let committer = &self.vhost.committer;
        let now = std::mem::take(&mut self.expiring).then(now_ms);
        for index in self.active.drain(..) {
            let Some(slot) = self.slots.get_mut(index as usize) else {
                continue;
            };
            let batch = Collected {
                input: buffer,
                owned: &self.owned,
                messages: &slot.messages,
            };
            let effects = slot.queue.with(committer, touched, |model, sink| {
                if let Some(now) = now {
                    model.tell_time(now);
                }
                ((), model.publish(&batch, sink))
            });
            if effects.is_some_and(|((), effects)| effects.commit) {
                flushed.commit = true;
                committer.published(slot.bytes);
            }
            if slot.queue.is_over() {
                flushed.over = Some(Arc::clone(&slot.queue));
            }
            slot.messages.clear();
            slot.messages.shrink_to(MESSAGES_KEPT_MAX);
            slot.bytes = 0;
        }
        self.owned.clear();
        self.collected = 0;
        self.traffic.tell();
        flushed
    }
}

/// A list of references above this size is not kept: a connection may have thousands.
const MESSAGES_KEPT_MAX: usize = 4096;

fn push(slots: &mut [Slot], active: &mut Vec<u32>, index: u32, message: MessageRef, bytes: usize) {
    if let Some(slot) = slots.get_mut(index as usize) {
        if slot.messages.is_empty() {
            active.push(index);
        }
        slot.messages.push(message);
        slot.bytes += bytes;
    }
}

pub(super) fn names(target: &[u8]) -> Result<(&str, &str), Exception> {
    split_target(target).map_err(|error| ConnectionException::frame_error(error.to_string()).into())
}
