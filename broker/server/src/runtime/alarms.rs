//! The alarms that block publishers: too much memory in use, too little disk free.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::broker::Broker;
use super::memory;
use crate::config::Limits;

/// How long a look at memory and disk is believed. It costs some microseconds, and within that time no machine fills up.
const BELIEVED: Duration = Duration::from_millis(200);

/// Says whether the process uses more memory, or leaves less of the disk free, than the operator wants.
///
/// Nobody polls: the publishers' tasks and listings look, at most five times a second among all of them, so an idle broker looks never.
#[derive(Debug)]
pub(super) struct Alarms {
    memory: Alarm,
    disk: Alarm,
    data_dir: PathBuf,
    started: Instant,
    /// Milliseconds after the start.
    look_again: AtomicU64,
    /// For the one who tells the publishers.
    changed: Notify,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shortage {
    pub(super) memory: bool,
    pub(super) disk: bool,
}

#[derive(Debug)]
struct Alarm {
    mark: AtomicU64,
    on: AtomicBool,
}

impl Alarm {
    fn new(mark: u64) -> Self {
        Self {
            mark: AtomicU64::new(mark),
            on: AtomicBool::new(false),
        }
    }
}

/// Tells all publishers that they must stop, and that they may go on: also those that are waiting or idle. Runs until the task is aborted.
pub(super) async fn run(broker: Arc<Broker>) {
    loop {
        tokio::select! {
            () = broker.committer.alarm_changed.notified() => {}
            () = broker.alarms.changed.notified() => {}
        }
        // For who listens to events.
        broker.alarm();
        for connection in broker.connections() {
            connection.peer.attention.notify_one();
        }
    }
}

/// The marks of these limits, for memory and disk.
fn marks(limits: &Limits) -> (u64, u64) {
    let memory = limits.memory_mark.resolve(memory::total());
    (memory, limits.disk_free_limit.as_bytes())
}

impl Alarms {
    /// `data_dir` is on the disk that is looked at.
    pub(super) fn new(limits: &Limits, data_dir: PathBuf) -> Self {
        let (memory, disk) = marks(limits);
        Self {
            memory: Alarm::new(memory),
            disk: Alarm::new(disk),
            data_dir,
            started: Instant::now(),
            look_again: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    /// Other marks are in force, and looked at anew.
    pub(super) fn set_limits(&self, limits: &Limits) {
        let (memory, disk) = marks(limits);
        self.memory.mark.store(memory, Ordering::Relaxed);
        self.disk.mark.store(disk, Ordering::Relaxed);
        self.look_again.store(0, Ordering::Relaxed);
        self.look();
    }

    /// Bytes of memory above which publishers are blocked.
    pub(super) fn memory_mark(&self) -> u64 {
        self.memory.mark.load(Ordering::Relaxed)
    }

    /// Bytes of the disk below which publishers are blocked.
    pub(super) fn disk_mark(&self) -> u64 {
        self.disk.mark.load(Ordering::Relaxed)
    }

    /// What publishers must stop for.
    pub(super) fn shortage(&self) -> Shortage {
        self.look();
        Shortage {
            memory: self.memory.on.load(Ordering::Relaxed),
            disk: self.disk.on.load(Ordering::Relaxed),
        }
    }

    fn look(&self) {
        let now = millis(self.started.elapsed());
        let due = self.look_again.load(Ordering::Relaxed);
        let next = now + millis(BELIEVED);
        let mine = now >= due
            && self
                .look_again
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            self.look_at_memory();
            self.look_at_disk();
        }
    }

    /// Takes note of what was seen; says whether that is a change.
    fn set(&self, alarm: &Alarm, on: bool) -> bool {
        let changes = alarm.on.swap(on, Ordering::Relaxed) != on;
        if changes {
            self.changed.notify_one();
        }
        changes
    }

    fn look_at_memory(&self) {
        let (Some(used), mark) = (memory::used(), self.memory_mark()) else {
            return;
        };
        let short = used > mark;
        match (self.set(&self.memory, short), short) {
            (false, _) => {}
            (true, true) => {
                tracing::warn!(used, mark, "memory is short: publishers are blocked");
            }
            (true, false) => tracing::info!(used, mark, "memory is free again"),
        }
    }

    fn look_at_disk(&self) {
        let (Some(free), mark) = (disk_free(&self.data_dir), self.disk_mark()) else {
            return;
        };
        let short = free < mark;
        match (self.set(&self.disk, short), short) {
            (false, _) => {}
            (true, true) => {
                tracing::warn!(
                    free,
                    mark,
                    "the disk is nearly full: publishers are blocked"
                );
            }
            (true, false) => tracing::info!(free, mark, "the disk has room again"),
        }
    }

    /// Waits until it is worth asking again.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(BELIEVED).await;
    }
}

/// Free for this process on the disk of this folder, where that can be told.
pub(super) fn disk_free(folder: &std::path::Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteSize, MemoryMark};

    fn limits(memory: u64, disk: u64) -> Limits {
        Limits {
            memory_mark: MemoryMark::Bytes(ByteSize::bytes(memory)),
            disk_free_limit: ByteSize::bytes(disk),
            ..Limits::default()
        }
    }

    #[test]
    fn each_mark_has_its_alarm_and_other_marks_are_looked_at_at_once() {
        let folder = std::env::temp_dir();
        let alarms = Alarms::new(&limits(u64::MAX, 0), folder);
        let shortage = |memory, disk| Shortage { memory, disk };
        assert_eq!(alarms.shortage(), shortage(false, false));
        alarms.set_limits(&limits(1, 0));
        assert_eq!(alarms.shortage(), shortage(true, false));
        alarms.set_limits(&limits(u64::MAX, u64::MAX));
        assert_eq!(alarms.shortage(), shortage(false, true));
        alarms.set_limits(&limits(u64::MAX, 0));
        assert_eq!(alarms.shortage(), shortage(false, false));
    }

    #[test]
    fn a_share_is_of_what_is_granted() {
        let share = Limits {
            memory_mark: MemoryMark::percent(50),
            ..Limits::default()
        };
        let alarms = Alarms::new(&share, std::env::temp_dir());
        assert_eq!(alarms.memory_mark(), memory::total() / 2);
        assert_eq!(alarms.disk_mark(), share.disk_free_limit.as_bytes());
    }
}
