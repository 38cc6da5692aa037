//! A plain file that is synced, to compare a broker's storage with.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::mem::take;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::perf::measure::clock::nanoseconds;
use crate::perf::measure::histogram::Histogram;

/// Append-only. Connections take turns to write, also during a sync, and who waits for one shares it with all the others that do.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    state: Mutex<State>,
    /// Notified after each sync.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes written, and how many of them are known to be on the disk.
    written: u64,
    synced: u64,
    syncing: bool,
    /// Why a sync failed: what was written before may be gone then, whatever later ones say.
    failed: Option<ErrorKind>,
    /// How long each sync took since somebody asked last, and how many bytes all of them covered.
    times: Histogram,
    covered: u64,
}

/// What was synced in a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Syncs {
    pub(crate) count: u64,
    /// What all of them covered.
    pub(crate) bytes: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
}

impl Log {
    /// Opens the file at `path`, emptied.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path);
        Ok(Self {
            file: file.with_context(|| format!("cannot open {}", path.display()))?,
            state: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    /// Writes `bytes`; they are safe after the next [`Log::sync`].
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        (&self.file).write_all(bytes)?;
        state.written += bytes.len() as u64;
        Ok(())
    }

    /// Returns when all that was written before is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.sync_by(|| self.file.sync_data())
    }

    /// What was synced since this was asked last.
    pub(super) fn take_syncs(&self) -> Syncs {
        let mut state = self.lock();
        let (times, bytes) = (take(&mut state.times), take(&mut state.covered));
        drop(state);
        let found = times.summary().map(|found| Syncs {
            count: found.count,
            bytes,
            p50_ns: found.p50_ns,
            p99_ns: found.p99_ns,
        });
        found.unwrap_or_default()
    }

    /// Waits for a sync that began after the last write, or does it by `sync`.
    fn sync_by(&self, sync: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        let wanted = state.written;
        loop {
            if let Some(kind) = state.failed {
                return Err(kind.into());
            }
            if state.synced >= wanted {
                return Ok(());
            }
            if state.syncing {
                state = self
                    .ended
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            let covered = state.written;
            drop(state);
            let begun = Instant::now();
            let result = sync();
            let took = begun.elapsed();
            state = self.lock();
            state.syncing = false;
            match result {
                Ok(()) => {
                    state.times.record(nanoseconds(took));
                    state.covered += covered - state.synced;
                    state.synced = covered;
                }
                Err(error) => state.failed = Some(error.kind()),
            }
            self.ended.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn log() -> (tempfile::NamedTempFile, Log) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Log::open(file.path()).unwrap();
        (file, log)
    }

    #[test]
    fn who_waits_during_a_sync_shares_the_next_one() {
        let (file, log) = log();
        let syncs = AtomicUsize::new(0);
        let sync = || {
            // The first one lasts until all others have written.
            if syncs.fetch_add(1, Relaxed) == 0 {
                while log.lock().written < 5 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Ok(())
        };
        log.append(b"1").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| log.sync_by(sync).unwrap());
            while syncs.load(Relaxed) == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            for _ in 0..4 {
                scope.spawn(|| {
                    log.append(b"2").unwrap();
                    log.sync_by(sync).unwrap();
                });
            }
        });
        assert_eq!(syncs.load(Relaxed), 2);
        log.sync_by(sync).unwrap();
        assert_eq!(syncs.load(Relaxed), 2, "nothing was written since");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"12222");
        let found = log.take_syncs();
        assert_eq!((found.count, found.bytes), (2, 5));
    }

    #[test]
    fn syncs_are_told_once_with_what_they_took() {
        const PAUSE: Duration = Duration::from_millis(5);
        let (_file, log) = log();
        let slow = || {
            thread::sleep(PAUSE);
            Ok(())
        };
        for bytes in [&b"one"[..], b"three"] {
            log.append(bytes).unwrap();
            log.sync_by(slow).unwrap();
        }
        let found = log.take_syncs();
        assert_eq!((found.count, found.bytes), (2, 8));
        assert!(u128::from(found.p50_ns) >= PAUSE.as_nanos(), "{found:?}");
        assert!(found.p99_ns >= found.p50_ns, "{found:?}");
        assert_eq!(log.take_syncs(), Syncs::default());
        log.append(b"2").unwrap();
        log.sync_by(|| Ok(())).unwrap();
        let found = log.take_syncs();
        assert_eq!((found.count, found.bytes), (1, 1));
    }

    #[test]
    fn after_a_failed_sync_nothing_is_safe() {
        let (_file, log) = log();
        log.append(b"1").unwrap();
        let failing = || Err(ErrorKind::StorageFull.into());
        assert_eq!(
            log.sync_by(failing).unwrap_err().kind(),
            ErrorKind::StorageFull
        );
        assert_eq!(log.take_syncs(), Syncs::default());
        assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
