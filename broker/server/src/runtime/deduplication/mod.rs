//! Deduplication at work: what was seen, which of it is on its way, and what the store knows.
//!
//! An id becomes durable with its message's group or a later one, never before: so a message that a crash takes away may come again. The
//! publisher's confirm waits for both, and so does that of a duplicate; so what was confirmed is a duplicate afterwards.

mod exchanges;
mod runs;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::deduplication::{Admission, Deduplication, IdHash, Window};
use amphora_core::definition::{ExchangeDefinition, QueueDefinition};
use amphora_core::store::Write;
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::types::VhostName;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::committer::Committer;
use super::timers::now_ms;

pub(super) use self::exchanges::{Deduplicators, restore};
use self::runs::{Entry, Runs};
pub(super) use self::runs::{Owner, Stored};

/// The ids of one exchange or queue. A leaf in the order of locks, except that what is admitted may be published before it is noted.
#[derive(Debug)]
pub(super) struct Deduplicator {
    arguments: Deduplication,
    seen: Mutex<Seen>,
    /// Ids that were pending are noted, or forgotten.
    decided: Notify,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Seen {
    window: Window,
    /// Ids that are neither noted nor forgotten yet.
    pending: HashMap<IdHash, Admitted, RandomState>,
    /// What the store has; nothing if the owner does not outlive a restart.
    runs: Option<Runs>,
}

impl Seen {
    /// Whether it was pending. If the window has let it go meanwhile, another one may have the id.
    fn take_pending(&mut self, admitted: &Admitted) -> bool {
        let same = self.pending.get(&admitted.id) == Some(admitted);
        if same {
            self.pending.remove(&admitted.id);
        }
        same
    }
}

/// What becomes of a message with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on, and its id is to be [noted](Deduplicator::note) with it or [forgotten](Deduplicator::forget).
    New(Admitted),
    /// It goes nowhere: one before it is noted.
    Duplicate,
    /// One before it was admitted, and is neither noted nor forgotten yet.
    Pending(Admitted),
}

/// An id that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) id: IdHash,
    number: u64,
    at: u64,
    /// It is stored: its message is.
    persistent: bool,
}

impl Deduplicator {
    /// That of an exchange, if it has one.
    pub(super) fn of_exchange(
        vhost: &VhostName,
        exchange: &ExchangeDefinition,
    ) -> Option<Arc<Self>> {
        // The arguments were checked when it was declared.
        let arguments = Deduplication::parse(&exchange.arguments, "")
            .ok()
            .flatten()?;
        let owner = Owner::Exchange(vhost.clone(), exchange.name.clone());
        Some(Self::new(arguments, exchange.durable.then_some(owner)))
    }

    /// That of a queue, if it has one.
    pub(super) fn of_queue(queue: &QueueDefinition) -> Option<Arc<Self>> {
        let arguments = queue.parsed.deduplication.clone()?;
        let owner = queue.durable.then_some(Owner::Queue(queue.id));
        Some(Self::new(arguments, owner))
    }

    fn new(arguments: Deduplication, owner: Option<Owner>) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::new(Seen {
                window: Window::new(&arguments),
                pending: HashMap::default(),
                runs: owner.map(Runs::new),
            }),
            arguments,
            decided: Notify::new(),
            dropped: AtomicU64::new(0),
        })
    }

    /// Duplicates so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The id of a message with these properties; nothing if it has none.
    pub(super) fn id(&self, properties: &[u8]) -> Option<IdHash> {
        let raw = RawProperties::new(properties).ok()?;
        let headers = raw.headers_raw().ok()??;
        let name = self.arguments.header.as_bytes();
        // A quick look, so that headers without it are not decoded. No argument gives an empty name, of which there are no windows.
        if name.is_empty() || !headers.windows(name.len()).any(|part| part == name) {
            return None;
        }
        self.arguments.id(&raw.headers().ok()??)
    }

    /// Whether a message goes on.
    pub(super) fn admit(&self, id: IdHash, persistent: bool) -> Verdict {
        let verdict = self.look_up(id, persistent);
        if verdict == Verdict::Duplicate {
            self.count_dropped();
        }
        verdict
    }

    /// As [`Self::admit`], for a message that comes later: a duplicate is not counted.
    pub(super) fn look_up(&self, id: IdHash, persistent: bool) -> Verdict {
        let mut seen = self.seen.lock();
        let at = now_ms();
        match seen.window.admit(id, at) {
            Admission::New(number) => {
                let admitted = Admitted {
                    id,
                    number,
                    at,
                    persistent,
                };
                seen.pending.insert(id, admitted);
                Verdict::New(admitted)
            }
            Admission::Duplicate => {
                if let Some(before) = seen.pending.get(&id) {
                    return Verdict::Pending(*before);
                }
                Verdict::Duplicate
            }
        }
    }

    /// One goes nowhere: the one before it is noted, or will be.
    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a message with this id would be a duplicate now.
    pub(super) fn knows(&self, id: IdHash) -> bool {
        self.seen.lock().window.knows(id, now_ms())
    }

    /// The message reached nobody: it may come again.
    pub(super) fn forget(&self, admitted: &Admitted) {
        let mut seen = self.seen.lock();
        seen.window.forget(admitted.id, admitted.number);
        seen.take_pending(admitted);
        drop(seen);
        self.decided.notify_waiters();
    }

    /// The messages are noted for the committer, and now the ids are, unless somebody has done so already.
    pub(super) fn note(&self, admitted: &[Admitted], committer: &Committer) {
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        let noted: Vec<Admitted> = admitted
            .iter()
            .filter(|admitted| seen.take_pending(admitted))
            .copied()
            .collect();
        if let Some(runs) = &mut seen.runs {
            let stored = noted.iter().filter(|admitted| admitted.persistent);
            let entries: Vec<Entry> = stored
                .map(|admitted| Entry {
                    id: admitted.id,
                    number: admitted.number,
                    at: admitted.at,
                })
                .collect();
            let mut writes: Vec<Write> = runs.add(&entries).into_iter().collect();
            writes.extend(runs.cut(seen.window.first()));
            if !writes.is_empty() {
                committer.define(writes);
            }
        }
        self.decided.notify_waiters();
    }

    /// Waits until it is known what became of the one that has the id. It ends with its connection, if nothing else comes before.
    pub(super) async fn decided(&self, id: IdHash) {
        loop {
            // From here on, nothing that happens is missed.
            let decided = self.decided.notified();
            if !self.seen.lock().pending.contains_key(&id) {
                return;
            }
            decided.await;
        }
    }

    /// Takes up what an earlier run stored.
    pub(super) fn restore(&self, mut stored: Vec<Stored>) {
        stored.sort_by_key(|run| run.number);
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        let Some(runs) = &mut seen.runs else {
            return;
        };
        for run in stored {
            for entry in &run.entries {
                seen.window.restore(entry.id, entry.at);
            }
            // Numbers begin anew, and the keys stay.
            runs.restore(&run, seen.window.next());
        }
    }

    /// What the store must forget when the owner goes.
    pub(super) fn deletion(&self) -> Vec<Write> {
        let mut seen = self.seen.lock();
        let runs = seen.runs.take();
        runs.map_or_else(Vec::new, |mut runs| runs.cut(u64::MAX).collect())
    }
}
