//! A plain file that is synced, to compare a broker's storage with.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// Append-only; connections take turns.
#[derive(Debug)]
pub(crate) struct Log {
    file: Mutex<File>,
}

impl Log {
    /// Opens the file at `path`, emptied.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            file: Mutex::new(file),
        })
    }

    /// Writes `bytes`; they are safe after the next [`Log::sync`].
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.lock().write_all(bytes)
    }

    /// Returns when all that was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.lock().sync_data()
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
