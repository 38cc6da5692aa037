//! From a connection's input to queues: publishes are collected per queue while a batch of input is parsed, and each
//! queue is locked once for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::exchange::LazyHeaders;
use amphora_core::message::{Batch, Body, Message, SHARED_BODY_MIN};
use amphora_core::route::Routed;
use amphora_protocol::connection::{Content, split_target};
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;
use bytes::Bytes;
use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::peer::Touched;
use super::special;
use super::timers::now_ms;
use super::vhost::{Handle, VirtualHost};

/// Input that is collected at most before it is handed on, if it goes to few queues: what is collected is still in the
/// processor's cache then, and consumers start sooner.
const FLUSH_BYTES: usize = 64 << 10;
/// More queues than this are better served with larger batches.
const FEW_QUEUES: usize = 4;
/// Routes that are remembered.
const ROUTES_MAX: usize = 4096;

/// A message in the input buffer, or among the `owned` ones.
#[derive(Clone, Copy, Debug)]
struct MessageRef {
    target: u32,
    properties: u32,
    body: u32,
    body_len: u32,
    properties_len: u32,
    target_len: u16,
    persistent: bool,
    /// Index into `owned`, one up; 0 for a message that lies in the buffer.
    owned: u32,
}

/// A message that does not lie in the input buffer in one piece, or not as it goes on.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) target: Bytes,
    pub(super) properties: Bytes,
    pub(super) body: Bytes,
}

#[derive(Debug)]
struct Slot {
    queue: Handle,
    messages: Vec<MessageRef>,
    bytes: usize,
}

/// Where messages with one target go.
#[derive(Clone, Debug)]
enum Route {
    Slots(SmallVec<[u32; 4]>),
    /// Depends on more than the target.
    PerMessage,
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
    /// Some of the messages expire.
    expiring: bool,
}

impl Ingress {
    pub(super) fn new(vhost: Arc<VirtualHost>) -> Self {
        Self {
            generation: vhost.generation(),
            vhost,
            last_target: Vec::new(),
            last_route: Route::PerMessage,
            routes: HashMap::default(),
            slots: Vec::new(),
            slot_of: HashMap::default(),
            active: Vec::new(),
            owned: Vec::new(),
            routed: Routed::default(),
            collected: 0,
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
        self.last_route = Route::PerMessage;
        self.routes.clear();
        self.slots.clear();
        self.slot_of.clear();
    }

    /// Whether enough has been collected.
    pub(super) fn is_due(&self) -> bool {
        self.collected >= FLUSH_BYTES && self.active.len() <= FEW_QUEUES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
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
        let count = match &self.last_route {
            Route::Slots(slots) => slots.len(),
            Route::PerMessage => self.routed.queues.len(),
        };
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
            } if body.len() < SHARED_BODY_MIN => MessageRef {
                target: offset(buffer, target),
                target_len: u16::try_from(target.len()).unwrap_or(u16::MAX),
                properties: offset(buffer, properties),
                properties_len: small(properties.len()),
                body: offset(buffer, body),
                body_len: small(body.len()),
                persistent,
                owned: 0,
            },
            Content::Inline {
                target,
                properties,
                body,
            } => self.own(
                persistent,
                Owned {
                    target: Bytes::copy_from_slice(target),
                    properties: Bytes::copy_from_slice(properties),
                    body: Bytes::copy_from_slice(body),
                },
            ),
            Content::Assembled {
                target,
                properties,
                body,
            } => self.own(
                persistent,
                Owned {
                    target,
                    properties,
                    body,
                },
            ),
        };
        self.add(message);
        Ok(Outcome::Routed)
    }

    fn own(&mut self, persistent: bool, message: Owned) -> MessageRef {
        let (properties_len, body_len) = (message.properties.len(), message.body.len());
        self.owned.push(message);
        MessageRef {
            target: 0,
            target_len: 0,
            properties: 0,
            properties_len: small(properties_len),
            body: 0,
            body_len: small(body_len),
            persistent,
            owned: small(self.owned.len()),
        }
    }

    fn add(&mut self, message: MessageRef) {
        let bytes = (message.properties_len + message.body_len) as usize + 32;
        self.collected += bytes;
        match &self.last_route {
            Route::Slots(slots) => {
                for &slot in slots {
                    push(&mut self.slots, &mut self.active, slot, message, bytes);
                }
            }
            Route::PerMessage => {
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
        if let Route::Slots(_) = self.last_route
            && self.last_target == target
        {
            return Ok(());
        }
        let known = self.routes.get(target).cloned();
        if let Some(Route::Slots(_)) = &known {
            self.last_target.clear();
            self.last_target.extend_from_slice(target);
        } else {
            self.last_target.clear();
        }
        if let Some(route @ Route::Slots(_)) = known {
            self.last_route = route;
            return Ok(());
        }
        let (exchange, key) = names(target)?;
        if known.is_none() {
            may_write(exchange)?;
        }
        self.last_route = Route::PerMessage;
        let properties = RawProperties::new(properties)
            .map_err(|error| ConnectionException::frame_error(error.to_string()))?;
        let headers = LazyHeaders::new(properties);
        self.vhost
            .topology()
            .route(exchange, &[key], &headers, &mut self.routed)?;
        self.remember(target);
        Ok(())
    }

    fn remember(&mut self, target: &[u8]) {
        if self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
        }
        if self.routed.depends_on_headers {
            self.routes.insert(target.into(), Route::PerMessage);
            return;
        }
        let queues = std::mem::take(&mut self.routed.queues);
        let slots: SmallVec<[u32; 4]> = queues.iter().map(|queue| self.slot(queue)).collect();
        self.routed.queues = queues;
        let route = Route::Slots(slots);
        self.routes.insert(target.into(), route.clone());
        self.last_target.extend_from_slice(target);
        self.last_route = route;
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

    /// Collects a message for queues that were found apart from the cache.
    pub(super) fn collect_for(&mut self, queues: Vec<Handle>, message: Owned) {
        let persistent = special::is_persistent(&message.properties);
        self.expiring |= special::expires(&message.properties);
        let message = self.own(persistent, message);
        self.last_route = Route::PerMessage;
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
                buffer,
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

/// Messages for one queue.
#[derive(Debug)]
struct Collected<'a> {
    buffer: &'a [u8],
    owned: &'a [Owned],
    messages: &'a [MessageRef],
}

impl Batch for Collected<'_> {
    fn len(&self) -> usize {
        self.messages.len()
    }

    #[inline]
    fn message(&self, index: usize) -> Message<'_> {
        let message = self.messages[index];
        if let Some(owned) = message.owned.checked_sub(1) {
            let owned = &self.owned[owned as usize];
            let body = if owned.body.len() < SHARED_BODY_MIN {
                Body::Inline(&owned.body)
            } else {
                Body::Shared(&owned.body)
            };
            return Message {
                target: &owned.target,
                properties: &owned.properties,
                body,
                persistent: message.persistent,
            };
        }
        Message {
            target: slice(self.buffer, message.target, message.target_len.into()),
            properties: slice(self.buffer, message.properties, message.properties_len),
            body: Body::Inline(slice(self.buffer, message.body, message.body_len)),
            persistent: message.persistent,
        }
    }
}

fn slice(buffer: &[u8], offset: u32, len: u32) -> &[u8] {
    &buffer[offset as usize..offset as usize + len as usize]
}

/// Where `part`, a slice of `buffer`, begins in it. An empty one may lie anywhere.
fn offset(buffer: &[u8], part: &[u8]) -> u32 {
    if part.is_empty() {
        return 0;
    }
    small(part.as_ptr().addr() - buffer.as_ptr().addr())
}

/// A length or an index within one batch of input, or of one message: at most 512 MiB.
fn small(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

pub(super) fn names(target: &[u8]) -> Result<(&str, &str), Exception> {
    split_target(target).map_err(|error| ConnectionException::frame_error(error.to_string()).into())
}
