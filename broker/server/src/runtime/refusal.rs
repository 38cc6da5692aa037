//! What is done while the store refuses: it is tried again and again, and nothing is lost meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use amphora_core::queue::Records;
use amphora_core::store::{Durability, QueueId, RecordRef, StoreError};
use bytes::Bytes;

use super::committer::Committer;
use super::gathering::Gathering;

/// How long the store is left alone after it has refused.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// After this long without a successful commit, publishers that wait are told that their messages are not safe.
const REFUSE_AFTER: Duration = Duration::from_secs(5);

impl Committer {
    /// Commits, again and again if the store refuses. False if it is no use any more.
    pub(super) fn commit(
        self: &Arc<Self>,
        gathering: &mut Gathering,
        records: &mut Records,
    ) -> bool {
        let begun = Instant::now();
        loop {
            let durability = if gathering.urgent {
                self.durability
            } else {
                Durability::Os
            };
            let asked = Instant::now();
            let span = self.counters.begin(&gathering.group, durability);
            let committed = self.store.commit(&gathering.group, durability);
            drop(span);
            let Err(error) = committed else {
                let took = asked.elapsed();
                self.counters.end(&gathering.group, durability, took);
                if self.failing.swap(false, Ordering::AcqRel) {
                    tracing::info!("the storage takes messages again");
                    self.tell_publishers();
                }
                return true;
            };
            self.counters.failures.add(1);
            if !self.failing.swap(true, Ordering::AcqRel) {
                tracing::error!(%error, "the storage refuses messages: publishers are blocked");
                self.tell_publishers();
            }
            if self.is_stopping() {
                tracing::error!(%error, "stopping with messages that were never confirmed");
                return false;
            }
            if begun.elapsed() > REFUSE_AFTER {
                let durable = self.durable_epoch();
                self.tell(|outbox| {
                    outbox.give_up_confirms(durable);
                    false
                });
            }
            std::thread::sleep(RETRY_DELAY);
            self.gather(gathering, records);
            gathering.compact();
            self.relieve(gathering);
        }
    }

    /// Commits what gives back space on its own, as the rest may be too large for what there is.
    fn relieve(&self, gathering: &mut Gathering) {
        let Some(relief) = gathering.split_relief() else {
            return;
        };
        if self.store.commit(&relief, Durability::Os).is_err() {
            gathering.put_back(relief);
        }
    }

    fn tell_publishers(&self) {
        self.failing_changed.notify_waiters();
        self.alarm_changed.notify_one();
    }

    /// Reads a record, however long the store takes to be able to. Blocks.
    ///
    /// # Errors
    /// The record is damaged; or the store cannot read, and the broker stops.
    pub(super) fn read(&self, queue: QueueId, record: &RecordRef) -> Result<Bytes, StoreError> {
        let mut told = false;
        loop {
            match self.store.read(queue, record) {
                Err(error @ StoreError::Unavailable(_)) => {
                    if self.is_stopping() {
                        return Err(error);
                    }
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "messages cannot be read back; trying again");
                    }
                    std::thread::sleep(RETRY_DELAY);
                }
                done => return done,
            }
        }
    }
}
