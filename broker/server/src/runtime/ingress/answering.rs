//! From messages that wait for a plugin to the queues that it names.

use amphora_core::exchange::LazyHeaders;
use amphora_core::hook::{HookError, Needs, OnError, Origin, project};
use amphora_core::route::Varies;
use amphora_protocol::connection::Content;
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::error::WireError;
use amphora_protocol::wire::properties::RawProperties;

use super::asking::{Asking, Place, Waiting};
use super::routes::Route;
use super::routes::To;
use super::{Answered, Ingress, Outcome, Slots, Ticket, names, push};
use crate::runtime::batch::{MessageRef, Owned};

/// Answers with more bindings than this are not worth remembering.
const REMEMBERED_BINDINGS_MAX: usize = 256;

impl Ingress {
    /// Puts a message to those that wait for the plugin, unless the answer is known.
    pub(super) fn ask(
        &mut self,
        index: u32,
        buffer: &[u8],
        content: Content<'_>,
        ticket: Ticket,
    ) -> Result<Outcome, Exception> {
        let Some(mut asking) = self.take_asking(index) else {
            return Ok(Outcome::Unroutable);
        };
        let outcome = self.ask_about(&mut asking, buffer, content, ticket);
        let due = asking.is_due();
        self.give_asking(index, asking);
        if outcome == Ok(Outcome::Waiting) {
            self.waiting = Some(index);
            if due {
                self.answer(buffer);
            }
        }
        outcome
    }

    fn ask_about(
        &mut self,
        asking: &mut Asking,
        buffer: &[u8],
        content: Content<'_>,
        ticket: Ticket,
    ) -> Result<Outcome, Exception> {
        let damaged = |error: WireError| ConnectionException::frame_error(error.to_string());
        let Asking {
            name,
            needs,
            batch,
            seen,
            pure,
            ..
        } = asking;
        let key = routing_key(name, content.target()).map_err(damaged)?;
        let names = (&**name, key);
        let origin = self.origin(needs, names, content.properties(), content.body());
        // While messages wait, one whose answer is known waits with them.
        if needs.pure && batch.is_empty() && !pure.is_empty() {
            seen.clear();
            project(needs, &origin, seen).map_err(damaged)?;
            if let Some(slots) = pure.find(seen) {
                let message = self.refer(buffer, content);
                self.traffic.count(asking.exchange, 1, slots.len());
                return Ok(self.put_each(slots, message, buffer));
            }
        }
        batch.push(needs, &origin).map_err(damaged)?;
        let message = self.refer(buffer, content);
        self.deduplicating.wait(asking.waiting.len());
        asking.wait(message, ticket);
        Ok(Outcome::Waiting)
    }

    /// Messages wait for a plugin's answer, or for the publisher to learn of it.
    pub(in crate::runtime) fn is_waiting(&self) -> bool {
        self.waiting.is_some() || !self.answered.is_empty()
    }

    /// Messages that had to wait are answered.
    #[inline]
    pub(in crate::runtime) fn has_answered(&self) -> bool {
        !self.answered.is_empty()
    }

    /// What became of messages that had to wait, in the order of their publishing. To be given back by
    /// [`Ingress::reuse`] when it is empty.
    pub(in crate::runtime) fn take_answered(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answered)
    }

    /// Takes an empty list back.
    pub(in crate::runtime) fn reuse(&mut self, answered: Vec<Answered>) {
        if self.answered.is_empty() {
            self.answered = answered;
        }
    }

    /// As [`Ingress::answer`], while a message is in hand that was published later. Their ways are their own.
    pub(super) fn answer_before(&mut self, buffer: &[u8]) {
        let (last, routed) = (self.routes.last.clone(), std::mem::take(&mut self.routed));
        self.answer(buffer);
        (self.routes.last, self.routed) = (last, routed);
    }

    /// Asks the plugin that messages wait for, and collects them for where it says.
    pub(in crate::runtime) fn answer(&mut self, buffer: &[u8]) {
        let Some(index) = self.waiting.take() else {
            return;
        };
        let Some(mut asking) = self.take_asking(index) else {
            return;
        };
        self.hold();
        asking.route(self, buffer);
        self.note_time();
        let answer = std::mem::take(&mut asking.answer);
        let mut rest = answer.as_slice();
        for at in 0..asking.waiting.len() {
            let Waiting { message, ticket } = asking.waiting[at];
            let own = next_answer(&mut rest);
            let outcome = match asking.failure(at) {
                None => self.follow(&mut asking, at, own, message, buffer),
                Some(error) => {
                    let error = error.clone();
                    self.without_answer(&mut asking, &error, message, buffer)
                }
            };
            self.deduplicating.answered(at, &outcome);
            self.conclude(outcome, message, ticket, buffer);
        }
        asking.answer = answer;
        asking.clear();
        self.give_asking(index, asking);
    }

    /// Says what became of a message that waited.
    #[inline]
    fn conclude(&mut self, outcome: Outcome, message: MessageRef, ticket: Ticket, buffer: &[u8]) {
        if let Some(last) = self.answered.last_mut()
            && matches!(
                (&last.outcome, &outcome),
                (Outcome::Routed, Outcome::Routed)
            )
            && last.ticket == ticket
        {
            last.count += 1;
            return;
        }
        let given_back = ticket.mandatory && outcome.returns();
        let message = given_back.then(|| message.resolve(buffer, &self.owned).into());
        self.answered.push(Answered {
            ticket,
            outcome,
            count: 1,
            message,
        });
    }

    /// Collects a message for the queues that the bindings lead to.
    #[inline]
    fn follow(
        &mut self,
        asking: &mut Asking,
        at: usize,
        answer: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        if let Some(place) = asking.known(answer) {
            if !asking.needs.pure {
                return self.put_at(asking.exchange, place, message, buffer);
            }
            let place = place.clone();
            self.keep(asking, at, &place, message, buffer);
            return self.put_at(asking.exchange, &place, message, buffer);
        }
        self.follow_anew(asking, at, answer, message, buffer)
    }

    fn follow_anew(
        &mut self,
        asking: &mut Asking,
        at: usize,
        answer: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        let (place, fixed, waits) = match self.lead(asking, answer, message, buffer) {
            Ok(found) => found,
            Err(outcome) => return outcome,
        };
        if fixed && answer.len() <= REMEMBERED_BINDINGS_MAX {
            asking.learn(answer, place.clone());
            if asking.needs.pure {
                self.keep(asking, at, &place, message, buffer);
            }
        }
        let outcome = self.put_at(asking.exchange, &place, message, buffer);
        waits.and(outcome)
    }

    /// Remembers a pure answer: for the target, if it depends on nothing else.
    fn keep(
        &mut self,
        asking: &mut Asking,
        at: usize,
        place: &Place,
        message: MessageRef,
        buffer: &[u8],
    ) {
        let slots = place.slots.clone();
        if asking.needs.only_target() {
            let to = if place.is_plain {
                To::Slots(slots)
            } else {
                To::Chained(slots)
            };
            let target = message.resolve(buffer, &self.owned).target;
            let route = Route {
                exchange: asking.exchange,
                to,
                deduplicator: self.vhost.deduplicators.find(&asking.name),
            };
            self.routes.keep(target, route);
        } else {
            asking.pure.keep(asking.batch.message(at), &slots);
        }
    }

    /// The queues that bindings lead to, whether they do so for every message, and what becomes of this one beside them.
    fn lead(
        &mut self,
        asking: &mut Asking,
        answer: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) -> Result<(Place, bool, Outcome), Outcome> {
        let Asking { asked, routed, .. } = asking;
        let reference = message;
        let message = reference.resolve(buffer, &self.owned);
        let (_, key) = names(message.target).unwrap_or_default();
        let headers = LazyHeaders::new(RawProperties::new(message.properties).unwrap_or_default());
        routed.begin(asked);
        let led = self
            .vhost
            .topology()
            .resume(asked, answer, &[key], &headers, routed);
        let fixed = routed.varies == Varies::Never
            && routed.asked.is_empty()
            && routed.remembered.is_empty();
        let failures = led.and_then(|()| {
            let origin = (message.target, message.properties, message.body.bytes());
            self.ask_each(routed, &[key], &headers, origin)
        });
        // Headers that cannot be read: the same that a headers exchange would say of the message by itself.
        let failures = failures.map_err(|exception| Outcome::Refused(exception.to_string()))?;
        let mut waits = Outcome::Unroutable;
        if !routed.delayed.is_empty() {
            let message = Owned::from(reference.resolve(buffer, &self.owned));
            waits = self.delay_at(&routed.delayed, &message);
        }
        if !failures.is_empty() {
            let message = Owned::from(reference.resolve(buffer, &self.owned));
            waits = self.give_up_each(&failures, waits, &message, buffer);
        }
        let histories = self.history_slots(&routed.remembered);
        self.put_into_histories(&histories, reference, buffer);
        let queues = std::mem::take(&mut routed.queues);
        let slots: Slots = queues.iter().map(|queue| self.slot(queue)).collect();
        routed.queues = queues;
        let is_plain = self.are_plain(&slots);
        Ok((Place { slots, is_plain }, fixed, waits))
    }

    /// The plugin failed: the operator has said what happens to the message then.
    fn without_answer(
        &mut self,
        asking: &mut Asking,
        error: &HookError,
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        let on_error = asking.asked.hook.on_error();
        match self.vhost.plugins.on_error(error, on_error) {
            OnError::AlternateExchange | OnError::Pass => {
                match self.lead(asking, &[], message, buffer) {
                    Ok((place, _, waits)) => {
                        waits.and(self.put_at(asking.exchange, &place, message, buffer))
                    }
                    Err(outcome) => outcome,
                }
            }
            on_error => {
                let message = message.resolve(buffer, &self.owned).into();
                self.give_up(error, on_error, message, buffer)
            }
        }
    }

    /// Collects a message that was asked about.
    #[inline]
    fn put_at(
        &mut self,
        exchange: u32,
        place: &Place,
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        let slots = place.slots.as_slice();
        self.traffic.count_one(exchange, slots.len(), true);
        if !place.is_plain || slots.is_empty() {
            return self.put_each(slots, message, buffer);
        }
        let bytes = message.cost();
        self.collected += bytes;
        for &slot in slots {
            push(&mut self.slots, &mut self.active, slot, message, bytes);
        }
        Outcome::Routed
    }

    /// What a plugin may see of a message.
    #[inline]
    pub(super) fn origin<'a>(
        &'a self,
        needs: &Needs,
        (exchange, routing_key): (&'a str, &'a str),
        properties: &'a [u8],
        body: &'a [u8],
    ) -> Origin<'a> {
        Origin {
            vhost: &self.vhost.name,
            exchange,
            routing_key,
            user: &self.user,
            time_ms: if needs.parts.time {
                self.received_ms()
            } else {
                0
            },
            properties,
            body,
        }
    }

    fn take_asking(&mut self, index: u32) -> Option<Box<Asking>> {
        self.asking.get_mut(index as usize)?.take()
    }

    fn give_asking(&mut self, index: u32, asking: Box<Asking>) {
        if let Some(place) = self.asking.get_mut(index as usize) {
            *place = Some(asking);
        }
    }
}

/// The routing key in a target whose exchange is the one of this name.
#[inline]
fn routing_key<'a>(exchange: &str, target: &'a [u8]) -> Result<&'a str, WireError> {
    let key = target.get(exchange.len() + 2..).unwrap_or_default();
    std::str::from_utf8(key).map_err(|_| WireError::MalformedUtf8)
}

/// The bindings of the next message: the host has checked that they are all there.
#[inline]
pub(super) fn next_answer<'a>(rest: &mut &'a [u32]) -> &'a [u32] {
    let Some((&count, behind)) = rest.split_first() else {
        return &[];
    };
    let (own, behind) = behind
        .split_at_checked(count as usize)
        .unwrap_or((behind, &[]));
    *rest = behind;
    own
}
