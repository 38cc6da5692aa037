//! Each thread's own instances, so that nothing is ever called under a lock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use amphora_core::hook::Fault;
use foldhash::fast::RandomState;

use crate::counters::Tally;
use crate::exchange::Exchange;
use crate::instance::Failure;
use crate::plugin::{Plugin, Version};
use crate::running::Running;

/// Raised whenever an instance somewhere may have become useless.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Raised when there was no place for another instance: each thread drops those that it has not called since the last time.
static CROWDED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();

    static SPENT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The time that this thread has spent in calls of plugins since [`take_spent`].
pub fn spent() -> Duration {
    SPENT.get()
}

/// The time that this thread has spent in calls of plugins, which is counted anew from now on.
pub fn take_spent() -> Duration {
    SPENT.take()
}

pub(crate) fn spend(time: Duration) {
    SPENT.set(SPENT.get() + time);
}

/// What a thread has.
#[derive(Default)]
pub(crate) struct Worker {
    changes: u64,
    crowded: u64,
    residents: HashMap<u64, Resident, RandomState>,
    /// A message for a transform, as it is being packed.
    packed: Vec<u8>,
}

/// What a thread has of one plugin.
pub(crate) struct Resident {
    plugin: Weak<Plugin>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) running: Option<Box<Running>>,
    /// It was called since instances were last short.
    is_used: bool,
}

/// Says that a version or plugin is not in force any more: each thread drops what it has of it with its next call.
pub(crate) fn changed() {
    CHANGES.fetch_add(1, Ordering::Release);
}

/// Lends what this thread has of a plugin.
pub(crate) fn with_resident<R>(plugin: &Arc<Plugin>, with: impl FnOnce(&mut Resident) -> R) -> R {
    WORKER.with_borrow_mut(|worker| with(worker.resident(plugin)))
}

/// Lends a buffer that is kept between calls. Nothing must be called meanwhile that does the same.
pub(crate) fn with_buffer<R>(with: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = WORKER.with_borrow_mut(|worker| std::mem::take(&mut worker.packed));
    let result = with(&mut buffer);
    buffer.shrink_to(BUFFER_KEPT_MAX);
    WORKER.with_borrow_mut(|worker| worker.packed = buffer);
    result
}

/// Bytes for which a thread's buffer is kept.
const BUFFER_KEPT_MAX: usize = 64 << 10;

/// There is no place for another instance: this thread drops all but what it has of one plugin, and others those that they do not use.
pub(crate) fn make_room(but: Option<u64>) {
    CROWDED.fetch_add(1, Ordering::Release);
    WORKER.with_borrow_mut(|worker| {
        for (id, resident) in &mut worker.residents {
            if Some(*id) != but {
                resident.running = None;
            }
        }
    });
}

/// Makes an instance that is not one of the thread's own, and makes room for it if there is none. Not from within a call.
pub(crate) fn with_room<T>(mut start: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    match start() {
        Err(failure) if failure.fault == Fault::Crowded => {
            make_room(None);
            start()
        }
        started => started,
    }
}

impl Worker {
    fn resident(&mut self, plugin: &Arc<Plugin>) -> &mut Resident {
        self.sweep();
        let resident = self.residents.entry(plugin.id);
        let resident = resident.or_insert_with(|| Resident {
            plugin: Arc::downgrade(plugin),
            tally: plugin.counters.tally(),
            running: None,
            is_used: true,
        });
        resident.is_used = true;
        resident
    }

    /// Drops what is of no use any more.
    fn sweep(&mut self) {
        let changes = CHANGES.load(Ordering::Acquire);
        let crowded = CROWDED.load(Ordering::Acquire);
        if (self.changes, self.crowded) == (changes, crowded) {
            return;
        }
        let is_crowded = self.crowded != crowded;
        (self.changes, self.crowded) = (changes, crowded);
        self.residents.retain(|_, resident| {
            let Some(plugin) = resident.plugin.upgrade() else {
                return false;
            };
            let in_force = plugin.current.load().as_ref().map(|version| version.number);
            if let Some(running) = &resident.running
                && (Some(running.version.number) != in_force || is_crowded && !resident.is_used)
            {
                resident.running = None;
            }
            if is_crowded {
                resident.is_used = false;
            }
            true
        });
    }
}

impl Resident {
    /// Whether a call of this version need not make an instance, nor teach it of bindings.
    pub(crate) fn is_ready(&self, version: &Version, exchange: Option<&Exchange>) -> bool {
        self.running.as_ref().is_some_and(|running| {
            running.version.number == version.number
                && exchange.is_none_or(|exchange| running.knows(exchange))
        })
    }
}
