//! The ids of a transaction, which are decided about before any of its messages is published.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use amphora_core::deduplication::IdHash;
use amphora_protocol::exception::Exception;
use foldhash::fast::RandomState;

use super::{Ingress, names};
use crate::runtime::batch::Owned;
use crate::runtime::deduplication::{Admitted, Deduplicator, Verdict};
use crate::runtime::special;

/// What is known of messages with an id before they come.
#[derive(Debug)]
struct Reservation {
    deduplicator: Arc<Deduplicator>,
    /// In the order of the messages; nothing for a duplicate.
    admitted: VecDeque<Option<Admitted>>,
}

/// Reservations, by the address of the deduplicator, which they keep, and the id. What is left in the end may come again.
#[derive(Debug, Default)]
pub(super) struct Reserved(HashMap<(usize, IdHash), Reservation, RandomState>);

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
    /// What was decided about the next message with this id, if that was reserved.
    pub(super) fn take(&mut self, deduplicator: &Arc<Deduplicator>, id: IdHash) -> Option<Verdict> {
        let reservation = self.0.get_mut(&key(deduplicator, id))?;
        let Some(admitted) = reservation.admitted.pop_front()? else {
            deduplicator.count_dropped();
            return Some(Verdict::Duplicate);
        };
        Some(Verdict::New(admitted))
    }

    /// Gives back what no message came for.
    pub(super) fn release(&mut self) {
        for (_, reservation) in std::mem::take(&mut self.0) {
            for admitted in reservation.admitted.into_iter().flatten() {
                reservation.deduplicator.forget(&admitted);
            }
        }
    }

    fn add(&mut self, deduplicator: Arc<Deduplicator>, id: IdHash, admitted: Option<Admitted>) {
        let key = key(&deduplicator, id);
        let reservation = self.0.entry(key).or_insert_with(|| Reservation {
            deduplicator,
            admitted: VecDeque::new(),
        });
        reservation.admitted.push_back(admitted);
    }

    fn has(&self, deduplicator: &Arc<Deduplicator>, id: IdHash) -> bool {
        self.0.contains_key(&key(deduplicator, id))
    }
}

fn key(deduplicator: &Arc<Deduplicator>, id: IdHash) -> (usize, IdHash) {
    (Arc::as_ptr(deduplicator).addr(), id)
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
            self.deduplicating.reserved.add(deduplicator, id, admitted);
        }
        Ok(None)
    }

    /// All messages that ids were reserved for were published.
    pub(in crate::runtime) fn release_reserved(&mut self) {
        self.deduplicating.reserved.release();
    }
}
