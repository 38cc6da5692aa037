//! What the committer has taken and the store does not have yet.

use std::collections::HashSet;
use std::sync::Arc;

use amphora_core::store::{CommitGroup, Part, QueueId, RecordId, Write};
use bytes::Bytes;

use super::queue::SharedQueue;

/// A group on its way to the store.
///
/// While the store refuses it, what is noted meanwhile joins it: acknowledgements make it smaller, and so a full disk can be
/// drained.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    pub(super) group: CommitGroup,
    /// The queues whose changes are in it, each once.
    pub(super) dirty: Vec<Arc<SharedQueue>>,
    /// Those of them that have more to move to the disk than one group should have.
    pub(super) unfinished: Vec<Arc<SharedQueue>>,
    /// The epoch that is durable with it.
    pub(super) epoch: u64,
    /// Published bytes that it covers.
    pub(super) uncommitted: usize,
    /// It must be synced.
    pub(super) urgent: bool,
    /// Messages leave memory when it is stored.
    pub(super) spill: bool,
}

impl Gathering {
    /// The queues whose changes are in the group already. None at first, and that is nearly always.
    pub(super) fn known(&self) -> HashSet<QueueId> {
        self.dirty.iter().map(|queue| queue.id).collect()
    }

    /// Notes that the changes of a queue are in the group; with `more`, the next one should have it, too.
    pub(super) fn add(&mut self, queue: Arc<SharedQueue>, more: bool, known: &HashSet<QueueId>) {
        if more {
            self.unfinished.push(Arc::clone(&queue));
        }
        if !known.contains(&queue.id) {
            self.dirty.push(queue);
        }
    }

    /// Takes out what gives back space and depends on nothing else in the group; none if there is nothing of the kind.
    ///
    /// That are the removals and settlements of queues that add no record with this group. A record of shared bodies goes if
    /// nothing that stays refers to it.
    pub(super) fn split_relief(&mut self) -> Option<CommitGroup> {
        let adding: HashSet<QueueId> = self
            .group
            .writes
            .iter()
            .filter_map(|write| match write {
                Write::Append { queue, .. } => Some(*queue),
                _ => None,
            })
            .collect();
        let stays = |write: &Write| match write {
            Write::Remove { queue, .. }
            | Write::Settle { queue, .. }
            | Write::Forget { queue, .. } => adding.contains(queue),
            Write::Append { .. } | Write::PutDefinition { .. } | Write::DeleteDefinition { .. } => {
                true
            }
        };
        let shared = |write: &Write| {
            matches!(
                write,
                Write::Remove {
                    queue: QueueId::SHARED,
                    ..
                }
            )
        };
        let referred: HashSet<RecordId> = self
            .group
            .writes
            .iter()
            .filter(|write| !shared(write) && stays(write))
            .filter_map(|write| match write {
                Write::Append { record, .. } | Write::Remove { record, .. } => {
                    Some(record.bodies?.record)
                }
                _ => None,
            })
            .chain(self.group.writes.iter().filter_map(|write| match write {
                Write::Append {
                    queue: QueueId::SHARED,
                    record,
                    ..
                } => Some(record.id),
                _ => None,
            }))
            .collect();
        let (staying, relief): (Vec<Write>, Vec<Write>) = std::mem::take(&mut self.group.writes)
            .into_iter()
            .partition(|write| match write {
                Write::Remove {
                    queue: QueueId::SHARED,
                    record,
                } => referred.contains(&record.id),
                write => stays(write),
            });
        self.group.writes = staying;
        (!relief.is_empty()).then_some(CommitGroup { writes: relief })
    }

    /// Puts back what was taken out and refused.
    pub(super) fn put_back(&mut self, mut relief: CommitGroup) {
        // It touches nothing that stayed, so the order between the two is of no consequence.
        self.group.writes.append(&mut relief.writes);
    }

    /// Drops what later writes of the group make needless, so that it does not grow while the store refuses it.
    ///
    /// Nothing of the group may be in the store.
    pub(super) fn compact(&mut self) {
        let mut appended: HashSet<RecordId> = HashSet::new();
        let mut cancelled: HashSet<RecordId> = HashSet::new();
        for write in &self.group.writes {
            match write {
                Write::Append { record, .. } => {
                    appended.insert(record.id);
                }
                Write::Remove { record, .. } if appended.contains(&record.id) => {
                    cancelled.insert(record.id);
                }
                _ => {}
            }
        }
        let mut settled: HashSet<(QueueId, Part)> = HashSet::new();
        let mut defined: HashSet<Bytes> = HashSet::new();
        let mut kept: Vec<Write> = std::mem::take(&mut self.group.writes)
            .into_iter()
            .rev()
            .filter(|write| match write {
                Write::Append { record, .. } | Write::Remove { record, .. } => {
                    !cancelled.contains(&record.id)
                }
                Write::Settle { queue, part, .. } | Write::Forget { queue, part } => {
                    settled.insert((*queue, *part))
                }
                Write::PutDefinition { key, .. } | Write::DeleteDefinition { key } => {
                    defined.insert(key.clone())
                }
            })
            .collect();
        kept.reverse();
        self.group.writes = kept;
    }
}

#[cfg(test)]
mod tests {
    use amphora_core::store::{BodiesRef, RecordRef};

    use super::*;

    fn record(id: u64, bodies: Option<u64>) -> RecordRef {
        RecordRef {
            id: RecordId(id),
            first: id,
            last: id,
            count: 1,
            bytes: 1,
            transient: false,
            bodies: bodies.map(|record| BodiesRef {
                record: RecordId(record),
                bytes: 1,
            }),
        }
    }

    fn append(queue: u32, record: RecordRef) -> Write {
        Write::Append {
            queue: QueueId(queue),
            record,
            data: Bytes::from_static(b"x"),
        }
    }

    fn remove(queue: u32, record: RecordRef) -> Write {
        Write::Remove {
            queue: QueueId(queue),
            record,
        }
    }

    fn settle(queue: u32, data: &'static [u8]) -> Write {
        settle_part(queue, 0, data)
    }

    fn settle_part(queue: u32, part: u64, data: &'static [u8]) -> Write {
        Write::Settle {
            queue: QueueId(queue),
            part: Part(part),
            data: Bytes::from_static(data),
        }
    }

    fn forget(queue: u32, part: u64) -> Write {
        Write::Forget {
            queue: QueueId(queue),
            part: Part(part),
        }
    }

    fn gathering(writes: Vec<Write>) -> Gathering {
        Gathering {
            group: CommitGroup { writes },
            ..Gathering::default()
        }
    }

    #[test]
    fn what_is_added_and_removed_again_costs_nothing() {
        let mut gathering = gathering(vec![
            append(1, record(5, None)),
            settle(1, b"early"),
            settle_part(1, 7, b"early"),
            settle_part(1, 8, b"stays"),
            append(1, record(6, None)),
            remove(1, record(4, None)),
            remove(1, record(5, None)),
            settle(1, b"late"),
            forget(1, 7),
        ]);
        gathering.compact();
        assert_eq!(
            gathering.group.writes,
            [
                settle_part(1, 8, b"stays"),
                append(1, record(6, None)),
                remove(1, record(4, None)),
                settle(1, b"late"),
                forget(1, 7),
            ]
        );
    }

    #[test]
    fn relief_is_of_queues_that_add_nothing() {
        let mut gathering = gathering(vec![
            append(1, record(9, None)),
            settle(1, b"adds"),
            remove(2, record(3, None)),
            settle(2, b"drained"),
            forget(3, 0),
        ]);
        let relief = gathering.split_relief().expect("there is some");
        assert_eq!(
            relief.writes,
            [
                remove(2, record(3, None)),
                settle(2, b"drained"),
                forget(3, 0),
            ]
        );
        assert_eq!(
            gathering.group.writes,
            [append(1, record(9, None)), settle(1, b"adds")]
        );
        assert!(gathering.split_relief().is_none());
        gathering.put_back(relief);
        assert_eq!(gathering.group.writes.len(), 5);
    }

    #[test]
    fn shared_bodies_go_when_nothing_that_stays_refers_to_them() {
        let mut gathering = gathering(vec![
            append(1, record(9, None)),
            // Both bodies are unused after this group; one of them had a message in the queue that adds something.
            remove(1, record(4, Some(2))),
            remove(2, record(5, Some(2))),
            remove(2, record(6, Some(3))),
            remove(QueueId::SHARED.0, record(2, None)),
            remove(QueueId::SHARED.0, record(3, None)),
        ]);
        let relief = gathering.split_relief().expect("there is some");
        assert_eq!(
            relief.writes,
            [
                remove(2, record(5, Some(2))),
                remove(2, record(6, Some(3))),
                remove(QueueId::SHARED.0, record(3, None)),
            ]
        );
    }
}
