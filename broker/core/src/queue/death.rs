//! Messages that the queue gives up: on their way to the dead-letter exchange, or gone.
//!
//! A queue with a dead-letter exchange keeps such a message, ready for nobody, until its owner has published it there and
//! [buries](Queue::bury) it. So one that has died is never lost: after a crash it is still dying, as far as the store had learnt of it, or
//! dies again.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::message::Message;
use crate::queue_arguments::QueueArguments;
use crate::store::Position;

use super::log::At;
use super::{Effects, Held, Queue};

/// Why a queue gives a message up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeathReason {
    /// A consumer rejected it without requeue.
    Rejected,
    /// Its time to live is over.
    Expired,
    /// The queue was too long.
    MaxLength,
    /// It was delivered in vain too often.
    DeliveryLimit,
}

impl DeathReason {
    /// As RabbitMQ's `x-death` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }

    /// The number under which it is stored, from 1 on.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Rejected => 1,
            Self::Expired => 2,
            Self::MaxLength => 3,
            Self::DeliveryLimit => 4,
        }
    }

    pub(super) fn numbered(number: u8) -> Option<Self> {
        let all = [
            Self::Rejected,
            Self::Expired,
            Self::MaxLength,
            Self::DeliveryLimit,
        ];
        all.into_iter().find(|reason| reason.number() == number)
    }
}

/// What became of a dying message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burial {
    /// It is where dead letters go, or nobody wants it.
    Done,
    /// It could not be published now, and must not be lost: it is held up.
    Later,
}

/// Why a look at the dying ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There are no more that are not held up, or these were enough.
    End,
    /// The next one must be read back first: look again when [`Queue::page_in`] has been called.
    Away,
}

#[derive(Debug, Default)]
pub(super) struct Deaths {
    /// There is a dead-letter exchange.
    wanted: bool,
    /// Dead letters that cannot be published stay, and count as what the queue holds.
    pub(super) lasting: bool,
    /// In the order of their deaths.
    dying: VecDeque<Position>,
    /// The first so many were tried, and could not be published.
    held_up: usize,
    /// Why, and how many bytes the body has.
    reasons: BTreeMap<Position, (DeathReason, u64)>,
    /// The bodies of all that are dying, in bytes.
    pub(super) bytes: u64,
}

impl Deaths {
    pub(super) fn configure(&mut self, arguments: &QueueArguments) {
        self.wanted = arguments.dead_letter_exchange.is_some();
        self.lasting = arguments.keeps_dead_letters();
    }

    /// A message with a body of `bytes` is dying.
    pub(super) fn add(&mut self, position: Position, reason: DeathReason, bytes: u64) {
        self.dying.push_back(position);
        self.reasons.insert(position, (reason, bytes));
        self.bytes += bytes;
    }

    /// Why the message is dying, if it is.
    pub(super) fn reason(&self, position: Position) -> Option<DeathReason> {
        self.reasons.get(&position).map(|&(reason, _)| reason)
    }

    pub(super) fn count(&self) -> usize {
        self.dying.len()
    }

    /// All that are dying, in the order of their deaths.
    #[cfg(test)]
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.dying.iter().copied()
    }

    /// How many of the dying are in a stretch of the log that is lost; they are forgotten.
    pub(super) fn forget(&mut self, positions: &Range<Position>) -> u64 {
        let before = self.dying.len();
        let held_up = self.dying.iter().take(self.held_up);
        self.held_up = held_up.filter(|at| !positions.contains(at)).count();
        self.dying.retain(|position| !positions.contains(position));
        let bytes = &mut self.bytes;
        self.reasons.retain(|position, &mut (_, body)| {
            let stays = !positions.contains(position);
            *bytes -= if stays { 0 } else { body };
            stays
        });
        (before - self.dying.len()) as u64
    }
}

impl<C> Queue<C> {
    /// Gives up messages that were delivered: a consumer rejected them without requeue. Dispatch is due afterwards if the
    /// consumer had a prefetch.
    pub fn reject(&mut self, held: Held<'_>) -> Effects {
        if self.returns.retries_all() {
            return self.requeue(held, super::Return::Rejected);
        }
        let mut effects = Effects::default();
        for &position in held.positions {
            if matches!(self.log.at(position), At::Settled) {
                continue;
            }
            self.unacked = self.unacked.saturating_sub(1);
            effects = effects.and(self.die(position, DeathReason::Rejected));
        }
        self.release(held);
        effects
    }

    /// Messages that are on their way to the dead-letter exchange.
    pub fn dying_count(&self) -> usize {
        self.deaths.count()
    }

    /// Those of them that could not be published when it was tried last.
    pub fn held_up_count(&self) -> usize {
        self.deaths.held_up
    }

    /// Shows the first of the dying that are not held up, at most `max`, in the order of their deaths, to `look`: each is to be published, and
    /// [buried](Queue::bury) then. Stops before one that must be read back first, and says whether it did. One that is not there any
    /// more is shown as nothing.
    pub fn dying(
        &mut self,
        max: usize,
        mut look: impl FnMut(Position, DeathReason, Option<Message<'_>>),
    ) -> (Stop, Effects) {
        let mut shown = 0;
        while shown < max
            && let Some(&position) = self.deaths.dying.get(self.deaths.held_up + shown)
            && let Some(reason) = self.deaths.reason(position)
        {
            match self.log.at(position) {
                At::Message { message, .. } => look(position, reason, Some(message)),
                At::Settled => look(position, reason, None),
                At::Away => return (Stop::Away, self.want(position)),
            }
            shown += 1;
        }
        (Stop::End, Effects::default())
    }

    /// Says what became of those that were shown last, or of the first of them, in their order. One that was lost meanwhile is passed
    /// over. Those that come later keep their places, and are not shown before [`Queue::try_again`].
    pub fn bury(&mut self, burials: impl IntoIterator<Item = (Position, Burial)>) -> Effects {
        for (position, burial) in burials {
            let deaths = &mut self.deaths;
            if deaths.dying.get(deaths.held_up) != Some(&position) {
                continue;
            }
            match burial {
                Burial::Done => {
                    deaths.dying.remove(deaths.held_up);
                    let body = deaths.reasons.remove(&position).map(|(_, bytes)| bytes);
                    deaths.bytes -= body.unwrap_or(0);
                    self.forget_attempts(&[position]);
                    self.log.settle(position);
                    self.counters.dead_lettered += 1;
                }
                Burial::Later => deaths.held_up += 1,
            }
        }
        Effects {
            settle: self.durable,
            ..Effects::default()
        }
    }

    /// What is held up is shown again: it may be published now.
    pub fn try_again(&mut self) {
        self.deaths.held_up = 0;
    }

    /// Gives up the ready message at `position`, of `bytes`.
    pub(super) fn discard(
        &mut self,
        position: Position,
        bytes: usize,
        reason: DeathReason,
    ) -> Effects {
        self.take_ready(position, bytes);
        self.die(position, reason)
    }

    /// Every message that the queue gives up goes this way. It is neither ready nor held by a consumer any more.
    pub(super) fn die(&mut self, position: Position, reason: DeathReason) -> Effects {
        let counters = &mut self.counters;
        let counter = match reason {
            DeathReason::Rejected => &mut counters.rejected,
            DeathReason::Expired => &mut counters.expired,
            DeathReason::MaxLength => &mut counters.dropped,
            DeathReason::DeliveryLimit => &mut counters.exhausted,
        };
        *counter += 1;
        if self.deaths.wanted {
            let bytes = self.log.body_len(position);
            self.deaths.add(position, reason, bytes);
            self.log.note_changed(position);
        } else {
            self.forget_attempts(&[position]);
            self.log.settle(position);
        }
        Effects {
            settle: self.durable,
            bury: self.deaths.wanted,
            ..Effects::default()
        }
    }
}
