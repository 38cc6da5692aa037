//! What a group comes to, once its writes are seen in order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use amphora_core::store::{CommitGroup, Part, QueueId, RecordId, RecordRef, Write};
use bytes::Bytes;

/// The net effect of a group: at most one change per key.
///
/// A batch of the database gives all its entries one sequence number, so that two entries of one key would have no
/// order. What a group adds and removes again costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// Definitions by key, `None` for removed.
    pub(crate) definitions: BTreeMap<&'a Bytes, Option<&'a Bytes>>,
    /// Parts of settlements by queue, `None` for forgotten.
    pub(crate) settlements: BTreeMap<(QueueId, Part), Option<&'a Bytes>>,
    /// Records by id.
    pub(crate) records: BTreeMap<RecordId, RecordChange<'a>>,
    /// An id above every record's of the group, 0 if it has none.
    pub(crate) next_record: u64,
}

/// What happens to one record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RecordChange<'a> {
    Append {
        queue: QueueId,
        record: RecordRef,
        data: &'a Bytes,
    },
    Remove {
        queue: QueueId,
        record: RecordRef,
    },
}

impl<'a> Plan<'a> {
    /// Folds a group, given what is stored already.
    ///
    /// An append of a stored record and a removal of an absent one come to nothing, so that a group may be applied twice.
    pub(crate) fn new(group: &'a CommitGroup, is_stored: impl Fn(RecordId) -> bool) -> Self {
        let mut plan = Self::default();
        for write in &group.writes {
            match write {
                Write::PutDefinition { key, value } => {
                    plan.definitions.insert(key, Some(value));
                }
                Write::DeleteDefinition { key } => {
                    plan.definitions.insert(key, None);
                }
                Write::Append {
                    queue,
                    record,
                    data,
                } => {
                    plan.next_record = plan.next_record.max(record.id.0.saturating_add(1));
                    if !is_stored(record.id) {
                        plan.records
                            .entry(record.id)
                            .or_insert(RecordChange::Append {
                                queue: *queue,
                                record: *record,
                                data,
                            });
                    }
                }
                Write::Remove { queue, record } => {
                    plan.remove(*queue, *record, is_stored(record.id));
                }
                Write::Settle { queue, part, data } => {
                    plan.settlements.insert((*queue, *part), Some(data));
                }
                Write::Forget { queue, part } => {
                    plan.settlements.insert((*queue, *part), None);
                }
            }
        }
        plan
    }

    /// How many things the group changes.
    pub(crate) fn entries(&self) -> usize {
        self.definitions.len() + self.settlements.len() + self.records.len()
    }

    /// How many bytes the group's keys and values have, about.
    pub(crate) fn bytes(&self) -> u64 {
        let definitions = self
            .definitions
            .iter()
            .map(|(key, value)| key.len() + value.map_or(0, Bytes::len));
        let settlements = self
            .settlements
            .values()
            .map(|data| data.map_or(0, Bytes::len));
        let records = self.records.values().map(|change| match change {
            RecordChange::Append { data, .. } => data.len(),
            RecordChange::Remove { .. } => 0,
        });
        definitions
            .chain(settlements)
            .chain(records)
            .map(|bytes| bytes as u64)
            .sum()
    }

    /// Whether the group adds neither messages nor definitions.
    pub(crate) fn only_shrinks(&self) -> bool {
        self.definitions.values().all(Option::is_none)
            && self
                .records
                .values()
                .all(|change| matches!(change, RecordChange::Remove { .. }))
    }

    fn remove(&mut self, queue: QueueId, record: RecordRef, stored: bool) {
        match self.records.entry(record.id) {
            Entry::Occupied(entry) => {
                if matches!(entry.get(), RecordChange::Append { .. }) {
                    entry.remove();
                }
            }
            Entry::Vacant(entry) => {
                if stored {
                    entry.insert(RecordChange::Remove { queue, record });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: QueueId = QueueId(7);

    fn record(id: u64) -> RecordRef {
        RecordRef {
            id: RecordId(id),
            first: id,
            last: id,
            count: 1,
            bytes: 1,
            transient: false,
            bodies: None,
        }
    }

    fn append(id: u64) -> Write {
        Write::Append {
            queue: QUEUE,
            record: record(id),
            data: Bytes::from_static(b"x"),
        }
    }

    fn remove(id: u64) -> Write {
        Write::Remove {
            queue: QUEUE,
            record: record(id),
        }
    }

    /// The ids that the writes would append and remove when `stored` are there already.
    fn changes(writes: Vec<Write>, stored: &[u64]) -> (Vec<u64>, Vec<u64>) {
        let group = CommitGroup { writes };
        let plan = Plan::new(&group, |id| stored.contains(&id.0));
        let (appended, removed): (Vec<_>, Vec<_>) = plan
            .records
            .iter()
            .partition(|(_, change)| matches!(change, RecordChange::Append { .. }));
        let ids = |changes: Vec<(&RecordId, _)>| changes.into_iter().map(|(id, _)| id.0).collect();
        (ids(appended), ids(removed))
    }

    #[test]
    fn records_change_once() {
        assert_eq!(
            changes(vec![append(1), append(2)], &[]),
            (vec![1, 2], vec![])
        );
        assert_eq!(changes(vec![append(1), append(1)], &[]), (vec![1], vec![]));
        assert_eq!(
            changes(vec![append(1)], &[1]),
            (vec![], vec![]),
            "a retry appends nothing"
        );
        assert_eq!(changes(vec![remove(1), remove(1)], &[1]), (vec![], vec![1]));
        assert_eq!(
            changes(vec![remove(1)], &[]),
            (vec![], vec![]),
            "a retry removes nothing"
        );
        assert_eq!(
            changes(vec![append(1), remove(1)], &[]),
            (vec![], vec![]),
            "never written"
        );
        assert_eq!(changes(vec![append(1), remove(1)], &[1]), (vec![], vec![1]));
    }

    #[test]
    fn an_id_is_spent_even_if_its_record_is_never_written() {
        let group = CommitGroup {
            writes: vec![append(41), remove(41)],
        };
        assert_eq!(Plan::new(&group, |_| false).next_record, 42);
    }

    #[test]
    fn the_last_value_of_a_key_wins() {
        let (key, value) = (Bytes::from_static(b"key"), Bytes::from_static(b"value"));
        let group = CommitGroup {
            writes: vec![
                Write::DeleteDefinition { key: key.clone() },
                Write::PutDefinition {
                    key: key.clone(),
                    value: value.clone(),
                },
                Write::Settle {
                    queue: QUEUE,
                    part: Part::WHOLE,
                    data: value.clone(),
                },
                Write::Settle {
                    queue: QUEUE,
                    part: Part(1),
                    data: value.clone(),
                },
                Write::Forget {
                    queue: QUEUE,
                    part: Part::WHOLE,
                },
            ],
        };
        let plan = Plan::new(&group, |_| false);
        assert_eq!(
            plan.definitions.into_iter().collect::<Vec<_>>(),
            [(&key, Some(&value))]
        );
        assert_eq!(
            plan.settlements.into_iter().collect::<Vec<_>>(),
            [
                ((QUEUE, Part::WHOLE), None),
                ((QUEUE, Part(1)), Some(&value))
            ]
        );
    }
}
