//! From a connection's input to queues: publishes are collected per queue while a batch of input is parsed, and each
//! queue is locked once for all of them.

mod alike;
mod answering;
mod answers;
mod asking;
mod chain;
mod deduplicating;
mod delaying;
mod failing;
mod flush;
mod full;
mod held;
mod journey;
mod known;
mod letters;
pub(super) mod made;
mod one_by_one;
mod outcome;
mod plugins;
mod remembering;
mod reserving;
mod routes;
mod slots;
mod straight;
mod transforming;

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::message::SHARED_BODY_MIN;
use amphora_core::route::Routed;
use amphora_protocol::connection::{Content, split_target};
use amphora_protocol::exception::{ConnectionException, Exception};
use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::batch::{MessageRef, Owned};
use super::delays::Source;
use super::peer::Touched;
use super::special;
use super::timers::now_ms;
use super::traffic::Gathered;
use super::vhost::{Handle, VirtualHost};

use self::asking::Asking;
use self::deduplicating::Deduplicating;
pub(super) use self::deduplicating::Later;
use self::flush::Flushed;
pub(super) use self::journey::{Arrived, Journey};
use self::known::Routes;
pub(super) use self::made::Made;
pub(super) use self::outcome::{Answered, Outcome, Ticket, Way};
use self::routes::To;
use self::slots::{Slot, push};
use self::straight::Straights;

/// Input that is collected at most before it is handed on, if it goes to few queues: what is collected is still in the
/// processor's cache then, and consumers start sooner.
const FLUSH_BYTES: usize = 64 << 10;
/// More queues than this are better served with larger batches.
const FEW_QUEUES: usize = 4;
/// References to messages that are collected at most, roughly, however many queues they are for: 3 MB.
const REFERENCES_MAX: usize = 100_000;

/// Indices of slots.
type Slots = SmallVec<[u32; 4]>;

#[derive(Debug)]
pub(super) struct Ingress {
    pub(super) vhost: Arc<VirtualHost>,
    /// Who publishes.
    user: Arc<str>,
    /// When the broker received what is published, in milliseconds since 1970, if that is not now.
    received: Option<u64>,
    generation: u64,
    routes: Routes,
    straights: Straights,
    /// Messages that have gone the way of the last one, and are not counted yet.
    alike: u64,
    slots: Vec<Slot>,
    slot_of: HashMap<u32, u32, FixedState>,
    /// Slots that have messages.
    active: Vec<u32>,
    owned: Vec<Owned>,
    routed: Routed<Handle>,
    collected: usize,
    /// References to messages in all slots.
    references: usize,
    traffic: Gathered,
    /// Some of the messages expire.
    expiring: bool,
    /// Exchanges whose plugins are asked. One that is being asked is not here.
    asking: Vec<Option<Box<Asking>>>,
    /// The one among them for whose plugin messages wait.
    waiting: Option<u32>,
    answered: Vec<Answered>,
    /// Messages were put aside for later.
    delayed: bool,
    /// Plugins were asked, and what they stored is held back.
    asked_plugins: bool,
    /// Plugins took long.
    slow: bool,
    /// Dead letters that are on their way because of one another.
    deaths: u32,
    /// What is known of the way of dead letters of which none may be lost.
    pub(super) journey: Journey,
    /// Slots of queues that refused messages and do not know of it yet.
    refusing: Vec<u32>,
    /// What was handed on before the flush.
    touched: Touched,
    flushed: Flushed,
    deduplicating: Deduplicating,
}

impl Ingress {
    pub(super) fn new(vhost: Arc<VirtualHost>, user: Arc<str>) -> Self {
        Self {
            generation: vhost.generation(),
            vhost,
            user,
            received: None,
            routes: Routes::default(),
            straights: Straights::default(),
            alike: 0,
            slots: Vec::new(),
            slot_of: HashMap::default(),
            active: Vec::new(),
            owned: Vec::new(),
            routed: Routed::default(),
            collected: 0,
            references: 0,
            traffic: Gathered::default(),
            expiring: false,
            asking: Vec::new(),
            waiting: None,
            answered: Vec::new(),
            delayed: false,
            asked_plugins: false,
            slow: false,
            deaths: 0,
            journey: Journey::default(),
            refusing: Vec::new(),
            touched: Touched::default(),
            flushed: Flushed::default(),
            deduplicating: Deduplicating::default(),
        }
    }

    /// What is published from now on is somebody else's, and was received at another time.
    pub(super) fn speak_for(&mut self, source: Source<'_>) {
        if *self.user != *source.user {
            self.user = source.user.into();
        }
        self.received = Some(source.received);
    }

    /// When what is published now was received, in milliseconds since 1970.
    fn received_ms(&self) -> u64 {
        self.received.unwrap_or_else(now_ms)
    }

    /// To be called between batches: forgets routes if the topology has changed.
    pub(super) fn refresh(&mut self) {
        let generation = self.vhost.generation();
        if self.generation != generation || self.slots.len() > known::ROUTES_MAX {
            debug_assert!(
                self.active.is_empty() && self.refusing.is_empty() && self.waiting.is_none(),
                "collected messages are flushed first"
            );
            self.generation = generation;
            self.routes.clear();
            self.straights.clear();
            self.traffic.forget();
            self.slots.clear();
            self.slot_of.clear();
            self.asking.clear();
        }
    }

    /// Whether enough has been collected.
    pub(super) fn is_due(&self) -> bool {
        self.collected >= FLUSH_BYTES && self.active.len() <= FEW_QUEUES
            || self.references >= REFERENCES_MAX
    }

    /// How many more messages of this cost may be collected, each for so many queues, until [`Ingress::is_due`].
    fn room(&self, cost: usize, queues: usize) -> usize {
        let references = REFERENCES_MAX.saturating_sub(self.references);
        let by_references = references.div_ceil(queues.max(1));
        if self.active.len() > FEW_QUEUES {
            return by_references;
        }
        let bytes = FLUSH_BYTES.saturating_sub(self.collected);
        by_references.min(bytes.div_ceil(cost))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
            && self.touched.is_empty()
            && self.traffic.is_empty()
            && self.owned.is_empty()
            && !self.asked_plugins
            && self.refusing.is_empty()
            && self.deduplicating.is_empty()
    }

    /// Collects a message whose way is known: see [`Ingress::collect`].
    fn collect_resolved(
        &mut self,
        buffer: &[u8],
        content: Content<'_>,
        ticket: Ticket,
    ) -> Result<Outcome, Exception> {
        if let Some(waiting) = self.waiting
            && !matches!(self.routes.last.to, To::Asking(index) if index == waiting)
        {
            self.answer_before(buffer);
        }
        match &self.routes.last.to {
            To::Slots(slots) => {
                let count = slots.len();
                self.traffic.count(self.routes.last.exchange, 1, count);
                if count == 0 {
                    return Ok(Outcome::Unroutable);
                }
                let message = self.refer(buffer, content);
                self.add(message);
                Ok(Outcome::Routed)
            }
            To::PerMessage | To::Chained(_) | To::Remembered(..) => {
                Ok(self.collect_each(buffer, content))
            }
            To::Asking(index) => self.ask(*index, buffer, content, ticket),
            To::Chain(chain) => {
                let chain = Arc::clone(chain);
                Ok(self.pass(&chain, content.into(), buffer))
            }
            To::Failed(failures) => {
                let (failures, message) = (Arc::clone(failures), content.clone().into());
                let outcome = self.collect_each(buffer, content);
                Ok(self.give_up_each(&failures, outcome, &message, buffer))
            }
        }
    }

    /// The message where it lies, or among the owned ones.
    fn refer(&mut self, buffer: &[u8], content: Content<'_>) -> MessageRef {
        let persistent = special::is_persistent(content.properties());
        self.expiring |= special::expires(content.properties());
        match content {
            Content::Inline {
                target,
                properties,
                body,
            } if body.len() < SHARED_BODY_MIN => {
                MessageRef::within(buffer, target, properties, body, persistent)
            }
            content => self.own(Owned::from(content)),
        }
    }

    fn own(&mut self, message: Owned) -> MessageRef {
        let persistent = special::is_persistent(&message.properties);
        self.expiring |= special::expires(&message.properties);
        let reference = MessageRef::owned(self.owned.len(), &message, persistent);
        self.owned.push(message);
        reference
    }

    /// The way of most messages.
    #[inline]
    fn add(&mut self, message: MessageRef) {
        let bytes = message.cost();
        self.collected += bytes;
        if let To::Slots(slots) = &self.routes.last.to {
            self.references += slots.len();
            for &slot in slots {
                push(&mut self.slots, &mut self.active, slot, message, bytes);
            }
        }
    }
}

pub(super) fn names(target: &[u8]) -> Result<(&str, &str), Exception> {
    split_target(target).map_err(|error| ConnectionException::frame_error(error.to_string()).into())
}

/// The part of a target that names the exchange: its length, and as many octets.
fn exchange_of(target: &[u8]) -> &[u8] {
    let length = target.first().map_or(0, |length| 1 + usize::from(*length));
    target.get(..length).unwrap_or(target)
}
