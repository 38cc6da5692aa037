//! The store behind the queue: commits, crashes, and what is read back.

use super::*;
use crate::store::{CommitGroup, Part, RecordId, RecordRef, RecoveredQueue, Write};

/// A store that is a map, and forgets what was not committed.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) records: BTreeMap<RecordId, (RecordRef, Bytes)>,
    pub(super) settlement: BTreeMap<Part, Bytes>,
}

impl Disk {
    /// What it has of the queue after a crash.
    pub(super) fn recovered(&mut self) -> RecoveredQueue {
        self.records.retain(|_, (record, _)| !record.transient);
        let records = self.records.values().map(|(record, _)| *record);
        let mut records: Vec<RecordRef> = records.collect();
        records.sort_by_key(|record| record.first);
        RecoveredQueue {
            queue: QueueId(1),
            records,
            settlement: self.settlement.clone(),
        }
    }

    pub(super) fn apply(&mut self, group: CommitGroup) {
        for write in group.writes {
            match write {
                Write::Append { record, data, .. } => {
                    assert!(self.records.insert(record.id, (record, data)).is_none());
                }
                Write::Remove { record, .. } => {
                    assert!(
                        self.records.remove(&record.id).is_some(),
                        "removed twice: {record:?}"
                    );
                }
                Write::Settle { part, data, .. } => drop(self.settlement.insert(part, data)),
                Write::Forget { part, .. } => {
                    let there = self.settlement.remove(&part);
                    assert!(there.is_some() || part == Part::WHOLE, "{part:?}");
                }
                Write::PutDefinition { .. } | Write::DeleteDefinition { .. } => unreachable!(),
            }
        }
    }
}

/// What a crash brings back.
#[derive(Default)]
pub(super) struct Committed {
    pub(super) live: BTreeMap<Position, Known>,
    pub(super) dying: BTreeSet<Position>,
    pub(super) attempts: BTreeMap<Position, Attempts>,
    pub(super) published: u64,
}

impl World {
    pub(super) fn commit(&mut self, spill: bool) {
        let mut group = CommitGroup::default();
        let mut taking = Taking::new(spill);
        while !(self.queue).take_commit(&mut group, &mut self.records, &mut taking) {}
        self.disk.apply(group);
        self.queue.committed(spill);
        let live = self.live.iter().filter(|(_, known)| known.persistent);
        let live: BTreeMap<_, _> = live.map(|(&at, &known)| (at, known)).collect();
        let is_live = |at: &&Position| live.contains_key(*at);
        self.committed = Committed {
            dying: self.dying.iter().filter(is_live).copied().collect(),
            attempts: (self.attempts.iter())
                .filter(|(at, _)| is_live(at))
                .map(|(&at, &attempts)| (at, attempts))
                .collect(),
            published: self.published,
            live,
        };
    }

    /// The broker ends and comes back with what the disk has; without a word, if it does not commit before.
    pub(super) fn crash(&mut self, commit: bool) {
        if commit {
            self.commit(false);
        }
        let recovered = self.disk.recovered();
        let committed = &self.committed;
        self.live = committed.live.clone();
        self.dying = committed.dying.iter().copied().collect();
        self.held_up = 0;
        self.attempts = committed.attempts.clone();
        self.published = committed.published;
        self.settled = self.published - self.live.len() as u64;
        self.queue = recover(recovered).expect("recovers");
        self.queue.configure(&self.arguments);
        self.queue.tell_time(self.now);
        self.queue.wake();
        (self.given_up, self.rejected) = (0, 0);
        (self.exhausted, self.refused, self.redelivered) = (0, 0, 0);
        self.consumers.clear();
        self.held.clear();
        self.got.clear();
        self.connections = Connections::default();
        let waits = |at: &&Position| self.waits(**at) && !self.dying.contains(at);
        let waiting = self.live.keys().filter(waits).count();
        assert_eq!(
            self.queue.ready_count(),
            (self.live.len() - self.dying.len() - waiting) as u64,
            "after the crash"
        );
        self.dispatch();
    }

    pub(super) fn page_in(&mut self) {
        let mut requests = self.queue.take_wanted();
        self.reads += 1;
        if self.late && self.reads.is_multiple_of(3) {
            // Memory is short meanwhile. It is not every time, or what was read would never be seen.
            self.queue.committed(true);
            requests.reverse();
        }
        for request in &requests {
            self.answer(request);
        }
        self.dispatch();
    }

    /// Brings what was asked for.
    pub(super) fn answer(&mut self, request: &PageIn) {
        let stored = |_, record: &RecordRef| {
            let stored = self.disk.records.get(&record.id);
            stored.map(|(_, data)| data.clone()).ok_or("not stored")
        };
        let data = request.read(stored).expect("stored");
        self.queue
            .page_in(request.base, &data)
            .expect("well-formed");
    }
}
