//! What commits cost, and the spans of some.

use std::time::Duration;

use amphora_core::store::{CommitGroup, Durability};
use tracing::Span;

use super::counters::Figure;
use super::histogram::{AMOUNTS, Histogram, LATENCIES};
use crate::logging::spans;
use crate::management::snapshot::StoreSnapshot;

/// Figures of the commits, kept by the committer.
#[derive(Debug)]
pub(crate) struct CommitCounters {
    /// Commits that were tried.
    commits: Figure,
    pub(super) failures: Figure,
    /// How long commits took whose groups were synced, and others.
    synced: Histogram<{ LATENCIES.len() }>,
    unsynced: Histogram<{ LATENCIES.len() }>,
    /// How many changes a group had, and how many bytes.
    writes: Histogram<{ AMOUNTS.len() }>,
    bytes: Histogram<{ AMOUNTS.len() }>,
}

impl Default for CommitCounters {
    fn default() -> Self {
        Self {
            commits: Figure::default(),
            failures: Figure::default(),
            synced: Histogram::new(&LATENCIES),
            unsynced: Histogram::new(&LATENCIES),
            writes: Histogram::new(&AMOUNTS),
            bytes: Histogram::new(&AMOUNTS),
        }
    }
}

/// Only for the committer, but for the snapshot.
impl CommitCounters {
    /// A commit begins; some have a span.
    pub(super) fn begin(&self, group: &CommitGroup, durability: Durability) -> Option<Span> {
        let number = self.commits.get();
        self.commits.add(1);
        spans::has_commit(number).then(|| {
            tracing::info_span!(
                target: spans::TARGET,
                "commit",
                changes = group.writes.len(),
                bytes = group.bytes(),
                synced = durability == Durability::Fsync,
            )
        })
    }

    /// A commit is done.
    pub(super) fn end(&self, group: &CommitGroup, durability: Durability, took: Duration) {
        let latencies = match durability {
            Durability::Fsync => &self.synced,
            Durability::Os => &self.unsynced,
        };
        latencies.count(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.writes.count(group.writes.len() as u64);
        self.bytes.count(group.bytes() as u64);
    }

    pub(super) fn snapshot(&self, uncommitted: usize) -> StoreSnapshot {
        StoreSnapshot {
            synced: self.synced.snapshot(),
            unsynced: self.unsynced.snapshot(),
            writes: self.writes.snapshot(),
            bytes: self.bytes.snapshot(),
            failures: self.failures.get(),
            uncommitted_bytes: uncommitted as u64,
        }
    }
}
