//! The ids of a transaction, which are decided about before any of its messages is published.

use std::collections::VecDeque;
use std::sync::Arc;

use amphora_core::deduplication::IdHash;
use amphora_protocol::exception::Exception;

use super::{Ingress, names};
use crate::runtime::batch::Owned;
use crate::runtime::deduplication::{Admitted, Deduplicator, Verdict};
use crate::runtime::special;

/// What is known of a message's id before the message comes.
#[derive(Debug)]
struct Reservation {
    deduplicator: Arc<Deduplicator>,
    id: IdHash,
    /// Nothing if the message is a duplicate.
    admitted: Option<Admitted>,
}

/// Reservations, in the order of the messages. What is left in the end may come again.
#[derive(Debug, Default)]
pub(super) struct Reserved(VecDeque<Reservation>);

/// An id that somebody else has admitted, and about which nothing is decided yet.
#[derive(Debug)]
pub(in crate::runtime) struct Undecided {
    deduplicator: Arc<Deduplicator>,
    id: IdHash,
}

impl Undecided {
    /// Waits for the decision.
    pub(in crate::runtime) async fn decided(self) {
        self.deduplicator.decided(self.id).await;
    }
}

impl Reserved {
    /// What was decided about the next message, if that was reserved.
    pub(super) fn take(&mut self, deduplicator: &Arc<Deduplicator>, id: IdHash) -> Option<Verdict> {
        // One whose message did not come in the end stands in front of others.
        let place = self
            .0
            .iter()
            .position(|reservation| reservation.is(deduplicator, id))?;
        let reservation = self.0.remove(place)?;
        let Some(admitted) = reservation.admitted else {
            deduplicator.count_dropped();
            return Some(Verdict::Duplicate);
        };
        Some(Verdict::New(admitted))
    }

    /// Gives back what no message came for.
    pub(super) fn release(&mut self) {
        for reservation in self.0.drain(..) {
            if let Some(admitted) = reservation.admitted {
                reservation.deduplicator.forget(&admitted);
            }
        }
    }

    fn has(&self, deduplicator: &Arc<Deduplicator>, id: IdHash) -> bool {
        let mut all = self.0.iter();
        all.any(|reservation| reservation.is(deduplicator, id))
    }
}

impl Reservation {
    fn is(&self, deduplicator: &Arc<Deduplicator>, id: IdHash) -> bool {
        self.id == id && Arc::ptr_eq(&self.deduplicator, deduplicator)
    }
}

impl Ingress {
    /// Decides about the ids of messages that are published next, in this order, so that none of them has to wait for somebody else's when others are
    /// collected already. Returns an id about which that cannot be said yet; nothing is reserved then, so that no two wait for one another.
    ///
    /// # Errors
    /// A target is damaged.
    pub(in crate::runtime) fn reserve<'a>(
        &mut self,
        messages: impl Iterator<Item = &'a Owned>,
    ) -> Result<Option<Undecided>, Exception> {
        for message in messages {
            let (exchange, _) = names(&message.target)?;
            let Some(deduplicator) = self.vhost.deduplicators.find(exchange) else {
                continue;
            };
            let Some(id) = deduplicator.id(&message.properties) else {
                continue;
            };
            let persistent = special::is_persistent(&message.properties);
            let admitted = match deduplicator.look_up(id, persistent) {
                Verdict::New(admitted) => Some(admitted),
                Verdict::Duplicate => None,
                // Whether it is a duplicate depends on what becomes of the one before in the same transaction.
                Verdict::Pending(_) if self.deduplicating.reserved.has(&deduplicator, id) => {
                    continue;
                }
                Verdict::Pending(_) => {
                    self.release_reserved();
                    return Ok(Some(Undecided { deduplicator, id }));
                }
            };
            self.deduplicating.reserved.0.push_back(Reservation {
                deduplicator,
                id,
                admitted,
            });
        }
        Ok(None)
    }

    /// All messages that ids were reserved for were published.
    pub(in crate::runtime) fn release_reserved(&mut self) {
        self.deduplicating.reserved.release();
    }
}
