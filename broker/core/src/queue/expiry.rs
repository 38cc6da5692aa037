//! The end of a message's time, and of the queue's own.
//!
//! The core has no clock: whoever owns a queue that [keeps time](Queue::keeps_time) says what time it is before changing
//! it. Messages expire at the head only, as in RabbitMQ: one behind a message that lives longer waits for its turn.

use std::time::Duration;

use amphora_protocol::wire::properties::RawProperties;

use crate::queue_arguments::QueueArguments;
use crate::store::Position;

use super::levels::Levels;
use super::log::{At, Log};
use super::{Effects, Queue};

/// The property flag of `expiration`.
const EXPIRATION: u16 = 1 << 8;

/// Times are in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    now: u64,
    /// `x-message-ttl`, in milliseconds.
    ttl: Option<u64>,
    /// `x-expires`, in milliseconds.
    lease: Option<u64>,
    /// When the queue was used last.
    used: u64,
    /// Some of the messages may expire: the others' heads are never looked at.
    pub(super) messages: bool,
}

/// Why the queue itself settles a message that is ready.
#[derive(Clone, Copy, Debug)]
enum Reason {
    Expired,
}

impl<C> Queue<C> {
    /// Takes over what the arguments say. To be called once, before anything else happens.
    pub fn configure(&mut self, arguments: &QueueArguments) {
        self.expiry.ttl = arguments.message_ttl.map(millis);
        self.expiry.lease = arguments.expires.map(millis);
        self.expiry.messages = self.expiry.ttl.is_some();
        if let Some(max) = arguments.max_priority.filter(|&max| max > 0) {
            self.levels = Some(Box::new(Levels::new(max, &self.log)));
            self.head = self.log.tail();
        }
    }

    /// Whether it must be [told the time](Self::tell_time) before a change, and [`expire`](Self::expire) is due after it.
    /// A message with an expiration makes any queue keep time, from its publish on.
    pub fn keeps_time(&self) -> bool {
        self.expiry.messages || self.expiry.lease.is_some()
    }

    /// Says what time it is, in milliseconds since the Unix epoch.
    pub fn tell_time(&mut self, now: u64) {
        self.expiry.now = now;
    }

    /// The time that it was told last.
    pub fn time(&self) -> u64 {
        self.expiry.now
    }

    /// The queue is in use: `x-expires` counts from now on. basic.get and consumers do so by themselves.
    pub fn renew(&mut self) {
        self.expiry.used = self.expiry.now;
    }

    /// Whether nobody has used it for as long as `x-expires` says.
    pub fn is_abandoned(&self) -> bool {
        self.lease_end().is_some_and(|end| end <= self.expiry.now)
    }

    /// Settles what has expired at the head. A message whose time to live is 0 has had its chance when `dispatch` has run.
    pub fn expire(&mut self) -> Effects {
        let mut effects = Effects::default();
        while let Some(position) = self.expiring_head() {
            let (bytes, expires_at) = match self.log.at(position) {
                At::Message { message, .. } => (message.body.len(), self.log.expires_at(position)),
                At::Away => return effects.and(self.want(position)),
                At::Settled => break,
            };
            if expires_at.is_none_or(|at| at > self.expiry.now) {
                break;
            }
            self.discard(position, bytes, Reason::Expired);
            effects.settle = self.durable;
        }
        effects
    }

    /// When there is something to do if nothing happens before: the head expires, or the queue.
    pub fn deadline(&mut self) -> Option<u64> {
        let head = self.expiring_head();
        let message = head.and_then(|position| self.log.expires_at(position));
        [message, self.lease_end()].into_iter().flatten().min()
    }

    /// When a message expires that is published now: the shorter of its own time to live and the queue's counts.
    pub(super) fn expiry_of(&mut self, properties: &[u8]) -> Option<u64> {
        let flags = properties.first_chunk().copied();
        let has_own = flags.is_some_and(|flags| u16::from_be_bytes(flags) & EXPIRATION != 0);
        if self.expiry.ttl.is_none() && !has_own {
            return None;
        }
        let own = has_own.then(|| own_ttl(properties)).flatten();
        let ttl = [own, self.expiry.ttl].into_iter().flatten().min()?;
        self.expiry.messages = true;
        Some(self.expiry.now.saturating_add(ttl))
    }

    /// Settles the ready message at `position`, of `bytes`, if its time was over before this moment.
    pub(super) fn discard_if_overdue(&mut self, position: Position, bytes: usize) -> bool {
        let overdue = self.expiry.messages
            && self
                .log
                .expires_at(position)
                .is_some_and(|at| at < self.expiry.now);
        if overdue {
            self.discard(position, bytes, Reason::Expired);
        }
        overdue
    }

    /// The next message to go out, if it may be one that expires.
    fn expiring_head(&mut self) -> Option<Position> {
        if !self.expiry.messages || self.ready == 0 {
            return None;
        }
        self.next_ready()
    }

    fn lease_end(&self) -> Option<u64> {
        let lease = self.expiry.lease.filter(|_| self.consumers.len() == 0)?;
        Some(self.expiry.used.saturating_add(lease))
    }

    /// Every ready message that the queue settles on its own account goes this way.
    fn discard(&mut self, position: Position, bytes: usize, reason: Reason) {
        match reason {
            Reason::Expired => self.counters.expired += 1,
        }
        self.take_ready(position, bytes);
        self.log.settle(position);
    }
}

impl Log {
    /// When the message at `position` expires, if it does and is in memory.
    pub(super) fn expires_at(&self, position: Position) -> Option<u64> {
        let segment = self.find(position).and_then(|at| self.segments.get(at))?;
        segment.block.as_ref()?.expires_at(segment.index(position))
    }
}

/// The message's `expiration`; the publisher was refused if it is no number.
fn own_ttl(properties: &[u8]) -> Option<u64> {
    let properties = RawProperties::new(properties).ok()?;
    properties.expiration().ok()??.parse().ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
