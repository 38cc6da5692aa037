//! From messages that wait for a plugin to the queues that it names.

use amphora_core::exchange::LazyHeaders;
use amphora_core::hook::{BATCH_MAX, HookError, Needs, OnError, Origin, project};
use amphora_protocol::connection::Content;
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::error::WireError;
use amphora_protocol::wire::properties::RawProperties;

use super::asking::{Asking, Waiting};
use super::one_by_one::Asks;
use super::routes::Route;
use super::{Answered, Ingress, Outcome, Slots, Ticket, names};
use crate::runtime::batch::{MessageRef, Owned};
use crate::runtime::timers::now_ms;

/// Answers that are remembered for one exchange.
const ANSWERS_MAX: usize = 4096;

/// A message of which a plugin sees more than this is not worth remembering.
const REMEMBERED_BYTES_MAX: usize = 1024;

/// Answers with more bindings than this are not worth remembering.
const REMEMBERED_BINDINGS_MAX: usize = 256;

/// Numbers of an answer for which the list is kept.
const ANSWER_KEPT_MAX: usize = 4096;

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
        let due = asking.batch.len() >= asking.asked.hook.batch_max().clamp(1, BATCH_MAX);
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
        let origin = self.origin(
            &asking.needs,
            names(content.target())?,
            content.properties(),
            content.body(),
        );
        // While messages wait, one whose answer is known waits with them.
        if asking.needs.pure && asking.waiting.is_empty() {
            asking.seen.clear();
            project(&asking.needs, &origin, &mut asking.seen).map_err(damaged)?;
            if let Some(slots) = asking.pure.get(asking.seen.as_slice()) {
                let message = self.refer(buffer, content);
                return Ok(self.put_all(asking.exchange, slots, message, buffer));
            }
        }
        asking.batch.push(&asking.needs, &origin).map_err(damaged)?;
        let begin = asking.batch.bytes().len() - asking.batch.last().len();
        let message = self.refer(buffer, content);
        asking.waiting.push(Waiting {
            message,
            ticket,
            begin,
        });
        Ok(Outcome::Waiting)
    }

    /// Messages wait for a plugin's answer, or for the publisher to learn of it.
    pub(in crate::runtime) fn is_waiting(&self) -> bool {
        self.waiting.is_some() || !self.answered.is_empty()
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

    /// Asks the plugin that messages wait for, and collects them for where it says.
    pub(in crate::runtime) fn answer(&mut self, buffer: &[u8]) {
        let Some(index) = self.waiting.take() else {
            return;
        };
        let Some(mut asking) = self.take_asking(index) else {
            return;
        };
        self.hold();
        let routed = asking.route(self, buffer);
        let mut answer = std::mem::take(&mut asking.answer);
        let mut rest = answer.as_slice();
        for at in 0..asking.waiting.len() {
            let Some(&Waiting {
                message, ticket, ..
            }) = asking.waiting.get(at)
            else {
                break;
            };
            let outcome = match &routed {
                Ok(()) => {
                    let own = next_answer(&mut rest);
                    self.follow(&mut asking, at, own, message, buffer)
                }
                Err(error) => self.without_answer(&mut asking, error, message, buffer),
            };
            if let Some(last) = self.answered.last_mut()
                && (&last.outcome, &outcome) == (&Outcome::Routed, &Outcome::Routed)
                && last.ticket == ticket
            {
                last.count += 1;
                continue;
            }
            let given_back =
                ticket.mandatory && matches!(outcome, Outcome::Unroutable | Outcome::Refused(_));
            let message = given_back.then(|| message.resolve(buffer, &self.owned).into());
            self.answered.push(Answered {
                ticket,
                outcome,
                count: 1,
                message,
            });
        }
        answer.clear();
        answer.shrink_to(ANSWER_KEPT_MAX);
        asking.answer = answer;
        asking.waiting.clear();
        asking.batch.clear();
        self.give_asking(index, asking);
    }

    /// Collects a message for the queues that the bindings lead to.
    fn follow(
        &mut self,
        asking: &mut Asking,
        at: usize,
        answer: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        if let Some(slots) = asking.places.get(answer) {
            if !asking.needs.pure {
                return self.put_all(asking.exchange, slots, message, buffer);
            }
            let slots = slots.clone();
            self.keep(asking, at, &slots, message, buffer);
            return self.put_all(asking.exchange, &slots, message, buffer);
        }
        let (slots, fixed) = match self.lead(asking, answer, message, buffer) {
            Ok(found) => found,
            Err(outcome) => return outcome,
        };
        if fixed && answer.len() <= REMEMBERED_BINDINGS_MAX {
            if asking.places.len() >= ANSWERS_MAX {
                asking.places.clear();
            }
            asking.places.insert(answer.into(), slots.clone());
            if asking.needs.pure {
                self.keep(asking, at, &slots, message, buffer);
            }
        }
        self.put_all(asking.exchange, &slots, message, buffer)
    }

    /// Remembers a pure answer: for the target, if it depends on nothing else.
    fn keep(
        &mut self,
        asking: &mut Asking,
        at: usize,
        slots: &Slots,
        message: MessageRef,
        buffer: &[u8],
    ) {
        if asking.needs.only_target() {
            let target = message.resolve(buffer, &self.owned).target;
            let (exchange, _) = names(target).unwrap_or_default();
            let route = Route {
                exchange: asking.exchange,
                to: self.to_slots(slots.clone()),
                deduplicator: self.vhost.deduplicators.find(exchange),
            };
            self.routes.keep(target, route);
        } else if asking.shown(at).len() <= REMEMBERED_BYTES_MAX {
            if asking.pure.len() >= ANSWERS_MAX {
                asking.pure.clear();
            }
            let seen = asking.shown(at).into();
            asking.pure.insert(seen, slots.clone());
        }
    }

    /// The queues that bindings lead to, and whether they do so for every message.
    fn lead(
        &mut self,
        asking: &mut Asking,
        answer: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) -> Result<(Slots, bool), Outcome> {
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
        let fixed = !routed.varies && routed.asked.is_empty() && routed.remembered.is_empty();
        let asks = led.and_then(|()| {
            let origin = (message.target, message.properties, message.body.bytes());
            self.ask_each(routed, &[key], &headers, origin)
        });
        match asks {
            Ok(Asks::Found) => {}
            Ok(Asks::Failed(error, on_error)) => {
                let message = Owned::from(message);
                return Err(self.give_up(&error, on_error, message));
            }
            // Headers that cannot be read: the same that a headers exchange would say of the message by itself.
            Err(exception) => return Err(Outcome::Refused(exception.to_string())),
        }
        if !routed.delayed.is_empty() {
            let message = Owned::from(reference.resolve(buffer, &self.owned));
            if let Outcome::Refused(reason) = self.delay_at(&routed.delayed, &message) {
                return Err(Outcome::Refused(reason));
            }
        }
        let histories = self.history_slots(&routed.remembered);
        self.put_into_histories(&histories, reference, buffer);
        let queues = std::mem::take(&mut routed.queues);
        let slots = queues.iter().map(|queue| self.slot(queue)).collect();
        routed.queues = queues;
        Ok((slots, fixed))
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
                    Ok((slots, _)) => self.put_all(asking.exchange, &slots, message, buffer),
                    Err(outcome) => outcome,
                }
            }
            on_error => {
                let message = message.resolve(buffer, &self.owned).into();
                self.give_up(error, on_error, message)
            }
        }
    }

    fn put_all(
        &mut self,
        exchange: u32,
        slots: &[u32],
        message: MessageRef,
        buffer: &[u8],
    ) -> Outcome {
        self.traffic.count(exchange, slots.len());
        self.put_each(slots, message, buffer)
    }

    /// What a plugin may see of a message.
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
            time_ms: if needs.parts.time { now_ms() } else { 0 },
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

/// The bindings of the next message: the host has checked that they are all there.
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
