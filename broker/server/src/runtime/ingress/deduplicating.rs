//! Messages whose exchange or queue takes each id once.

use std::collections::VecDeque;
use std::sync::Arc;

use amphora_core::deduplication::IdHash;
use amphora_protocol::connection::Content;
use amphora_protocol::exception::Exception;

use super::{Ingress, Outcome, Ticket};
use crate::runtime::batch::{MessageRef, Owned};
use crate::runtime::committer::Committer;
use crate::runtime::deduplication::{Admitted, Deduplicator, Verdict};
use crate::runtime::special;
use crate::runtime::vhost::{Handle, VirtualHost};

/// An id that an exchange has admitted.
type Own = (Arc<Deduplicator>, Admitted);

/// What a flush has to do about the ids of the messages that were collected.
#[derive(Debug, Default)]
pub(super) struct Deduplicating {
    /// Ids that exchanges have admitted: to be noted when the messages are.
    admitted: Vec<Own>,
    /// That of the message in hand, until it is known what becomes of it.
    in_hand: Option<Own>,
    /// Those of messages that wait for a plugin, with their places among these.
    waiting: VecDeque<(usize, Own)>,
    /// Ids that others have admitted and not noted yet: the confirms of duplicates wait for them.
    awaited: Vec<(Arc<Deduplicator>, IdHash)>,
    /// Something was noted, or was a duplicate: confirms wait for the open group.
    commit: bool,
}

impl Deduplicating {
    pub(super) fn is_empty(&self) -> bool {
        self.admitted.is_empty() && self.awaited.is_empty() && !self.commit
    }

    /// Takes duplicates out of what goes into a queue. Returns the ids that are to be noted with the others.
    pub(super) fn filter(
        &mut self,
        queue: &Handle,
        messages: &mut Vec<MessageRef>,
        input: &[u8],
        owned: &[Owned],
    ) -> Vec<Admitted> {
        let mut fresh = Vec::new();
        let Some(deduplicator) = &queue.deduplicator else {
            return fresh;
        };
        messages.retain(|message| {
            let properties = message.resolve(input, owned).properties;
            let Some(id) = deduplicator.id(properties) else {
                return true;
            };
            let verdict = deduplicator.admit(id, special::is_persistent(properties));
            match verdict {
                Verdict::New(admitted) => fresh.push(admitted),
                Verdict::Duplicate { pending } => {
                    self.commit = true;
                    // One that comes twice in this batch is noted with it.
                    if pending && !fresh.iter().any(|own| own.id == id) {
                        self.awaited.push((Arc::clone(deduplicator), id));
                    }
                }
            }
            matches!(verdict, Verdict::New(_))
        });
        fresh
    }

    /// The messages are in the queue.
    pub(super) fn note_queue(&mut self, queue: &Handle, fresh: &[Admitted], committer: &Committer) {
        if let Some(deduplicator) = &queue.deduplicator
            && !fresh.is_empty()
        {
            deduplicator.note(fresh, committer);
            self.commit = true;
        }
    }

    /// All messages are in their queues. Returns whether confirms wait for the open group.
    pub(super) fn flush(&mut self, committer: &Committer) -> bool {
        while let Some((deduplicator, first)) = self.admitted.pop() {
            let mut admitted = vec![first];
            self.admitted.retain(|(other, own)| {
                let same = Arc::ptr_eq(other, &deduplicator);
                if same {
                    admitted.push(*own);
                }
                !same
            });
            deduplicator.note(&admitted, committer);
            self.commit = true;
        }
        // One's own are noted by now, so that no two wait for one another.
        for (deduplicator, id) in self.awaited.drain(..) {
            deduplicator.wait_for(id);
        }
        std::mem::take(&mut self.commit)
    }

    /// The message in hand waits for a plugin, in this place, and its id, if it has one, waits with it.
    pub(super) fn wait(&mut self, place: usize) {
        if let Some(own) = self.in_hand.take() {
            self.waiting.push_back((place, own));
        }
    }

    /// It is known what becomes of the message that waited in this place. They are answered in their order.
    #[inline]
    pub(super) fn answered(&mut self, place: usize, outcome: &Outcome) {
        if let Some((_, own)) = self.waiting.pop_front_if(|(first, _)| *first == place) {
            self.conclude(own, Some(outcome));
        }
    }

    /// An id is noted with its message. If that reached nobody, it may come again.
    fn conclude(&mut self, own: Own, outcome: Option<&Outcome>) {
        match outcome {
            Some(Outcome::Routed | Outcome::Taken) => self.admitted.push(own),
            _ => own.0.forget(&own.1),
        }
    }

    /// Whether the message of this id waits for a plugin.
    fn waits(&self, deduplicator: &Arc<Deduplicator>, id: IdHash) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|(_, (other, own))| Arc::ptr_eq(other, deduplicator) && own.id == id)
    }

    fn is_own(&self, deduplicator: &Arc<Deduplicator>, id: IdHash) -> bool {
        let mut admitted = self.admitted.iter();
        admitted.any(|(other, own)| Arc::ptr_eq(other, deduplicator) && own.id == id)
    }
}

/// A connection that ends in the middle leaves nothing behind that others would wait for.
impl Drop for Deduplicating {
    fn drop(&mut self) {
        let waiting = self.waiting.drain(..).map(|(_, own)| own);
        let admitted = self.admitted.drain(..).chain(self.in_hand.take());
        for (deduplicator, admitted) in admitted.chain(waiting) {
            deduplicator.forget(&admitted);
        }
    }
}

impl Ingress {
    /// Collects a message that lies in `buffer`, or was put together. `may_write` is asked once for each new exchange and routing key.
    /// Messages that came before and waited for a plugin may be [answered](Ingress::take_answered) meanwhile.
    ///
    /// # Errors
    /// There is no such exchange, or the user may not write to it; nothing was collected.
    pub(in crate::runtime) fn collect(
        &mut self,
        buffer: &[u8],
        content: Content<'_>,
        ticket: Ticket,
        may_write: impl FnOnce(&VirtualHost, &str, &str) -> Result<(), Exception>,
    ) -> Result<Outcome, Exception> {
        self.resolve(&content, may_write)?;
        let Some(deduplicator) = self.routes.last.deduplicator.clone() else {
            return self.collect_resolved(buffer, content, ticket);
        };
        self.once(&deduplicator, buffer, content, |ingress, content| {
            ingress.collect_resolved(buffer, content, ticket)
        })
    }

    /// Has a message go on unless its exchange has seen its id.
    pub(super) fn once<'a>(
        &mut self,
        deduplicator: &Arc<Deduplicator>,
        buffer: &[u8],
        content: Content<'a>,
        go_on: impl FnOnce(&mut Self, Content<'a>) -> Result<Outcome, Exception>,
    ) -> Result<Outcome, Exception> {
        let Some(id) = deduplicator.id(content.properties()) else {
            return go_on(self, content);
        };
        if self.deduplicating.waits(deduplicator, id) {
            // Whether this is a duplicate depends on what becomes of the one before.
            self.answer_before(buffer);
        }
        let persistent = special::is_persistent(content.properties());
        let admitted = match deduplicator.admit(id, persistent) {
            Verdict::New(admitted) => admitted,
            Verdict::Duplicate { pending } => {
                self.deduplicating.commit = true;
                if pending && !self.deduplicating.is_own(deduplicator, id) {
                    let awaited = (Arc::clone(deduplicator), id);
                    self.deduplicating.awaited.push(awaited);
                }
                return Ok(Outcome::Taken);
            }
        };
        self.deduplicating.in_hand = Some((Arc::clone(deduplicator), admitted));
        let outcome = go_on(self, content);
        // If it waits for a plugin, its id does, too.
        if let Some(own) = self.deduplicating.in_hand.take() {
            self.deduplicating.conclude(own, outcome.as_ref().ok());
        }
        outcome
    }
}
