//! The end of a message's time, and of the queue's own.
//!
//! The core has no clock: whoever owns a queue that [keeps time](Queue::keeps_time) says what time it is before changing
//! it. Messages expire at the head only, as in RabbitMQ: one behind a message that lives longer waits for its turn.

use amphora_protocol::wire::properties::{RawProperties, flag};

use crate::store::Position;

use super::death::DeathReason;
use super::log::{At, Log};
use super::{Effects, GIVEN_UP_MAX, Queue};

/// Times are in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    pub(super) now: u64,
    /// `x-message-ttl`, in milliseconds.
    pub(super) ttl: Option<u64>,
    /// `x-expires`, in milliseconds.
    pub(super) lease: Option<u64>,
    /// When the queue was used last.
    used: u64,
    /// What messages say of their own time to live does not count.
    own_ignored: bool,
    /// Some of the messages may expire: the others' heads are never looked at.
    pub(super) messages: bool,
}

impl Expiry {
    /// Whether the time of a message that expires then was over before this moment.
    pub(super) fn is_over(&self, expires_at: Option<u64>) -> bool {
        self.messages && expires_at.is_some_and(|at| at < self.now)
    }

    /// Whether a message that is published with these properties has a time to live of its own that counts.
    pub(super) fn has_own(&self, properties: &[u8]) -> bool {
        let flags = properties.first_chunk().copied();
        !self.own_ignored
            && flags.is_some_and(|flags| u16::from_be_bytes(flags) & flag::EXPIRATION != 0)
    }
}

impl<C> Queue<C> {
    /// Whether it must be [told the time](Self::tell_time) before a change, and [`expire`](Self::expire) is due after it.
    /// A message with an expiration makes any queue keep time, from its publish on.
    pub fn keeps_time(&self) -> bool {
        self.expiry.messages || self.expiry.lease.is_some() || self.returns.keeps_time()
    }

    /// Says what time it is, in milliseconds since the Unix epoch.
    pub fn tell_time(&mut self, now: u64) {
        self.expiry.now = now;
    }

    /// From now on, messages stay whatever their `expiration` says.
    pub fn ignore_expirations(&mut self) {
        self.expiry.own_ignored = true;
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

    /// Gives up what has expired at the head; if that is much, only a part of it, and [`Queue::deadline`] is over then. A message
    /// whose time to live is 0 has had its chance when `dispatch` has run.
    pub fn expire(&mut self) -> Effects {
        let mut effects = Effects::default();
        let mut given_up = 0;
        while let Some(position) = self.expiring_head() {
            let (bytes, expires_at) = match self.log.at(position) {
                At::Message {
                    message,
                    expires_at,
                    ..
                } => (message.body.len(), expires_at),
                At::Away => return effects.and(self.want(position)),
                At::Settled => break,
            };
            let is_over = expires_at.is_some_and(|at| at <= self.expiry.now);
            if !is_over || given_up == GIVEN_UP_MAX {
                break;
            }
            given_up += 1;
            effects = effects.and(self.discard(position, bytes, DeathReason::Expired));
        }
        effects
    }

    /// When there is something to do if nothing happens before: the head expires, or the queue, or a message's next attempt is
    /// due.
    pub fn deadline(&mut self) -> Option<u64> {
        let head = self.expiring_head();
        let message = head.and_then(|position| self.log.expires_at(position));
        let retry = self.returns.deadline();
        [message, self.lease_end(), retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// When a message expires that is published now: the shorter of its own time to live and the queue's counts.
    pub(super) fn expiry_of(&mut self, properties: &[u8]) -> Option<u64> {
        let has_own = self.expiry.has_own(properties);
        if self.expiry.ttl.is_none() && !has_own {
            return None;
        }
        let own = has_own.then(|| own_ttl(properties)).flatten();
        let ttl = [own, self.expiry.ttl].into_iter().flatten().min()?;
        self.expiry.messages = true;
        Some(self.expiry.now.saturating_add(ttl))
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
