//! What comes back, is given up, and is buried: operations and what holds after them.

use super::*;
use crate::queue_arguments::{
    DeadLetterStrategy, DelayedRetry, DelayedRetryType, Overflow, Retry, RetryOn,
};
use amphora_protocol::wire::types::ExchangeName;

/// What a policy may change: time to live, limits and dead letters, or none.
fn choose_policy(arguments: &mut QueueArguments, u: &mut Unstructured<'_>) -> Result<()> {
    let ttl = u.int_in_range(0..=4)?;
    arguments.message_ttl = u.ratio(1, 3)?.then(|| Duration::from_millis(ttl));
    let is_wanted: bool = u.arbitrary()?;
    arguments.dead_letter_exchange = is_wanted.then(ExchangeName::default);
    let (length, bytes) = (u.int_in_range(0..=30)?, u.int_in_range(0..=500_000)?);
    arguments.max_length = u.ratio(1, 3)?.then_some(length);
    arguments.max_length_bytes = u.ratio(1, 4)?.then_some(bytes);
    let overflows = [
        Overflow::DropHead,
        Overflow::RejectPublish,
        Overflow::RejectPublishDlx,
    ];
    arguments.overflow = *u.choose(&overflows)?;
    if u.arbitrary()? {
        arguments.dead_letter_strategy = DeadLetterStrategy::AtLeastOnce;
    }
    Ok(())
}

/// What a queue is declared with, or a policy says.
pub(super) fn choose(arguments: &mut QueueArguments, u: &mut Unstructured<'_>) -> Result<()> {
    choose_policy(arguments, u)?;
    let millis = Duration::from_millis;
    match u.int_in_range(0..=4)? {
        0 => arguments.delivery_limit = Some(u.int_in_range(0..=3)?),
        1 => {
            arguments.queue_type = QueueType::Quorum;
            arguments.delivery_limit = Some(u.int_in_range(0..=3)?);
            let min = millis(u.int_in_range(1..=3)?);
            let types = [
                DelayedRetryType::All,
                DelayedRetryType::Failed,
                DelayedRetryType::Returned,
            ];
            arguments.delayed_retry = Some(DelayedRetry {
                retry_type: *u.choose(&types)?,
                min,
                max: min * 2,
            });
        }
        2 => {
            arguments.retry = Some(Retry {
                max_attempts: Some(u.int_in_range(1..=4)?),
                delay: millis(u.int_in_range(0..=3)?),
                factor: 2.0,
                jitter: 0.0,
                max_delay: millis(5),
                on: if u.arbitrary()? {
                    RetryOn::All
                } else {
                    RetryOn::Requeue
                },
            });
        }
        _ => {}
    }
    Ok(())
}

impl World {
    /// A policy comes, goes, or changes.
    pub(super) fn apply_policy(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        choose_policy(&mut self.arguments, u)?;
        if self.arguments.queue_type == QueueType::Classic {
            let limit = u.int_in_range(0..=3)?;
            self.arguments.delivery_limit = u.ratio(1, 4)?.then_some(limit);
        }
        self.queue.configure(&self.arguments);
        self.dispatch();
        Ok(())
    }

    /// Gives the queue what a publisher has collected for it.
    pub(super) fn hand_on(&mut self, bodies: &mut Bodies) {
        let bodies = std::mem::take(bodies);
        if self.queue.publish(&bodies, &mut self.connections).more {
            self.dispatch();
        }
    }

    /// Whether a publisher that has collected these may not add one more.
    pub(super) fn is_full(&self, bodies: &Bodies, bytes: u64) -> bool {
        let space = self.queue.space();
        let collected: u64 = bodies.0.iter().map(|(body, ..)| body.len() as u64).sum();
        bodies.0.len() as u64 >= space.messages || collected + bytes > space.bytes
    }

    /// What the queue must take before it refuses messages.
    fn space(&self) -> Space {
        let arguments = &self.arguments;
        if arguments.overflow == Overflow::DropHead {
            return Space::ENDLESS;
        }
        let left = |limit: Option<u64>, used: u64| {
            limit.map_or(u64::MAX, |limit| limit.saturating_sub(used))
        };
        let held = self.all_held();
        let counts = |position: &Position| {
            let dying = self.dying.contains(position);
            !held.contains(position) && (!dying || arguments.keeps_dead_letters())
        };
        let counted = self.live.iter().filter(|(position, _)| counts(position));
        let (count, bytes) = counted.fold((0, 0), |(count, bytes), (_, known)| {
            (count + 1, bytes + known.size)
        });
        Space {
            messages: left(arguments.max_length, count),
            bytes: left(arguments.max_length_bytes, bytes),
        }
    }

    /// Whether the message waits for its next attempt.
    pub(super) fn waits(&self, position: Position) -> bool {
        let attempts = self.attempts.get(&position);
        attempts.is_some_and(|attempts| attempts.due > self.now)
    }

    /// The message is done with.
    pub(super) fn settled(&mut self, position: Position) {
        self.live.remove(&position).expect("settled what was live");
        self.attempts.remove(&position);
        self.settled += 1;
    }

    pub(super) fn put_back(
        &mut self,
        consumer: Option<ConsumerKey>,
        positions: &[Position],
        why: Return,
    ) {
        if why != Return::Peeked {
            for &position in positions {
                self.failed(position, why);
            }
        }
        self.queue.requeue(
            Held {
                consumer,
                positions,
            },
            why,
        );
        self.follow_deaths();
    }

    /// What the queue must make of a failed delivery.
    fn failed(&mut self, position: Position, why: Return) {
        let arguments = &self.arguments;
        let quorum = arguments.queue_type == QueueType::Quorum;
        if !quorum && arguments.delivery_limit.is_none() && arguments.retry.is_none() {
            return;
        }
        let attempts = self.attempts.entry(position).or_default();
        attempts.acquired += 1;
        if !(quorum && why == Return::Nacked) {
            attempts.failed += 1;
        }
        attempts.due = 0;
        let failed = attempts.failed;
        let over = arguments
            .delivery_limit
            .is_some_and(|limit| u64::from(failed) > limit)
            || arguments
                .retry
                .and_then(|retry| retry.max_attempts)
                .is_some_and(|max| failed >= max);
        if over {
            self.exhausted += 1;
            self.give_up(position);
            return;
        }
        let millis = |duration: Duration| u64::from(duration.subsec_millis());
        let delay = match (arguments.retry, arguments.delayed_retry) {
            (Some(retry), _) => (millis(retry.delay) << (failed - 1)).min(5),
            (None, Some(delayed)) => {
                let nacked = why == Return::Nacked;
                let waits = match delayed.retry_type {
                    DelayedRetryType::All => true,
                    DelayedRetryType::Failed => !nacked,
                    DelayedRetryType::Returned => nacked,
                };
                let times = u64::from(failed.max(1));
                u64::from(waits) * (millis(delayed.min) * times).min(millis(delayed.max))
            }
            (None, None) => 0,
        };
        if delay > 0 {
            attempts.due = self.now + delay;
        }
    }

    fn give_up(&mut self, position: Position) {
        if self.arguments.dead_letter_exchange.is_some() {
            self.dying.push_back(position);
        } else {
            self.settled(position);
        }
    }

    /// What died just now is where the queue has it: those that it dropped by the way are looked for later.
    fn follow_deaths(&mut self) {
        let known: BTreeSet<Position> = self.dying.iter().copied().collect();
        let there = self.queue.deaths.positions();
        let there: VecDeque<Position> = there.filter(|at| known.contains(at)).collect();
        assert_eq!(
            there, self.dying,
            "the dying are not in the order of their deaths"
        );
    }

    pub(super) fn reject(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((key, positions)) = self.pick_held(u)? else {
            return Ok(());
        };
        let retries = self
            .arguments
            .retry
            .is_some_and(|retry| retry.on == RetryOn::All);
        if retries {
            for &position in &positions {
                self.failed(position, Return::Rejected);
            }
        } else {
            self.rejected += positions.len() as u64;
            for &position in &positions {
                self.give_up(position);
            }
        }
        self.queue.reject(Held {
            consumer: Some(key),
            positions: &positions,
        });
        self.follow_deaths();
        self.dispatch();
        Ok(())
    }

    /// Somebody publishes dead letters, as far as that can be done now.
    pub(super) fn bury(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.ratio(1, 4)? {
            self.queue.try_again();
            self.held_up = 0;
        }
        let max = u.int_in_range(1..=10)?;
        let mut seen = Vec::new();
        let (stop, _) = self.queue.dying(max, |position, _, message| {
            let body = message.expect("a dying message is there").body;
            let number = u64::from_be_bytes(*body.bytes().first_chunk().expect("8 bytes"));
            seen.push((position, number));
        });
        let fresh = self.dying.len() - self.held_up;
        assert!(stop == Stop::Away || seen.len() == max.min(fresh));
        let mut burials = Vec::new();
        for (position, number) in seen {
            assert_eq!(self.dying.get(self.held_up), Some(&position));
            assert_eq!(self.live[&position].number, number);
            let later = u.ratio(1, 4)?;
            if later {
                self.held_up += 1;
                burials.push((position, Burial::Later));
            } else {
                self.dying.remove(self.held_up);
                self.settled(position);
                burials.push((position, Burial::Done));
            }
        }
        self.queue.bury(burials);
        assert_eq!(self.queue.held_up_count(), self.held_up);
        Ok(())
    }

    pub(super) fn check_returns(&self) {
        let counters = self.queue.counters();
        assert_eq!(counters.rejected, self.rejected, "(11) rejected");
        assert_eq!(counters.exhausted, self.exhausted, "(11) exhausted");
        assert_eq!(counters.refused, self.refused, "(11) refused");
        assert_eq!(counters.redelivered, self.redelivered, "(11) redelivered");
        assert_eq!(self.queue.space(), self.space(), "(14) space");
        let ready = self.queue.ready_count();
        if self.queue.wanted.is_empty() && self.arguments.overflow == Overflow::DropHead {
            let arguments = &self.arguments;
            let too_long = arguments.max_length.is_some_and(|max| ready > max)
                || arguments
                    .max_length_bytes
                    .is_some_and(|max| self.queue.ready_bytes > max);
            assert!(!too_long, "too long");
        }
        let counted = &self.queue.returns.attempts;
        let forgotten = counted
            .keys()
            .all(|position| self.live.contains_key(position));
        assert!(forgotten, "attempts outlive their messages");
        for (&(due, position), attempts) in self
            .queue
            .returns
            .due
            .keys()
            .map(|entry| (entry, self.attempts.get(&entry.1)))
        {
            assert_eq!(
                attempts.map(|attempts| attempts.due),
                Some(due),
                "{position}"
            );
            assert!(due > self.now, "{position} waits too long");
        }
        for (&position, attempts) in &self.attempts {
            // They are kept where a policy has just ended the counting.
            let counted = self.queue.returns.attempts.get(&position);
            assert_eq!(counted, Some(attempts), "{position}, {:?}", self.arguments);
        }
    }
}
