//! What an operator may tune, and why a store may not open.

use std::io;
use std::path::{Path, PathBuf};

const MIB: u64 = 1024 * 1024;

/// How a [`FjallStore`](super::FjallStore) uses memory and disk.
///
/// The defaults keep its resident memory below about 150 MiB under full load: the cache, the memtable that is written to and
/// those that are being flushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Blocks of the database that are kept in memory for reads.
    pub cache_bytes: u64,
    /// How much may gather in memory before it is flushed to tables. What is appended and removed within that much never
    /// reaches a table. While flushing lags, up to six times as much is in memory.
    pub memtable_bytes: u64,
    /// How long the journals may grow, which bounds the time that opening takes. At least 64 MiB, less counts as that.
    pub journal_bytes_max: u64,
    /// What a commit must leave free on the disk; else it is refused before it touches the database. A quarter of it when the
    /// commit only settles and removes.
    pub disk_reserve_bytes: u64,
    /// After how many bytes of removed records the tables below the oldest record are dropped.
    pub reclaim_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 32 * MIB,
            memtable_bytes: 24 * MIB,
            journal_bytes_max: 256 * MIB,
            disk_reserve_bytes: 64 * MIB,
            reclaim_bytes: 64 * MIB,
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open, or this one twice.
    #[error("the data directory {} is in use{}", directory.display(), by_process(*pid))]
    Locked {
        /// The data directory.
        directory: PathBuf,
        /// The process that holds it, if it left its id.
        pid: Option<u32>,
    },
    /// The data was written by a newer version of the broker.
    #[error(
        "the data directory {} has format {found}, this version of the broker knows up to {supported}: use the version that wrote it",
        directory.display()
    )]
    NewerFormat {
        /// The data directory.
        directory: PathBuf,
        /// The format of the data.
        found: u32,
        /// The newest format that is known here.
        supported: u32,
    },
    /// A file is damaged in a place whose content was promised to last. Nothing was changed.
    #[error("{} is damaged at byte {offset}: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The directory or a file could not be used.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// The database refused its files.
    #[error("the database in {} cannot be opened: {reason}", directory.display())]
    Database {
        /// Where it is.
        directory: PathBuf,
        /// What it said.
        reason: String,
    },
}

impl OpenError {
    /// For `map_err` on an I/O call.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::Io {
            action,
            path: path.to_owned(),
            reason,
        }
    }

    /// For `map_err` on the reading of what the database holds.
    pub(super) fn damaged_database(directory: &Path) -> impl Fn(String) -> Self {
        move |reason| Self::Database {
            directory: directory.to_owned(),
            reason,
        }
    }

    /// For `map_err` on a call of the database.
    pub(super) fn database(directory: &Path) -> impl Fn(fjall::Error) -> Self {
        move |error| Self::Database {
            directory: directory.to_owned(),
            reason: super::engine::describe(&error),
        }
    }
}

fn by_process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}
