//! The one place that gives messages to consumers.
//!
//! Two steps: *assign* walks the ready messages and gives each to the next consumer that can take one; *encode* then
//! visits each consumer once, so that a connection is locked once however many messages it gets, while the order among
//! the consumers stays strict round-robin.

use crate::message::{Batch, Delivery};
use crate::store::Position;

use super::block::REDELIVERED;
use super::death::DeathReason;
use super::log::{At, Log};
use super::runs::Deliveries;
use super::{Accepted, Effects, GIVEN_UP_MAX, Queue, Sink};

/// Messages assigned before they are encoded: bounds the work under one hold of the queue's lock.
const ASSIGNED_MAX: usize = 4096;

/// What became of a walk over the ready messages.
#[derive(Default)]
struct Assigned {
    count: usize,
    /// The position that stopped it because it is not in memory.
    away: Option<Position>,
    /// Messages that had expired.
    given_up: usize,
    effects: Effects,
}

impl<C> Queue<C> {
    /// Delivers all that can be delivered, and lets go what is too much then.
    pub fn dispatch<S: Sink<C>>(&mut self, sink: &mut S) -> Effects {
        let effects = self.deliver_ready(sink);
        effects.and(self.trim())
    }

    fn deliver_ready<S: Sink<C>>(&mut self, sink: &mut S) -> Effects {
        let mut effects = Effects::default();
        if self.ready == 0 || self.consumers.len() == 0 || self.paused {
            return effects;
        }
        self.consumers.refresh(|consumer| sink.room(consumer));
        let mut given_up = 0;
        while self.ready > 0 {
            if !self.consumers.any_available() {
                if self.ask_again(sink) {
                    continue;
                }
                break;
            }
            let assigned = self.assign(GIVEN_UP_MAX - given_up);
            given_up += assigned.given_up;
            effects = effects.and(assigned.effects);
            if assigned.count > 0 {
                effects = effects.and(self.encode(sink));
            }
            if let Some(position) = assigned.away {
                return effects.and(self.want(position));
            }
            if effects.more {
                break;
            }
        }
        effects
    }

    /// Delivers from the front of a batch without touching the log, as long as nothing is ready before it and the next
    /// consumer settles by delivery. Returns how many messages are dealt with; `append` is called for those of them
    /// that a connection did not take.
    pub(super) fn deliver_directly<B: Batch, S: Sink<C>>(
        &mut self,
        batch: &B,
        sink: &mut S,
        mut append: impl FnMut(&mut Self, usize),
    ) -> usize {
        if self.ready > 0 || !self.consumers.any_no_ack() || self.paused {
            return 0;
        }
        self.consumers.refresh(|consumer| sink.room(consumer));
        let cost = |index| batch.cost(index_of(index));
        let all = 0..batch.len() as u64;
        let direct = index_of(self.consumers.assign_directly(all, cost));
        if direct == 0 {
            return 0;
        }
        let base = self.log.tail();
        let mut refused = Vec::new();
        self.consumers.flush(
            |consumer, indexes| {
                sink.deliver(
                    consumer,
                    indexes.iter().map(|&index| Delivery {
                        position: base + index,
                        redelivered: false,
                        attempts: None,
                        message: batch.message(index_of(index)),
                    }),
                )
            },
            |index| refused.push(index),
        );
        self.counters.delivered_no_ack += (direct - refused.len()) as u64;
        if refused.is_empty() {
            self.log.skip(direct as u64);
            self.head = self.log.tail();
            return direct;
        }
        self.head = self.log.tail();
        refused.sort_unstable();
        for index in 0..direct {
            if refused.binary_search(&(index as u64)).is_ok() {
                append(self, index);
            } else {
                self.log.skip(1);
            }
        }
        direct
    }

    /// Assigns ready messages to consumers, and gives up what has expired among them, but not more than so many.
    fn assign(&mut self, given_up_max: usize) -> Assigned {
        let mut assigned = Assigned::default();
        while assigned.count < ASSIGNED_MAX {
            let ahead = self.assign_ahead(ASSIGNED_MAX - assigned.count);
            if ahead > 0 {
                assigned.count += ahead;
                continue;
            }
            let Some(position) = self.next_ready() else {
                break;
            };
            let (cost, bytes, redelivered, expires_at) = match self.log.at(position) {
                At::Message {
                    message,
                    redelivered,
                    expires_at,
                } => (message.cost(), message.body.len(), redelivered, expires_at),
                At::Away => {
                    assigned.away = Some(position);
                    break;
                }
                At::Settled => {
                    // `next_ready` skips what is settled; one that is listed cannot be.
                    debug_assert!(false, "position {position} is ready and settled");
                    match &mut self.levels {
                        Some(levels) => levels.remove(position),
                        None => drop(self.returned.remove(&position)),
                    }
                    continue;
                }
            };
            if self.expiry.is_over(expires_at) {
                if assigned.given_up == given_up_max {
                    assigned.effects.more = true;
                    break;
                }
                assigned.given_up += 1;
                let died = self.discard(position, bytes, DeathReason::Expired);
                assigned.effects = assigned.effects.and(died);
                continue;
            }
            if !self.consumers.assign(position, cost, false) {
                break;
            }
            self.take_ready(position, bytes);
            self.counters.redelivered += u64::from(redelivered);
            assigned.count += 1;
        }
        assigned
    }

    fn encode<S: Sink<C>>(&mut self, sink: &mut S) -> Effects {
        let mut settled = Vec::new();
        let mut refused = Vec::new();
        let mut delivered = false;
        let (log, counters, unacked) = (&mut self.log, &mut self.counters, &mut self.unacked);
        let returns = &self.returns;
        self.consumers.flush(
            |consumer, positions| {
                let mut reader = Deliveries::of(log, returns);
                let deliveries = positions.iter().filter_map(|&at| reader.next(at));
                let accepted = sink.deliver(consumer, deliveries);
                let count = match accepted {
                    Accepted::All => positions.len(),
                    Accepted::First(count) => count,
                    Accepted::Closed => 0,
                };
                delivered |= count > 0;
                if consumer.options.no_ack {
                    settled.extend(positions.iter().take(count));
                    counters.delivered_no_ack += count as u64;
                } else {
                    *unacked += count as u64;
                    counters.delivered += count as u64;
                }
                accepted
            },
            |position| refused.push(position),
        );
        // The consumers took turns, and not everything came in the order of its position.
        settled.sort_unstable();
        self.log.settle_all(&settled);
        self.forget_attempts(&settled);
        if !refused.is_empty() {
            self.ready += refused.len() as u64;
            let lengths = refused.iter().map(|&position| self.log.body_len(position));
            self.ready_bytes += lengths.sum::<u64>();
            for position in refused {
                let came_back = self.log.is_redelivered(position);
                self.counters.redelivered -= u64::from(came_back);
                self.relist(position);
            }
        }
        // Also what waits for its acknowledgement: after a restart, it must be known as delivered before.
        Effects {
            settle: self.durable && delivered,
            ..Effects::default()
        }
    }

    /// Nobody can take a message: those who only lack room are told to call back. True if one has room after all.
    fn ask_again<S: Sink<C>>(&mut self, sink: &mut S) -> bool {
        loop {
            let mut has_room = false;
            for consumer in self.consumers.waiting_for_room() {
                has_room |= !sink.starve(consumer);
            }
            if !has_room {
                return false;
            }
            self.consumers.refresh(|consumer| sink.room(consumer));
            if self.consumers.any_available() {
                return true;
            }
            // Another queue has used the room meanwhile: nobody was told to call back.
        }
    }
}

impl Log {
    /// Whether the message at `position` was delivered before.
    fn is_redelivered(&self, position: Position) -> bool {
        let segment = self.find(position).and_then(|at| self.segments.get(at));
        segment.is_some_and(|segment| segment.flags(segment.index(position)) & REDELIVERED != 0)
    }
}

/// A batch's index, which was widened for the list of assignments.
fn index_of(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
