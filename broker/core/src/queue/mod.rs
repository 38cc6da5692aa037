//! A queue: its log, what of it is ready, who consumes it.
//!
//! One value of this type is one queue's whole state; its methods take it exclusively, a clock nowhere. Whatever makes
//! a message deliverable ends in [`Queue::dispatch`], the only place that gives messages to consumers.

pub(crate) mod block;
pub(crate) mod bodies;
mod configure;
mod consumers;
mod contents;
mod counters;
pub(crate) mod cutter;
mod death;
mod dispatch;
mod expiry;
mod get;
mod holding;
mod levels;
mod limits;
pub(crate) mod log;
mod paging;
mod parts;
mod persist;
mod purge;
pub(crate) mod record;
pub(crate) mod recovery;
mod refill;
mod returns;
mod runs;
mod segment;
mod settlement;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::message::{Batch, Delivery, Message};
use crate::store::{Position, QueueId};

pub use bodies::Records;
pub use consumers::{Accepted, Consumer, ConsumerKey, ConsumerOptions, Held, Room};
pub use contents::Contents;
pub use counters::Counters;
pub use death::{Burial, DeathReason, Stop};
pub use get::Get;
pub use holding::Found;
pub use limits::Space;
pub use paging::{PageIn, RecordData};
pub(crate) use persist::TAKEN_BYTES;
pub use persist::Taking;
pub use record::read_record;
pub use recovery::{RecoveryError, recover};
pub use returns::{Attempts, Return};

use consumers::Consumers;
use log::Log;

/// Where a queue's deliveries go. Implemented by whoever owns the connections; `C` is its handle on one.
pub trait Sink<C> {
    /// What the consumer's connection takes now. An estimate is good enough.
    fn room(&mut self, consumer: &Consumer<C>) -> Room;

    /// Gives a consumer its messages; says how many of them were taken.
    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<C>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted;

    /// The queue has messages for the consumer, whose connection had no room. Returns false if it has room after all;
    /// otherwise the queue must be dispatched again when there is.
    fn starve(&mut self, consumer: &Consumer<C>) -> bool;
}

/// What a change of the queue asks of its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Something must become durable before a publisher may be told: [`Queue::take_commit`] is due at once.
    pub commit: bool,
    /// Something changed that the store should learn of when it is convenient.
    pub settle: bool,
    /// Messages must be read back: see [`Queue::take_wanted`].
    pub page_in: bool,
    /// Messages died and are to be published: see [`Queue::dying`].
    pub bury: bool,
    /// There is more to be given up than in one go: [`Queue::dispatch`] is due again, after others had their turn.
    pub more: bool,
}

impl Effects {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            commit: self.commit | other.commit,
            settle: self.settle | other.settle,
            page_in: self.page_in | other.page_in,
            bury: self.bury | other.bury,
            more: self.more | other.more,
        }
    }
}

/// Messages that are given up in one go: a million of them must not keep the queue's lock.
const GIVEN_UP_MAX: usize = if cfg!(test) { 5 } else { 4096 };

/// One queue's state, for consumers on connections `C`.
#[derive(Debug)]
pub struct Queue<C> {
    id: QueueId,
    durable: bool,
    log: Log,
    /// Everything below was delivered at least once, or is settled, or is in `returned`. From here on, all that is live is ready, but for
    /// what is [set aside](Self::is_aside).
    head: Position,
    /// Nothing is set aside from here on: only a restart sets aside what is ahead of the head.
    aside_to: Position,
    /// Delivered before and ready again.
    returned: BTreeSet<Position>,
    /// Only if the queue has priorities; `returned` is empty then.
    levels: Option<Box<levels::Levels>>,
    ready: u64,
    /// The bodies of the ready messages, in bytes.
    ready_bytes: u64,
    unacked: u64,
    consumers: Consumers<C>,
    counters: Counters,
    wanted: Vec<PageIn>,
    persist: persist::Progress,
    expiry: expiry::Expiry,
    limits: limits::Limits,
    deaths: death::Deaths,
    returns: returns::Returns,
    exclusive_consumer: bool,
    /// Every message is persistent, as in a quorum queue.
    keeps_all: bool,
    /// Nothing is delivered to consumers.
    paused: bool,
}

impl<C> Queue<C> {
    /// An empty queue.
    pub fn new(id: QueueId, durable: bool) -> Self {
        Self {
            id,
            durable,
            log: Log::new(durable),
            head: 0,
            aside_to: 0,
            returned: BTreeSet::new(),
            levels: None,
            ready: 0,
            ready_bytes: 0,
            unacked: 0,
            consumers: Consumers::default(),
            counters: Counters::default(),
            wanted: Vec::new(),
            persist: persist::Progress::default(),
            expiry: expiry::Expiry::default(),
            limits: limits::Limits::default(),
            deaths: death::Deaths::default(),
            returns: returns::Returns::default(),
            exclusive_consumer: false,
            keeps_all: false,
            paused: false,
        }
    }

    /// Its identity in the store.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Messages that wait for a consumer. Spec: `message-count`.
    pub fn ready_count(&self) -> u64 {
        self.ready
    }

    /// Messages that were delivered and are not settled.
    pub fn unacked_count(&self) -> u64 {
        self.unacked
    }

    /// Spec: `consumer-count`.
    pub fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// The consumers.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer<C>> {
        self.consumers.iter()
    }

    /// Figures since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether a consumer demanded to be alone.
    pub fn has_exclusive_consumer(&self) -> bool {
        self.exclusive_consumer
    }

    /// Stops deliveries to consumers, or lets them go on; dispatch is due then. basic.get goes on either way, and so does
    /// publishing. A durable queue stays paused across restarts.
    pub fn set_paused(&mut self, paused: bool) -> Effects {
        self.paused = paused;
        Effects {
            settle: self.durable,
            ..Effects::default()
        }
    }

    /// Whether deliveries to consumers have been stopped.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether only one consumer gets messages at a time: `x-single-active-consumer`.
    pub fn has_single_active_consumer(&self) -> bool {
        self.consumers.is_single()
    }

    /// Whether a consumer gets messages now, as far as `x-single-active-consumer` is concerned.
    pub fn is_active(&self, key: ConsumerKey) -> bool {
        let active = self.consumers.active();
        active.is_none_or(|active| active.key == key)
    }

    /// Bytes of memory that its messages hold.
    pub fn memory(&self) -> usize {
        self.log.memory()
    }

    /// Puts messages at the tail and delivers what can be delivered.
    pub fn publish<B: Batch, S: Sink<C>>(&mut self, batch: &B, sink: &mut S) -> Effects {
        self.counters.published += batch.len() as u64;
        let mut persistent = false;
        let mut index = self.deliver_directly(batch, sink, |queue, index| {
            persistent |= queue.append(batch.message(index));
        });
        while index < batch.len() {
            let run = self.append_run(batch, index..batch.len());
            persistent |= run.persistent > 0;
            index += run.count as usize;
            if run.count == 0 {
                persistent |= self.append(batch.message(index));
                index += 1;
            }
        }
        if self.ready == 0 {
            return Effects::default();
        }
        self.dispatch(sink).and(Effects {
            commit: persistent,
            ..Effects::default()
        })
    }

    /// A message as it is in this queue: persistent if it survives a restart.
    fn kept<'m>(&self) -> impl Fn(Message<'m>) -> Message<'m> + use<'m, C> {
        let (durable, all) = (self.durable, self.keeps_all);
        move |message| Message {
            persistent: durable && (all || message.persistent),
            ..message
        }
    }

    /// Puts a message at the tail. Returns whether it must become durable.
    fn append(&mut self, message: Message<'_>) -> bool {
        let message = self.kept()(message);
        let expires_at = self.expiry_of(message.properties);
        let level = self.enlist(message.properties);
        self.log.append(&message, level, expires_at);
        self.ready += 1;
        self.ready_bytes += message.body.len() as u64;
        message.persistent
    }

    /// Admits a consumer; the caller has checked that it may. Messages follow with the next dispatch.
    pub fn consume(&mut self, connection: C, options: ConsumerOptions) -> ConsumerKey {
        self.exclusive_consumer |= options.exclusive;
        self.consumers.add(connection, options)
    }

    /// Lets a consumer go. What it holds stays held: by its channel. Dispatch is due afterwards: another may take its place.
    pub fn cancel(&mut self, key: ConsumerKey) -> Option<C> {
        let consumer = self.consumers.remove(key)?;
        self.renew();
        if consumer.options.exclusive {
            self.exclusive_consumer = false;
        }
        Some(consumer.connection)
    }

    /// Settles messages that were delivered. Dispatch is due afterwards if the consumer had a prefetch.
    pub fn settle(&mut self, held: Held<'_>) -> Effects {
        let settled = self.log.settle_all(held.positions);
        self.forget_attempts(held.positions);
        self.unacked = self.unacked.saturating_sub(settled);
        self.counters.acked += settled;
        self.release(held);
        Effects {
            settle: self.durable,
            ..Effects::default()
        }
    }

    /// Looks at a message again that was taken and is not settled; [`Get::Empty`] if it is settled.
    pub fn held<R>(
        &mut self,
        position: Position,
        look: impl FnOnce(Message<'_>) -> R,
    ) -> (Get<R>, Effects) {
        match self.log.at(position) {
            log::At::Message { message, .. } => (Get::Message(look(message)), Effects::default()),
            log::At::Away => (Get::Away, self.want(position)),
            log::At::Settled => (Get::Empty, Effects::default()),
        }
    }

    /// The next message to go out: one that came back, else the head.
    fn next_ready(&mut self) -> Option<Position> {
        if self.ready == 0 {
            return None;
        }
        if let Some(levels) = &self.levels {
            return levels.first(&self.log);
        }
        if let Some(&position) = self.returned.first() {
            return Some(position);
        }
        self.head = self.log.next_live(self.head);
        while self.head < self.aside_to && self.is_aside(self.head) {
            self.head = self.log.next_live(self.head + 1);
        }
        (self.head < self.log.tail()).then_some(self.head)
    }

    /// Whether a live message is ready for nobody, and held by nobody: it is dying, or waits for its next attempt.
    fn is_aside(&self, position: Position) -> bool {
        self.deaths.reason(position).is_some() || self.returns.waits(position)
    }

    /// What is ready from the head on, in a stretch of the log.
    fn ready_ahead(&self, positions: Range<Position>) -> impl Iterator<Item = Position> {
        let ahead = positions.start.max(self.head)..positions.end;
        ahead.filter(|&position| {
            let aside = position < self.aside_to && self.is_aside(position);
            !aside && !matches!(self.log.at(position), log::At::Settled)
        })
    }

    /// A ready message with a body of `bytes` is ready no more.
    fn take_ready(&mut self, position: Position, bytes: usize) {
        if let Some(levels) = &mut self.levels {
            levels.remove(position);
        } else if position == self.head {
            self.head += 1;
        } else {
            self.returned.remove(&position);
        }
        self.persist.delivered_to = self.persist.delivered_to.max(position + 1);
        self.ready -= 1;
        self.ready_bytes = self.ready_bytes.saturating_sub(bytes as u64);
    }

    fn release(&mut self, held: Held<'_>) {
        if let Some(consumer) = held.consumer {
            let count = u32::try_from(held.positions.len()).unwrap_or(u32::MAX);
            self.consumers.credit(consumer, count);
        }
    }
}
