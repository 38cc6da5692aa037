//! Messages whose exchange or queue takes each id once.

use std::collections::VecDeque;
use std::sync::Arc;

use amphora_core::deduplication::IdHash;
use amphora_protocol::connection::Content;
use amphora_protocol::exception::Exception;

use super::reserving::Reserved;
use super::{Ingress, Outcome, Ticket};
use crate::runtime::batch::{MessageRef, Owned};
use crate::runtime::committer::Committer;
use crate::runtime::deduplication::{Admitted, Deduplicator, Verdict};
use crate::runtime::special;
use crate::runtime::vhost::{Handle, VirtualHost};

/// An id that an exchange has admitted.
type Own = (Arc<Deduplicator>, Admitted);

/// A message whose id somebody else has admitted: what becomes of that one decides whether this one is a duplicate.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Later {
    pub(in crate::runtime) message: Owned,
    deduplicator: Arc<Deduplicator>,
    id: IdHash,
}

impl Later {
    /// Waits until the message may be published again, and is a duplicate or takes the other one's place. Who waits must have flushed what it
    /// has collected itself, so that no two wait for one another.
    pub(in crate::runtime) async fn decided(self) -> Owned {
        self.deduplicator.decided(self.id).await;
        self.message
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.deduplicator, &other.deduplicator)
    }
}

impl Eq for Later {}

/// What a flush has to do about the ids of the messages that were collected.
#[derive(Debug, Default)]
pub(super) struct Deduplicating {
    /// Ids that exchanges have admitted: to be noted when the messages are.
    admitted: Vec<Own>,
    /// That of the message in hand, until it is known what becomes of it.
    in_hand: Option<Own>,
    /// Those of messages that wait for a plugin, with their places among these.
    waiting: VecDeque<(usize, Own)>,
    /// Those of messages that are still to come.
    pub(super) reserved: Reserved,
    /// Something was noted, or was a duplicate: confirms wait for the open group.
    commit: bool,
}

impl Deduplicating {
    pub(super) fn is_empty(&self) -> bool {
        self.admitted.is_empty() && !self.commit
    }

    /// Takes duplicates out of what goes into a queue. Returns the ids that are to be [noted](Self::note_queue) with the others. To be called
    /// under the queue's lock, as the messages go in: so what is pending is in the queue, and the committer knows.
    pub(super) fn filter(
        &mut self,
        queue: &Handle,
        messages: &mut Vec<MessageRef>,
        (input, owned): (&[u8], &[Owned]),
        committer: &Committer,
    ) -> Vec<Admitted> {
        let mut fresh: Vec<Admitted> = Vec::new();
        let Some(deduplicator) = &queue.deduplicator else {
            return fresh;
        };
        messages.retain(|message| {
            let properties = message.resolve(input, owned).properties;
            let Some(id) = deduplicator.id(properties) else {
                return true;
            };
            match deduplicator.admit_and_enter(id, special::is_persistent(properties)) {
                Verdict::New(admitted) => {
                    fresh.push(admitted);
                    return true;
                }
                Verdict::Duplicate => {}
                Verdict::Pending(before) => {
                    deduplicator.count_dropped();
                    // The confirm of this one says that the id is durable. One that comes twice in this batch is noted with it.
                    if !fresh.contains(&before) {
                        deduplicator.note(&[before], committer);
                    }
                }
            }
            self.commit = true;
            false
        });
        fresh
    }

    /// The messages are in the queue, and the committer knows.
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
            Some(Outcome::Routed | Outcome::Taken) => {
                own.0.enter(&own.1);
                self.admitted.push(own);
            }
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
        self.reserved.release();
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
        let reserved = self.deduplicating.reserved.take(deduplicator, id);
        let verdict = reserved.unwrap_or_else(|| deduplicator.admit(id, persistent));
        let admitted = match verdict {
            Verdict::New(admitted) => admitted,
            Verdict::Pending(_) if !self.deduplicating.is_own(deduplicator, id) => {
                return Ok(Outcome::Later(Box::new(Later {
                    message: content.into(),
                    deduplicator: Arc::clone(deduplicator),
                    id,
                })));
            }
            verdict => {
                if verdict != Verdict::Duplicate {
                    deduplicator.count_dropped();
                }
                self.deduplicating.commit = true;
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
