//! What belongs to one instance beside its memory: limits, deadline, and what it holds of grants.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::environment::Outgoing;
use crate::fault::{OverMemory, Overtime};
use crate::grants::{Grants, Sent};
use crate::ticker::{TICK, Watch};
use crate::wasi::Wasi;

/// Elements of tables that one instance may have.
const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// How long an instance may take to start, to describe itself, and to learn of exchanges and bindings. Longer than calls may take,
/// because it happens once.
pub(crate) const SETUP_DEADLINE: Duration = Duration::from_secs(2);

/// The data of a store.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) grants: Grants,
    pub(crate) sent: Sent,
    pub(crate) wasi: Wasi,
    memory: Memory,
    deadline: Deadline,
}

/// What all instances of a plugin use together.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) instances: AtomicU64,
    pub(crate) memory: AtomicU64,
}

#[derive(Debug)]
struct Memory {
    used: u64,
    allowed: u64,
    usage: Arc<Usage>,
    table_elements: usize,
}

/// A deadline counts the time in which the call was really running: a machine that has no processor for it does not make it fail.
#[derive(Debug)]
struct Deadline {
    limit: Duration,
    /// The thread's time when half of the deadline was over.
    half: Option<Duration>,
    watch: Watch,
}

impl State {
    pub(crate) fn new(grants: Grants, watch: Watch, allowed: u64, usage: Arc<Usage>) -> Self {
        usage.instances.fetch_add(1, Ordering::Relaxed);
        Self {
            grants,
            sent: Sent::default(),
            wasi: Wasi::default(),
            memory: Memory {
                used: 0,
                allowed,
                usage,
                table_elements: 0,
            },
            deadline: Deadline {
                limit: SETUP_DEADLINE,
                half: None,
                watch,
            },
        }
    }

    /// Prepares a new store's limits.
    pub(crate) fn arm(store: &mut Store<Self>) {
        store.limiter(|state| state);
        store.epoch_deadline_callback(|mut store| store.data_mut().deadline.passed());
        Self::begin(store, SETUP_DEADLINE);
    }

    /// The next call may take so long.
    pub(crate) fn begin(store: &mut Store<Self>, limit: Duration) {
        let half = ticks(limit / 2);
        let state = store.data_mut();
        state.grants.begin();
        state.wasi.begin();
        let deadline = &mut state.deadline;
        deadline.limit = limit;
        deadline.half = None;
        deadline.watch.need(2 * half + 2);
        // The current tick has begun already.
        store.set_epoch_deadline(half + 1);
    }

    /// The messages that the plugin sent during the call.
    pub(crate) fn take_sent(&mut self) -> Vec<Outgoing> {
        self.sent.take()
    }

    /// What the guest said last, for whoever has to explain why it failed.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        self.grants.last_error().or_else(|| self.wasi.last_words())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.usage.instances.fetch_sub(1, Ordering::Relaxed);
        self.usage.memory.fetch_sub(self.used, Ordering::Relaxed);
    }
}

impl Deadline {
    /// The epoch has passed half of the deadline, or more.
    fn passed(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let now = thread_time();
        let rest = self.limit / 2;
        let Some(half) = self.half else {
            self.half = Some(now);
            return Ok(self.go_on(rest));
        };
        // The clock ticks a little early or late.
        let used = now.saturating_sub(half) + TICK;
        match rest.checked_sub(used) {
            None | Some(Duration::ZERO) => Err(Overtime(self.limit).into()),
            Some(left) => Ok(self.go_on(left)),
        }
    }

    fn go_on(&self, time: Duration) -> UpdateDeadline {
        let ticks = ticks(time);
        self.watch.need(ticks + 1);
        UpdateDeadline::Continue(ticks)
    }
}

/// How long this thread has been running.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos()))
        .unwrap_or(u64::MAX / 4)
        .max(1)
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let memory = &mut self.memory;
        let more = desired.saturating_sub(current) as u64;
        let asked = memory.used.saturating_add(more);
        if asked > memory.allowed {
            let allowed = memory.allowed;
            return Err(OverMemory { asked, allowed }.into());
        }
        memory.used = asked;
        memory.usage.memory.fetch_add(more, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.memory.table_elements += desired.saturating_sub(current);
        Ok(self.memory.table_elements <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        100
    }

    fn tables(&self) -> usize {
        100
    }

    fn memories(&self) -> usize {
        10
    }
}
