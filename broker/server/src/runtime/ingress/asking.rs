//! Exchanges whose types plugins supply: their messages wait until there are enough for a call, or something else comes.
//!
//! The order of a connection's publishes is kept: before a message that need not wait is collected, those that do are answered.

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::exchange::LazyHeaders;
use amphora_core::hook::{BATCH_MAX, Fault, HookError, Needs, OnError, Origin, PackedBatch};
use amphora_core::route::{Asked, Routed};
use amphora_protocol::connection::Content;
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;
use foldhash::fast::FixedState;

use super::one_by_one::Asks;
use super::routes::Route;
use super::{Answered, Ingress, Outcome, Slots, Ticket, names};
use crate::runtime::batch::{MessageRef, Owned};
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::Handle;

/// Answers that are remembered for one exchange.
const ANSWERS_MAX: usize = 4096;

/// A message of which a plugin sees more than this is not worth remembering.
const REMEMBERED_BYTES_MAX: usize = 1024;

/// How often a batch is packed again because its plugin was replaced by one with other needs meanwhile.
pub(super) const REPLACED_MAX: u32 = 3;

/// One exchange whose plugin is asked, and what is known of its answers while the topology does not change.
#[derive(Debug)]
pub(super) struct Asking {
    asked: Asked,
    /// Where its messages are counted.
    pub(super) exchange: u32,
    needs: Arc<Needs>,
    /// The destinations of messages that the plugin saw so, if its answers are pure.
    pure: HashMap<Box<[u8]>, Slots, FixedState>,
    /// The destinations that a set of bindings leads to.
    places: HashMap<Box<[u32]>, Slots, FixedState>,
    batch: PackedBatch,
    waiting: Vec<Waiting>,
    answer: Vec<u32>,
    routed: Routed<Handle>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    message: MessageRef,
    ticket: Ticket,
    /// Where it begins in the batch.
    begin: usize,
}

impl Asking {
    pub(super) fn new(asked: Asked, exchange: u32) -> Self {
        Self {
            // A plugin that is not there needs nothing; the call that follows says so.
            needs: asked.hook.needs().unwrap_or_default(),
            asked,
            exchange,
            pure: HashMap::default(),
            places: HashMap::default(),
            batch: PackedBatch::default(),
            waiting: Vec::new(),
            answer: Vec::new(),
            routed: Routed::default(),
        }
    }

    /// Routes the batch. A plugin that was replaced meanwhile may need to see something else: then it is packed again.
    fn route(&mut self, ingress: &Ingress, buffer: &[u8]) -> Result<(), HookError> {
        let mut replaced = 0;
        loop {
            self.answer.clear();
            match self.asked.hook.route(&self.batch, &mut self.answer) {
                Err(error) if error.fault == Fault::Replaced && replaced < REPLACED_MAX => {
                    replaced += 1;
                    self.pack_again(ingress, buffer)?;
                }
                result => return result,
            }
        }
    }

    fn pack_again(&mut self, ingress: &Ingress, buffer: &[u8]) -> Result<(), HookError> {
        self.needs = self.asked.hook.needs()?;
        self.pure.clear();
        self.batch.clear();
        for waiting in &mut self.waiting {
            waiting.begin = self.batch.bytes().len();
            let message = waiting.message.resolve(buffer, &ingress.owned);
            let (exchange, key) = names(message.target).unwrap_or_default();
            let origin = ingress.origin(
                &self.needs,
                (exchange, key),
                message.properties,
                message.body.bytes(),
            );
            // It was packed before, so its content header is sound.
            let packed = self.batch.push(&self.needs, &origin);
            debug_assert_eq!(packed, Ok(()));
        }
        Ok(())
    }

    /// What the plugin saw of a waiting message.
    fn seen(&self, index: usize) -> &[u8] {
        let begin = self.waiting.get(index).map_or(0, |waiting| waiting.begin);
        let end = self.waiting.get(index + 1);
        let end = end.map_or(self.batch.bytes().len(), |next| next.begin);
        self.batch.bytes().get(begin..end).unwrap_or_default()
    }
}

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
        let origin = self.origin(
            &asking.needs,
            names(content.target())?,
            content.properties(),
            content.body(),
        );
        let packed = asking.batch.push(&asking.needs, &origin);
        if let Err(error) = packed {
            self.give_asking(index, asking);
            return Err(ConnectionException::frame_error(error.to_string()).into());
        }
        let known = asking.pure.get(asking.batch.last()).cloned();
        if let Some(slots) = known {
            asking.batch.pop();
            let number = asking.exchange;
            self.give_asking(index, asking);
            self.answer(buffer);
            let message = self.refer(buffer, content);
            return Ok(self.put_all(number, &slots, message, buffer));
        }
        let begin = asking.batch.bytes().len() - asking.batch.last().len();
        let message = self.refer(buffer, content);
        asking.waiting.push(Waiting {
            message,
            ticket,
            begin,
        });
        let due = asking.batch.len() >= asking.asked.hook.batch_max().clamp(1, BATCH_MAX);
        self.give_asking(index, asking);
        self.waiting = Some(index);
        if due {
            self.answer(buffer);
        }
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
            let given_back =
                ticket.mandatory && matches!(outcome, Outcome::Unroutable | Outcome::Refused(_));
            let message = given_back.then(|| message.resolve(buffer, &self.owned).into());
            self.answered.push(Answered {
                ticket,
                outcome,
                message,
            });
        }
        answer.clear();
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
        if fixed {
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
            let route = Route {
                exchange: asking.exchange,
                to: self.to_slots(slots.clone()),
            };
            let target = message.resolve(buffer, &self.owned).target;
            self.routes.keep(target, route);
            // It may be the target of the next message, too.
            self.routes.forget_last();
        } else if asking.seen(at).len() <= REMEMBERED_BYTES_MAX {
            if asking.pure.len() >= ANSWERS_MAX {
                asking.pure.clear();
            }
            let seen = asking.seen(at).into();
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
        let message = message.resolve(buffer, &self.owned);
        let (_, key) = names(message.target).unwrap_or_default();
        let headers = LazyHeaders::new(RawProperties::new(message.properties).unwrap_or_default());
        routed.begin(asked);
        let led = self
            .vhost
            .topology()
            .resume(asked, answer, &[key], &headers, routed);
        let fixed = !routed.depends_on_headers && routed.asked.is_empty();
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
        match asking.asked.hook.on_error() {
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
