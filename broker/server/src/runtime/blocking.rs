//! Work that takes long on a thread that has other tasks.
//!
//! Each such work has a thread to itself, and the runtime has 512 for that. So when many are busy, who can wait for its turn without a thread does so.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

/// From so many threads on, work waits for its turn; so many have one at the same time.
const CROWD: usize = 32;

/// How long a turn lasts before it is the next one's.
const TURN: Duration = Duration::from_millis(50);

/// Threads that are in [`block`].
static BUSY: AtomicUsize = AtomicUsize::new(0);

static TURNS: Semaphore = Semaphore::const_new(CROWD);

thread_local! {
    static IS_BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Runs it on this thread, while another thread takes over the tasks that this one has. Costs some microseconds.
pub(super) fn block<R>(run: impl FnOnce() -> R) -> R {
    let is_first = !IS_BUSY.get();
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) if is_first => {
            let _busy = Busy::begin();
            block_in_place(run)
        }
        // Others have the tasks already, or there are none.
        _ => run(),
    }
}

/// Whether so many threads are busy that work should wait for its turn.
#[inline]
pub(super) fn is_crowded() -> bool {
    BUSY.load(Ordering::Relaxed) >= CROWD
}

/// The right to do some work that takes long, in the order of asking.
#[derive(Debug)]
pub(super) struct Turn {
    begun: Instant,
    _permit: Option<SemaphorePermit<'static>>,
}

impl Turn {
    pub(super) async fn take() -> Self {
        // Nobody closes them.
        let permit = TURNS.acquire().await.ok();
        Self {
            begun: Instant::now(),
            _permit: permit,
        }
    }

    /// Whether it is the next one's.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() >= TURN
    }
}

struct Busy;

impl Busy {
    fn begin() -> Self {
        IS_BUSY.set(true);
        BUSY.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        IS_BUSY.set(false);
        BUSY.fetch_sub(1, Ordering::Relaxed);
    }
}
