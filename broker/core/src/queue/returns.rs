//! What comes back: requeued at its place, at once or after a while, and so often at most.
//!
//! A queue with a delivery limit or retries counts for each message how often it came back; others pay a branch.

use std::collections::BTreeMap;

use crate::queue_arguments::{
    DelayedRetry, DelayedRetryType, QueueArguments, QueueType, Retry, RetryOn,
};
use crate::store::Position;

use super::block::{REDELIVERED, SETTLED};
use super::configure::millis;
use super::death::DeathReason;
use super::log::At;
use super::{Effects, Held, Queue};

/// Why a message comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// basic.reject
    Rejected,
    /// basic.nack or basic.recover, or the consumer held it for too long
    Nacked,
    /// The channel or connection ended.
    Lost,
    /// It was fetched to be looked at. This counts as nothing, and leaves the mark of a delivery.
    Peeked,
    /// It was only looked at. This leaves no trace.
    Browsed,
}

/// How often a message came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Deliveries that failed, as the delivery limit counts them: `x-delivery-count`.
    pub failed: u32,
    /// Deliveries in all: `x-acquired-count`.
    pub acquired: u32,
    /// When the message is ready again, in milliseconds since the Unix epoch.
    pub due: u64,
}

#[derive(Debug, Default)]
pub(super) struct Returns {
    /// `x-delivery-limit`
    limit: Option<u64>,
    retry: Option<Retry>,
    delayed: Option<DelayedRetry>,
    /// As a quorum queue does: basic.nack is no failure.
    forgiving: bool,
    counting: bool,
    pub(super) attempts: BTreeMap<Position, Attempts>,
    /// Those that wait for their time, by time, and the lengths of their bodies. They are ready for nobody.
    pub(super) due: BTreeMap<(u64, Position), u32>,
    /// The bodies of all that wait, in bytes.
    pub(super) due_bytes: u64,
}

impl Returns {
    pub(super) fn configure(&mut self, arguments: &QueueArguments) {
        self.limit = arguments.delivery_limit;
        self.retry = arguments.retry;
        self.delayed = arguments.delayed_retry;
        self.forgiving = arguments.queue_type == QueueType::Quorum && self.retry.is_none();
        self.counting = self.limit.is_some()
            || self.retry.is_some()
            || self.delayed.is_some()
            || arguments.queue_type == QueueType::Quorum;
    }

    /// Takes over what was counted for a message before a restart. One that may have waited then waits until [`Queue::wake`].
    /// `waits` is the length of its body.
    pub(super) fn recover(&mut self, position: Position, attempts: Attempts, waits: Option<u32>) {
        self.attempts.insert(position, attempts);
        if let Some(bytes) = waits {
            self.wait(attempts.due, position, bytes);
        }
    }

    fn wait(&mut self, due: u64, position: Position, bytes: u32) {
        self.due.insert((due, position), bytes);
        self.due_bytes += u64::from(bytes);
    }

    /// Whether the message waits for its time.
    pub(super) fn waits(&self, position: Position) -> bool {
        let attempts = self.attempts.get(&position);
        attempts.is_some_and(|attempts| self.due.contains_key(&(attempts.due, position)))
    }

    /// Whether messages may wait for their next attempt.
    pub(super) fn keeps_time(&self) -> bool {
        self.retry.is_some() || self.delayed.is_some() || !self.due.is_empty()
    }

    /// Whether a message that is rejected without requeue is retried.
    pub(super) fn retries_all(&self) -> bool {
        self.retry.is_some_and(|retry| retry.on == RetryOn::All)
    }

    pub(super) fn of(&self, position: Position) -> Option<Attempts> {
        if self.counting {
            self.attempts.get(&position).copied()
        } else {
            None
        }
    }

    /// When the first of those that wait is due.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.due.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Counts a return. Nothing is said if the message has failed too often.
    fn count(&mut self, position: Position, why: Return, now: u64) -> Option<u64> {
        let attempts = self.attempts.entry(position).or_default();
        attempts.acquired = attempts.acquired.saturating_add(1);
        let failed = !(self.forgiving && why == Return::Nacked);
        attempts.failed = attempts.failed.saturating_add(u32::from(failed));
        attempts.due = 0;
        let exhausted = self
            .limit
            .is_some_and(|limit| u64::from(attempts.failed) > limit)
            || self
                .retry
                .and_then(|retry| retry.max_attempts)
                .is_some_and(|max| attempts.failed >= max);
        if exhausted {
            return None;
        }
        let delay = match (self.retry, self.delayed) {
            (Some(retry), _) => backed_off(&retry, attempts.failed, position),
            (None, Some(delayed)) if waits(delayed.retry_type, why) => {
                let times = u64::from(attempts.failed.max(1));
                millis(delayed.min)
                    .saturating_mul(times)
                    .min(millis(delayed.max))
            }
            (None, _) => 0,
        };
        if delay > 0 {
            attempts.due = now.saturating_add(delay);
        }
        Some(attempts.due)
    }

    /// How many of those that wait are in a stretch of the log that is lost; they are forgotten.
    pub(super) fn forget(&mut self, positions: &std::ops::Range<Position>) -> u64 {
        let before = self.due.len();
        let bytes = &mut self.due_bytes;
        self.due.retain(|(_, position), &mut body| {
            let stays = !positions.contains(position);
            *bytes -= if stays { 0 } else { u64::from(body) };
            stays
        });
        self.attempts
            .retain(|position, _| !positions.contains(position));
        (before - self.due.len()) as u64
    }
}

/// Whether a queue with this type of delayed retry lets such a return wait.
fn waits(retry_type: DelayedRetryType, why: Return) -> bool {
    match retry_type {
        DelayedRetryType::All => true,
        DelayedRetryType::Failed => why != Return::Nacked,
        DelayedRetryType::Returned => why == Return::Nacked,
    }
}

/// How long the retry after the `failed`th failure waits, in milliseconds.
fn backed_off(retry: &Retry, failed: u32, position: Position) -> u64 {
    // However often nothing is multiplied, also without an end.
    if retry.delay.is_zero() {
        return 0;
    }
    let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
    let delay = retry.delay.as_secs_f64() * retry.factor.powi(exponent);
    let capped = delay.min(retry.max_delay.as_secs_f64());
    // From -1 to 1, and another one for each message and attempt: messages that failed together must not all come
    // back together. There is no need of more chance than that.
    let spread = scattered(position, failed) * 2.0 - 1.0;
    let millis = capped * (1.0 + retry.jitter * spread) * 1000.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float is cut to the range of the integer"
    )]
    let millis = millis.round() as u64;
    millis
}

/// Messages that are woken in one go: a million of them must not keep the queue's lock.
const WOKEN_MAX: usize = 4096;

/// A number from 0 to 1 that looks as if drawn by chance. The mixing is splitmix64's.
fn scattered(position: Position, failed: u32) -> f64 {
    let mut mixed = position
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(u64::from(failed).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let top = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(u32::MAX);
    f64::from(top) / f64::from(u32::MAX)
}

impl<C> Queue<C> {
    /// Puts messages back at their positions, marked redelivered unless they were only browsed: at once, or when their time has come. One that came back
    /// too often is given up, and so is what is too much then (see [`Queue::trims_returns`]). Dispatch is due afterwards. Costs a tree insert for each that does not directly precede the head.
    pub fn requeue(&mut self, held: Held<'_>, why: Return) -> Effects {
        let mut effects = Effects::default();
        let counting = self.returns.counting && !matches!(why, Return::Peeked | Return::Browsed);
        for &position in held.positions {
            let Some(segment) = self.log.segment_of(position) else {
                continue;
            };
            let index = segment.index(position);
            if segment.flags(index) & SETTLED != 0 {
                continue;
            }
            if why != Return::Browsed {
                segment.add_flags(index, REDELIVERED);
            }
            self.unacked = self.unacked.saturating_sub(1);
            if counting {
                effects = effects.and(self.come_back(position, why));
            } else {
                self.ready_again(position);
            }
        }
        // A head that steps back costs nothing, a set of a million positions does.
        while self
            .head
            .checked_sub(1)
            .is_some_and(|before| self.returned.remove(&before))
        {
            self.head -= 1;
        }
        let failed = matches!(why, Return::Rejected | Return::Nacked | Return::Lost);
        if failed && self.trims_returns() {
            effects = effects.and(self.trim());
        }
        self.release(held);
        effects
    }

    /// Makes those ready whose time has come; if they are many, only some of them, and [`Queue::deadline`] is over then. Returns
    /// whether there are any: dispatch is due then.
    pub fn wake(&mut self) -> bool {
        let mut woken = 0;
        while woken < WOKEN_MAX
            && let Some(entry) = self.returns.due.first_entry()
            && entry.key().0 <= self.expiry.now
        {
            let ((_, position), bytes) = entry.remove_entry();
            self.returns.due_bytes -= u64::from(bytes);
            self.ready_again(position);
            woken += 1;
        }
        woken > 0
    }

    /// Messages that wait for their next attempt.
    pub fn delayed_count(&self) -> usize {
        self.returns.due.len()
    }

    /// The messages are settled.
    pub(super) fn forget_attempts(&mut self, positions: &[Position]) {
        if !self.returns.attempts.is_empty() {
            for position in positions {
                self.returns.attempts.remove(position);
            }
        }
    }

    /// A message came back to a queue that counts.
    fn come_back(&mut self, position: Position, why: Return) -> Effects {
        self.log.note_changed(position);
        match self.returns.count(position, why, self.expiry.now) {
            None => return self.die(position, DeathReason::DeliveryLimit),
            Some(0) => self.ready_again(position),
            Some(due) => {
                let bytes = u32::try_from(self.log.body_len(position)).unwrap_or(u32::MAX);
                self.returns.wait(due, position, bytes);
            }
        }
        Effects {
            settle: self.durable,
            ..Effects::default()
        }
    }

    fn ready_again(&mut self, position: Position) {
        if matches!(self.log.at(position), At::Settled) {
            return;
        }
        self.ready += 1;
        self.ready_bytes += self.log.body_len(position);
        self.relist(position);
    }
}
