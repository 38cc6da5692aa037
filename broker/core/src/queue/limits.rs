//! How long a queue may become, and what gives way when it is longer: `x-max-length`, `x-max-length-bytes`, `x-overflow`.
//!
//! Only what is ready counts, as in RabbitMQ. A queue that refuses messages also counts what it keeps to itself for now.

use crate::queue_arguments::{Overflow, QueueArguments};

use super::death::DeathReason;
use super::log::At;
use super::{Effects, GIVEN_UP_MAX, Queue};

#[derive(Debug, Default)]
pub(super) struct Limits {
    length: Option<u64>,
    bytes: Option<u64>,
    overflow: Overflow,
}

impl Limits {
    pub(super) fn configure(&mut self, arguments: &QueueArguments) {
        self.length = arguments.max_length;
        self.bytes = arguments.max_length_bytes;
        self.overflow = arguments.overflow;
    }

    fn is_none(&self) -> bool {
        self.length.is_none() && self.bytes.is_none()
    }
}

/// How much a queue takes before it refuses messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Messages.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

impl Space {
    /// No limit.
    pub const ENDLESS: Self = Self {
        messages: u64::MAX,
        bytes: u64::MAX,
    };
}

impl<C> Queue<C> {
    /// What the queue takes before it refuses messages; [`Space::ENDLESS`] for a queue that takes all and lets older ones go.
    pub fn space(&self) -> Space {
        if self.limits.overflow == Overflow::DropHead {
            return Space::ENDLESS;
        }
        let left = |limit: Option<u64>, used: u64| {
            limit.map_or(u64::MAX, |limit| limit.saturating_sub(used))
        };
        // What waits for its next attempt is ready again some day. Publishers must not fill the queue with more of its kind meanwhile.
        let mut messages = self.ready + self.returns.due.len() as u64;
        let mut bytes = self.ready_bytes + self.returns.due_bytes;
        if self.deaths.lasting {
            // They stay until they can be published.
            messages += self.deaths.count() as u64;
            bytes += self.deaths.bytes;
        }
        Space {
            messages: left(self.limits.length, messages),
            bytes: left(self.limits.bytes, bytes),
        }
    }

    /// A publisher's message was refused because the queue is full.
    pub fn refused(&mut self, count: u64) {
        self.counters.refused += count;
    }

    /// Whether what comes back to a queue that is full lets the oldest go before anything is delivered: in a classic queue, as in RabbitMQ. A quorum
    /// queue delivers first.
    pub fn trims_returns(&self) -> bool {
        !self.limits.is_none() && self.limits.overflow == Overflow::DropHead && !self.keeps_all
    }

    /// Lets messages at the head go until the queue is as short as it may be; if that is much, only some of them. One that is away goes
    /// when it is back.
    pub(super) fn trim(&mut self) -> Effects {
        let mut effects = Effects::default();
        if self.limits.is_none() || self.limits.overflow != Overflow::DropHead {
            return effects;
        }
        let mut given_up = 0;
        while self.is_too_long() {
            if given_up == GIVEN_UP_MAX {
                effects.more = true;
                break;
            }
            given_up += 1;
            let Some(position) = self.next_ready() else {
                break;
            };
            let bytes = match self.log.at(position) {
                At::Message { message, .. } => message.body.len(),
                At::Away => return effects.and(self.want(position)),
                At::Settled => break,
            };
            effects = effects.and(self.discard(position, bytes, DeathReason::MaxLength));
        }
        effects
    }

    fn is_too_long(&self) -> bool {
        self.limits.length.is_some_and(|max| self.ready > max)
            || self.limits.bytes.is_some_and(|max| self.ready_bytes > max)
    }
}
