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
    pending: HashMap<IdHash, Pending, RandomState>,
    /// That of the next id that is admitted.
    ticket: u64,
    /// What the store has; nothing if the owner does not outlive a restart.
    runs: Option<Runs>,
}

/// An id on its way. It takes a place of the window only when it is [entered](Deduplicator::enter), so that what may still turn out to reach nobody
/// puts no other id out of it.
#[derive(Clone, Copy, Debug)]
struct Pending {
    admitted: Admitted,
    /// Its number in the window, if it is there, and when it came there.
    place: Option<(u64, u64)>,
}

impl Seen {
    /// Takes it out, if it was pending. If the window has let it go meanwhile, another one may have the id.
    fn take_pending(&mut self, admitted: &Admitted) -> Option<Pending> {
        let pending = *self.pending.get(&admitted.id)?;
        if pending.admitted != *admitted {
            return None;
        }
        self.pending.remove(&admitted.id)
    }

    fn look_up(&mut self, id: IdHash, persistent: bool) -> Verdict {
        let before = self.pending.get(&id).copied();
        match before {
            // It is known by what it became, or will be.
            Some(before) if before.place.is_none() => return Verdict::Pending(before.admitted),
            _ if !self.window.knows(id, now_ms()) => {}
            Some(before) => return Verdict::Pending(before.admitted),
            None => return Verdict::Duplicate,
        }
        let admitted = Admitted {
            id,
            ticket: self.ticket,
            persistent,
        };
        self.ticket += 1;
        let place = None;
        self.pending.insert(id, Pending { admitted, place });
        Verdict::New(admitted)
    }

    fn enter(&mut self, admitted: &Admitted) {
        let Some(pending) = self.pending.get_mut(&admitted.id) else {
            return;
        };
        let now = now_ms();
        if pending.admitted == *admitted
            && pending.place.is_none()
            && let Admission::New(number) = self.window.admit(admitted.id, now)
        {
            pending.place = Some((number, now));
        }
    }
}

/// What becomes of a message with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on, and its id is to be [entered](Deduplicator::enter) and [noted](Deduplicator::note) with it, or [forgotten](Deduplicator::forget).
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
    /// Which of those with this id it is.
    ticket: u64,
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
                ticket: 0,
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
        self.seen.lock().look_up(id, persistent)
    }

    /// Whether a message goes on; if it does, it is [entered](Self::enter) at once.
    pub(super) fn admit_and_enter(&self, id: IdHash, persistent: bool) -> Verdict {
        let mut seen = self.seen.lock();
        let verdict = seen.look_up(id, persistent);
        match &verdict {
            Verdict::New(admitted) => seen.enter(admitted),
            Verdict::Duplicate => self.count_dropped(),
            Verdict::Pending(_) => {}
        }
        verdict
    }

    /// The message reaches somebody: its id takes its place in the window, and the oldest may have to go.
    pub(super) fn enter(&self, admitted: &Admitted) {
        self.seen.lock().enter(admitted);
    }

    /// One goes nowhere: the one before it is noted, or will be.
    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a message with this id would be a duplicate now.
    pub(super) fn knows(&self, id: IdHash) -> bool {
        let seen = self.seen.lock();
        let waits = |pending: &Pending| pending.place.is_none();
        seen.pending.get(&id).is_some_and(waits) || seen.window.knows(id, now_ms())
    }

    /// The message reached nobody: it may come again.
    pub(super) fn forget(&self, admitted: &Admitted) {
        let mut seen = self.seen.lock();
        let pending = seen.take_pending(admitted);
        if let Some((number, _)) = pending.and_then(|pending| pending.place) {
            seen.window.forget(admitted.id, number);
        }
        drop(seen);
        self.decided.notify_waiters();
    }

    /// The messages are noted for the committer, and now the ids are, unless somebody has done so already.
    pub(super) fn note(&self, admitted: &[Admitted], committer: &Committer) {
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        let noted = admitted.iter();
        let noted: Vec<Pending> = noted
            .filter_map(|admitted| seen.take_pending(admitted))
            .collect();
        if let Some(runs) = &mut seen.runs {
            let stored = noted.iter().filter(|pending| pending.admitted.persistent);
            let entries: Vec<Entry> = stored
                .filter_map(|pending| {
                    let id = pending.admitted.id;
                    let (number, at) = pending.place?;
                    Some(Entry { id, number, at })
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

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::table::FieldTable;
    use amphora_protocol::wire::types::ShortString;
    use anyhow::{Context, bail};

    use super::*;

    /// One that holds this many ids.
    fn deduplicator(size: i32) -> anyhow::Result<Arc<Deduplicator>> {
        let arguments: FieldTable = [
            ("x-message-deduplication", true.into()),
            ("x-cache-size", size.into()),
        ]
        .into_iter()
        .map(|(name, value)| (ShortString::cut(name), value))
        .collect();
        let parsed = Deduplication::parse(&arguments, "queue 'q' in vhost '/'");
        let arguments = parsed.ok().flatten().context("deduplication")?;
        Ok(Deduplicator::new(arguments, None))
    }

    fn new(verdict: Verdict) -> anyhow::Result<Admitted> {
        match verdict {
            Verdict::New(admitted) => Ok(admitted),
            other => bail!("{other:?}"),
        }
    }

    #[test]
    fn an_id_takes_its_place_when_its_message_goes_somewhere() -> anyhow::Result<()> {
        let ids = deduplicator(2)?;
        for id in [1, 2] {
            new(ids.admit_and_enter(id, false))?;
        }
        // Reserved and given back, as often as a transaction waits for somebody else's.
        for _ in 0..5 {
            let reserved = [new(ids.look_up(3, false))?, new(ids.look_up(4, false))?];
            assert_eq!(ids.look_up(3, false), Verdict::Pending(reserved[0]));
            assert!(ids.knows(3));
            for admitted in &reserved {
                ids.forget(admitted);
            }
        }
        assert!(ids.knows(1) && ids.knows(2) && !ids.knows(3));
        let third = new(ids.admit(3, false))?;
        assert!(ids.knows(1));
        ids.enter(&third);
        assert!(!ids.knows(1) && ids.knows(2) && ids.knows(3));
        Ok(())
    }

    #[test]
    fn an_id_that_the_window_let_go_may_come_again_before_the_first_one_is_noted()
    -> anyhow::Result<()> {
        let ids = deduplicator(1)?;
        let first = new(ids.admit_and_enter(1, false))?;
        new(ids.admit_and_enter(2, false))?;
        let second = new(ids.admit_and_enter(1, false))?;
        assert_ne!(first, second);
        // The first one is not there to be forgotten any more.
        ids.forget(&first);
        assert_eq!(ids.admit(1, false), Verdict::Pending(second));
        Ok(())
    }
}
