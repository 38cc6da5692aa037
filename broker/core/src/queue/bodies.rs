//! Records as the committer counts them, and the bodies that messages of several queues share.
//!
//! A body that a fanout put into many queues is in memory once, and everything that has it holds the same handle. When the
//! committer takes such a message, the body goes into a record of its own kind, which belongs to [`QueueId::SHARED`], and the queue's
//! record says where it is. What another queue has of the same body in the same group refers to the same place.
//!
//! A record of bodies is appended in one group with the first records that refer to it, and removed in one group with
//! the last; groups are atomic, and so it is there exactly as long as it is needed. How many refer to it is not stored: the index
//! of the records says so at start.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use foldhash::fast::FixedState;

use crate::store::{CommitGroup, QueueId, RecordId, RecordRef, Recovered, RecoveredQueue, Write};

use super::cutter::{LONE_BODY_MIN, RECORD_BYTES};
use super::record::RecordWriter;
use super::recovery::RecoveryError;

/// Where a shared body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The record of bodies.
    pub(crate) record: RecordId,
    /// Where it begins in that record.
    pub(crate) offset: u32,
}

/// Gives every record its id, lends the memory to build it in, and knows which records of bodies are stored. There is one value of it
/// for one store.
#[derive(Debug, Default)]
pub struct Records {
    next: u64,
    stored: HashMap<RecordId, Stored, FixedState>,
    /// Where the bodies of the group that is being gathered are, by the address and length that all their handles have.
    places: HashMap<(usize, usize), Place, FixedState>,
    /// That group's records of bodies; the last one may be added to.
    gathered: Vec<Gathered>,
    /// Builds the records of queues, one after the other in the same memory. Empty in between.
    pub(super) writer: RecordWriter,
}

#[derive(Debug)]
struct Stored {
    bytes: u32,
    referring: u32,
}

#[derive(Debug)]
struct Gathered {
    id: RecordId,
    bodies: Vec<Bytes>,
    bytes: usize,
}

impl Records {
    /// For an empty store, or one that never held shared bodies; starts at an id that was never used.
    pub fn starting_at(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// For a store that was just read. Takes the records of bodies out of it, and returns with them what must be removed because
    /// nothing refers to it: only messages that need not survive a restart did.
    ///
    /// # Errors
    /// A record refers to bodies that are not there.
    pub fn recover(recovered: &mut Recovered) -> Result<(Self, Vec<Write>), RecoveryError> {
        let mut records = Self::starting_at(recovered.next_record);
        let is_bodies = |queue: &RecoveredQueue| queue.queue == QueueId::SHARED;
        if let Some(at) = recovered.queues.iter().position(is_bodies) {
            for RecordRef { id, bytes, .. } in recovered.queues.remove(at).records {
                let referring = 0;
                records.stored.insert(id, Stored { bytes, referring });
            }
        }
        for queue in &recovered.queues {
            for record in &queue.records {
                let Some(bodies) = record.bodies else {
                    continue;
                };
                let stored = records.stored.get_mut(&bodies.record);
                let stored = stored.ok_or_else(|| RecoveryError {
                    queue: queue.queue,
                    reason: format!(
                        "record {} (positions {} to {}) refers to bodies in record {}, which is missing",
                        record.id.0, record.first, record.last, bodies.record.0
                    ),
                })?;
                stored.referring += 1;
            }
        }
        let all: Vec<_> = records.stored.keys().copied().collect();
        let unused = all.into_iter().filter_map(|id| records.drop_if_unused(id));
        let unused = unused.collect();
        Ok((records, unused))
    }

    /// Whether no shared bodies are stored.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    pub(crate) fn next(&mut self) -> RecordId {
        self.next += 1;
        RecordId(self.next - 1)
    }

    /// The place of a body in the group that is being gathered.
    pub(crate) fn place(&mut self, body: &Bytes) -> Place {
        let identity = (body.as_ptr().addr(), body.len());
        if let Some(&place) = self.places.get(&identity) {
            return place;
        }
        let alone = body.len() > LONE_BODY_MIN;
        let open = |last: &&mut Gathered| !alone && last.bytes + body.len() <= RECORD_BYTES;
        let place = if let Some(last) = self.gathered.last_mut().filter(open) {
            let offset = u32::try_from(last.bytes).unwrap_or(u32::MAX);
            last.bodies.push(body.clone());
            last.bytes += body.len();
            Place {
                record: last.id,
                offset,
            }
        } else {
            let id = self.next();
            self.gathered.push(Gathered {
                id,
                bodies: vec![body.clone()],
                bytes: body.len(),
            });
            Place {
                record: id,
                offset: 0,
            }
        };
        self.places.insert(identity, place);
        place
    }

    /// Completes a group, after everything was taken that is to be in it: adds the bodies that its records refer to, and removes those
    /// that no record refers to any more.
    pub fn complete(&mut self, group: &mut CommitGroup) {
        self.places.clear();
        for Gathered { id, bodies, bytes } in self.gathered.drain(..) {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let referring = 0;
            self.stored.insert(id, Stored { bytes, referring });
            group.writes.push(Write::Append {
                queue: QueueId::SHARED,
                record: RecordRef::of_bodies(id, bytes),
                data: joined(bodies),
            });
        }
        if self.stored.is_empty() {
            return;
        }
        let mut released = Vec::new();
        for write in &group.writes {
            match write {
                Write::Append { record, .. } => {
                    if let Some(stored) = self.referred_by(record) {
                        stored.referring += 1;
                    }
                }
                Write::Remove { record, .. } => {
                    if let Some(stored) = self.referred_by(record) {
                        debug_assert_ne!(stored.referring, 0, "{record:?} was removed twice");
                        stored.referring = stored.referring.saturating_sub(1);
                        released.extend(record.bodies.map(|bodies| bodies.record));
                    }
                }
                _ => {}
            }
        }
        let unused = released
            .into_iter()
            .filter_map(|id| self.drop_if_unused(id));
        group.writes.extend(unused);
    }

    fn referred_by(&mut self, record: &RecordRef) -> Option<&mut Stored> {
        self.stored.get_mut(&record.bodies?.record)
    }

    /// Forgets a record of bodies if nothing refers to it; it must be removed then.
    fn drop_if_unused(&mut self, id: RecordId) -> Option<Write> {
        let Entry::Occupied(entry) = self.stored.entry(id) else {
            return None;
        };
        if entry.get().referring > 0 {
            return None;
        }
        Some(Write::Remove {
            queue: QueueId::SHARED,
            record: RecordRef::of_bodies(id, entry.remove().bytes),
        })
    }
}

/// The bodies one behind the other; a single one is not copied.
fn joined(bodies: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(bodies) {
        Ok([body]) => body,
        Err(bodies) => bodies.concat().into(),
    }
}
