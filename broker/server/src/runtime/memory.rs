//! The memory of the whole process, and the alarm that blocks publishers when too much of it is in use.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a look at the process's memory is believed. Within that time a machine does not fill up.
const BELIEVED: Duration = Duration::from_secs(1);

/// Says whether the process uses more memory than the operator wants.
///
/// Nobody polls: the publishers' tasks look, at most once a second among all of them, so an idle broker looks never.
#[derive(Debug)]
pub(super) struct MemoryAlarm {
    mark: u64,
    started: Instant,
    /// Milliseconds after the start.
    look_again: AtomicU64,
    short: AtomicBool,
    /// For the one who tells the publishers.
    pub(super) changed: Notify,
}

impl MemoryAlarm {
    pub(super) fn new(mark: u64) -> Self {
        Self {
            mark,
            started: Instant::now(),
            look_again: AtomicU64::new(0),
            short: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// Whether publishers must stop.
    pub(super) fn is_short(&self) -> bool {
        let now = millis(self.started.elapsed());
        let due = self.look_again.load(Ordering::Relaxed);
        let next = now + millis(BELIEVED);
        let mine = now >= due
            && self
                .look_again
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine && let Some(used) = used() {
            let short = used > self.mark;
            if short != self.short.swap(short, Ordering::Relaxed) {
                self.changed.notify_one();
                if short {
                    tracing::warn!(
                        used,
                        mark = self.mark,
                        "memory is short: publishers are blocked"
                    );
                } else {
                    tracing::info!(used, mark = self.mark, "memory is free again");
                }
            }
        }
        self.short.load(Ordering::Relaxed)
    }

    /// Waits until it is worth asking again.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(BELIEVED).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Resident memory of this process, where the operating system tells.
pub(super) fn used() -> Option<u64> {
    bytes_in("/proc/self/status", "VmRSS:")
}

/// Memory of the machine; the control group's, if it grants less. 0 where that cannot be told.
pub(super) fn total() -> u64 {
    let machine = bytes_in("/proc/meminfo", "MemTotal:").unwrap_or(0);
    let granted = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let granted = granted.and_then(|text| text.trim().parse().ok());
    machine.min(granted.unwrap_or(u64::MAX))
}

/// An amount that a file of Linux's has in a line such as `MemTotal:  1024 kB`.
fn bytes_in(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let amount = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = amount.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}
