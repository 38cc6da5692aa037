//! The threads of a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::gauge::Gauge;

/// The threads hold no large values on their stacks, and there may be thousands.
const STACK_BYTES: usize = 256 * 1024;

/// How often the progress is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// A thread that comes to a result.
pub(crate) type Handle<'scope, T> = ScopedJoinHandle<'scope, Result<T>>;

/// Starts one. If it fails, everything stops.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    gauge: &'scope Gauge,
    work: impl FnOnce() -> Result<T> + Send + 'scope,
) -> Result<Handle<'scope, T>> {
    let work = move || work().inspect_err(|_| gauge.fail());
    Builder::new()
        .stack_size(STACK_BYTES)
        .spawn_scoped(scope, work)
        .context("cannot start a thread")
}

/// The results of all threads, or the first error.
pub(crate) fn join<T>(handles: Vec<Handle<'_, T>>) -> Result<Vec<T>> {
    let joined: Vec<Result<T>> = handles
        .into_iter()
        .map(|handle| {
            handle
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
        })
        .collect();
    joined.into_iter().collect()
}

/// What all threads have found, each of which counts what it has done; while they work, `look` is shown the count.
pub(crate) fn on_threads<T: Send>(
    threads: usize,
    mut look: impl FnMut(u64),
    work: impl Fn(usize, &AtomicU64) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let count = AtomicU64::new(0);
    let (work, count) = (&work, &count);
    thread::scope(|scope| {
        // Nothing is sent: when the last thread has dropped its end, all are done.
        let (working, done) = mpsc::channel::<()>();
        let handles: Vec<_> = (0..threads)
            .map(|index| {
                let working = working.clone();
                scope.spawn(move || {
                    let _working = working;
                    work(index, count)
                })
            })
            .collect();
        drop(working);
        while done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            look(count.load(Ordering::Relaxed));
        }
        join(handles)
    })
}

/// By default Linux may wake a sleeping thread 50 us late, which would be taken for the broker's latency.
pub(crate) fn precise_timers() {
    #[cfg(target_os = "linux")]
    {
        let nanosecond = std::num::NonZeroU64::new(1);
        // Where it is not allowed, the measured latencies are those 50 us longer.
        let _ = rustix::thread::set_current_timer_slack(nanosecond);
    }
}
