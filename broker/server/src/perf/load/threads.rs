//! The threads of a run.

use std::thread::{Builder, Scope, ScopedJoinHandle};

use anyhow::{Context, Result, anyhow};

use super::gauge::Gauge;

/// The threads hold no large values on their stacks, and there may be thousands.
const STACK_BYTES: usize = 256 * 1024;

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

/// By default Linux may wake a sleeping thread 50 us late, which would be taken for the broker's latency.
pub(crate) fn precise_timers() {
    #[cfg(target_os = "linux")]
    {
        let nanosecond = std::num::NonZeroU64::new(1);
        // Where it is not allowed, the measured latencies are those 50 us longer.
        let _ = rustix::thread::set_current_timer_slack(nanosecond);
    }
}
