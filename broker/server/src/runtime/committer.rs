//! The one thread that writes to the store.
//!
//! Whoever changes something durable *notes* it; the committer takes all that has gathered, commits it as one group and
//! raises the *durable epoch*. An epoch is the number of a group: what was noted before a group began is in it or in
//! an earlier one. A publisher therefore reads the open epoch after its messages are noted, and may be told when that
//! epoch is durable. The group grows by itself while an fsync runs.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use amphora_core::queue::Records;
use amphora_core::store::{CommitGroup, Durability, Store, Write};
use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use super::burial::Burials;
use super::commits::CommitCounters;
use super::gathering::Gathering;
use super::lookout::{Committed, Lookout};
use super::peer::{Peer, Touched};
use super::queue::SharedQueue;
use super::taking;
use super::timers::Timers;
use super::vital::Vital;

/// Acknowledgements alone are not urgent: they are gathered for this long.
const SETTLE_DELAY: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Work {
    dirty: Vec<Arc<SharedQueue>>,
    writes: Vec<Write>,
    /// Changes of definitions of which only the last one of each key matters.
    kept: HashMap<Bytes, Write, RandomState>,
    waiters: Vec<Arc<Peer>>,
    /// Somebody waits for the next group.
    urgent: bool,
    /// What was noted is not urgent and waits since then.
    since: Option<Instant>,
    stop: bool,
}

#[derive(Debug)]
pub(crate) struct Committer {
    pub(super) store: Arc<dyn Store>,
    pub(super) durability: Durability,
    work: Mutex<Work>,
    wake: Condvar,
    /// Somebody waits for what was noted, and has noted all of it. Can be looked at without the lock.
    awaited: AtomicBool,
    /// The group that gathers now.
    open: AtomicU64,
    durable: watch::Sender<u64>,
    durable_now: AtomicU64,
    /// Bytes of memory that messages hold, in all queues.
    pub(super) memory: AtomicUsize,
    pub(super) memory_mark: usize,
    /// Bytes that were published and are in no durable group yet.
    pub(super) uncommitted: AtomicUsize,
    /// There is room again for what publishers send.
    pub(super) relieved: Notify,
    /// The store refuses: publishers must stop.
    pub(super) failing: AtomicBool,
    pub(super) failing_changed: Notify,
    /// Likewise, for the one who tells the publishers.
    pub(super) alarm_changed: Notify,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) timers: Timers,
    pub(super) burials: Burials,
    pub(super) vital: Vital,
    pub(super) stirring: crate::management::Stirring,
    pub(crate) counters: CommitCounters,
}

impl Committer {
    /// Starts the thread.
    pub(super) fn start(
        store: Arc<dyn Store>,
        durability: Durability,
        memory_mark: usize,
        records: Records,
    ) -> std::io::Result<(Arc<Self>, std::thread::JoinHandle<()>)> {
        let committer = Arc::new(Self {
            store,
            durability,
            work: Mutex::new(Work {
                dirty: Vec::new(),
                writes: Vec::new(),
                kept: HashMap::default(),
                waiters: Vec::new(),
                urgent: false,
                since: None,
                stop: false,
            }),
            wake: Condvar::new(),
            awaited: AtomicBool::new(false),
            open: AtomicU64::new(1),
            durable: watch::Sender::new(0),
            durable_now: AtomicU64::new(0),
            memory: AtomicUsize::new(0),
            memory_mark,
            uncommitted: AtomicUsize::new(0),
            relieved: Notify::new(),
            failing: AtomicBool::new(false),
            failing_changed: Notify::new(),
            alarm_changed: Notify::new(),
            runtime: tokio::runtime::Handle::current(),
            timers: Timers::default(),
            burials: Burials::default(),
            vital: Vital::default(),
            stirring: crate::management::Stirring::default(),
            counters: CommitCounters::default(),
        });
        let runner = Arc::clone(&committer);
        let guard = committer.vital.guard("committer");
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                let _guard = guard;
                runner.run(records);
            })?;
        Ok((committer, thread))
    }

    /// Commits what there is and ends the thread.
    pub(super) fn stop(&self) {
        self.work.lock().stop = true;
        self.wake.notify_one();
    }

    /// The queue has something to be taken. To be called under the queue's lock, which guards `dirty`.
    pub(super) fn note(&self, queue: &Arc<SharedQueue>, dirty: &mut bool, urgent: bool) {
        if *dirty && !urgent {
            return;
        }
        let mut work = self.work.lock();
        if !*dirty {
            *dirty = true;
            work.dirty.push(Arc::clone(queue));
        }
        let wake = if urgent {
            !std::mem::replace(&mut work.urgent, true)
        } else {
            let first = work.since.is_none();
            work.since.get_or_insert_with(Instant::now);
            first && !work.urgent
        };
        drop(work);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Whether the broker ends.
    pub(super) fn is_stopping(&self) -> bool {
        self.work.lock().stop
    }

    /// Adds changes of definitions to the next group, and returns its epoch.
    pub(super) fn define(&self, writes: Vec<Write>) -> u64 {
        let mut work = self.work.lock();
        work.writes.extend(writes);
        self.await_next(&mut work);
        // Read before the group can be taken: a later epoch might wait for ever on an idle broker.
        let epoch = self.open_epoch();
        drop(work);
        self.wake.notify_one();
        epoch
    }

    /// Adds changes of definitions to the next group, by key: a later one takes the place of an earlier one. Publishers pause while there are too many
    /// `bytes` of them.
    pub(super) fn keep(&self, changes: Vec<(Bytes, Write)>, bytes: usize) {
        self.published(bytes);
        let mut work = self.work.lock();
        work.kept.extend(changes);
        self.await_next(&mut work);
        drop(work);
        self.wake.notify_one();
    }

    /// The group that holds all that was noted so far, or a later one.
    pub(super) fn open_epoch(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn durable_epoch(&self) -> u64 {
        self.durable_now.load(Ordering::Acquire)
    }

    /// Waits until the epoch is durable.
    pub(super) async fn durable(&self, epoch: u64) {
        let mut durable = self.durable.subscribe();
        // The sender lives as long as `self`.
        let _ = durable.wait_for(|&durable| durable >= epoch).await;
    }

    /// Waits until all that was noted before the call is durable.
    pub(super) async fn all_durable(&self) {
        // What was noted is in the open group or in an earlier one.
        let epoch = self.open_epoch();
        self.hurry();
        self.durable(epoch).await;
    }

    /// The peer's confirms wait for an epoch; it is told when one has passed.
    pub(super) fn await_confirms(&self, peer: &Arc<Peer>) {
        let mut work = self.work.lock();
        if !peer.awaits.swap(true, Ordering::Relaxed) {
            work.waiters.push(Arc::clone(peer));
        }
        self.await_next(&mut work);
        drop(work);
        self.wake.notify_one();
    }

    /// Somebody waits for what was noted.
    pub(super) fn hurry(&self) {
        self.await_next(&mut self.work.lock());
        self.wake.notify_one();
    }

    fn await_next(&self, work: &mut Work) {
        work.urgent = true;
        self.awaited.store(true, Ordering::Relaxed);
    }

    /// Whether the store refuses what it is given.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    fn run(self: &Arc<Self>, mut records: Records) {
        // If it is unknown, to assume one does no harm.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut lookout = Lookout::new(processors);
        loop {
            let begun = Instant::now();
            lookout.look_out(&self.awaited);
            let stopping = self.wait_for_work();
            let waited = begun.elapsed();
            // After a group that was given up nothing may become durable: it would be told to who waits for what is lost.
            let Some(committed) = self.commit_next(&mut records) else {
                return;
            };
            if stopping {
                return;
            }
            lookout.learn(committed, waited);
        }
    }

    /// Waits until a group is due; true if it is the last.
    fn wait_for_work(&self) -> bool {
        let mut work = self.work.lock();
        loop {
            if work.stop || work.urgent {
                return work.stop;
            }
            match work.since {
                None => self.wake.wait(&mut work),
                Some(since) => {
                    let due = since + SETTLE_DELAY;
                    if Instant::now() >= due {
                        return false;
                    }
                    self.wake.wait_until(&mut work, due);
                }
            }
        }
    }

    /// Commits what has gathered. `None` if the store refused it until the broker stopped.
    fn commit_next(self: &Arc<Self>, records: &mut Records) -> Option<Committed> {
        let mut gathering = Gathering {
            spill: self.is_short_of_memory(),
            ..Gathering::default()
        };
        let awaited = self.gather(&mut gathering, records);
        let bytes = gathering.group.bytes();
        if !gathering.group.writes.is_empty() && !self.commit(&mut gathering, records) {
            return None;
        }
        let spill = gathering.spill;
        let dirty = gathering.dirty.iter();
        for queue in dirty.filter(|queue| spill || queue.awaits_commits()) {
            let mut state = queue.state.lock();
            let spill = spill || queue.cools(&state);
            let due = state.model.committed(spill);
            let memory = state.model.memory();
            self.account(&mut state.memory, memory);
            drop(state);
            if due {
                super::pager::dispatch(self, queue);
            }
        }
        for queue in &gathering.unfinished {
            self.note(queue, &mut queue.state.lock().dirty, true);
        }
        self.uncommitted
            .fetch_sub(gathering.uncommitted, Ordering::Relaxed);
        self.relieved.notify_waiters();
        let epoch = gathering.epoch;
        self.durable_now.store(epoch, Ordering::Release);
        self.durable.send_replace(epoch);
        self.tell(|outbox| outbox.release_confirms(epoch));
        Some(Committed { bytes, awaited })
    }

    /// Takes all that was noted into the group. Returns whether somebody waits for it.
    pub(super) fn gather(&self, gathering: &mut Gathering, records: &mut Records) -> bool {
        let (dirty, mut writes, kept, awaited);
        {
            let mut work = self.work.lock();
            // From here on, what is noted belongs to the next group.
            gathering.epoch = self.open.fetch_add(1, Ordering::SeqCst);
            dirty = std::mem::take(&mut work.dirty);
            writes = std::mem::take(&mut work.writes);
            kept = std::mem::take(&mut work.kept);
            work.urgent = false;
            awaited = self.awaited.swap(false, Ordering::Relaxed);
            work.since = None;
        }
        writes.extend(kept.into_values());
        gathering.uncommitted = self.uncommitted.load(Ordering::Relaxed);
        gathering.urgent |= !writes.is_empty();
        let mut group = CommitGroup { writes };
        // What is noted is noted once, so that only queues of an earlier attempt can come again.
        let known = gathering.known();
        for queue in dirty {
            let taking = taking::take(self, &queue, &mut group, records, gathering.spill);
            gathering.urgent |= taking.has_appended();
            gathering.add(queue, taking.has_more(), &known);
        }
        records.complete(&mut group);
        gathering.group.writes.append(&mut group.writes);
        awaited
    }

    /// Lets every connection that waits for confirms have them; those that wait for more stay.
    pub(super) fn tell(
        self: &Arc<Self>,
        mut release: impl FnMut(&mut super::outbox::Outbox) -> bool,
    ) {
        let waiters = std::mem::take(&mut self.work.lock().waiters);
        let mut touched = Touched::default();
        let mut waiting = Vec::new();
        for peer in waiters {
            // Before its outbox is looked at: whoever adds to what it waits for after that finds it missing in the list.
            peer.awaits.store(false, Ordering::Relaxed);
            let mut outbox = peer.outbox.lock();
            let waits = release(&mut outbox);
            peer.publish_size(&outbox);
            drop(outbox);
            touched.add(&peer);
            if waits {
                waiting.push(peer);
            }
        }
        if !waiting.is_empty() {
            let mut work = self.work.lock();
            waiting.retain(|peer| !peer.awaits.swap(true, Ordering::Relaxed));
            work.waiters.append(&mut waiting);
            work.urgent = true;
        }
        touched.finish(self);
    }
}

#[cfg(test)]
mod tests {
    use amphora_core::store::Recovered;
    use amphora_storage::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn whoever_always_waits_is_in_the_list_once() {
        const PEERS: u64 = 20;
        let store = Arc::new(MemoryStore::new());
        let records = Records::recover(&mut Recovered::default());
        let (records, _) = records.expect("nothing is damaged");
        let (committer, thread) =
            Committer::start(store, Durability::Os, usize::MAX, records).expect("it starts");
        // What it would do by itself is done here.
        committer.stop();
        thread.join().expect("it ends");
        let peers: Vec<_> = (0..PEERS).map(|id| Peer::new(id, None)).collect();
        let listed = || {
            let work = committer.work.lock();
            let mut ids: Vec<_> = work.waiters.iter().map(|peer| peer.id).collect();
            ids.sort_unstable();
            ids
        };
        let all: Vec<_> = (0..PEERS).collect();
        for _ in 0..3 {
            for peer in peers.iter().chain(&peers) {
                committer.await_confirms(peer);
            }
            assert_eq!(listed(), all);
            committer.tell(|_| true);
            assert_eq!(listed(), all, "they still wait");
        }
        // The last one waits for more while the list is gone through, also while it is looked at itself.
        let last = peers.last().expect("there are some");
        committer.tell(|_| {
            committer.await_confirms(last);
            false
        });
        assert_eq!(listed(), [last.id]);
        committer.tell(|_| false);
        assert_eq!(listed(), [0; 0]);
    }
}
