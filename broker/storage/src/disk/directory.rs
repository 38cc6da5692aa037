//! The data directory: who may use it, and which layout it has.
//!
//! ```text
//! LOCK       held with flock while a store is open; the holder's process id
//! FORMAT     "amphora-storage 3"
//! db/        the database
//! db.new/    a database that is being created; renamed to db/ when it is whole
//! torn/      what was cut off journals, see `repair`
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::options::OpenError;

const FORMAT_NAME: &str = "amphora-storage";
const FORMAT_VERSION: u32 = 3;
/// Lacks the entries of recent groups, and has all else as the newest has it.
const FORMAT_WITHOUT_CHANGES: u32 = 1;
/// Has checksums of data in the entries of recent groups, which are not read.
const FORMAT_WITH_CHECKSUMS: u32 = 2;

/// A data directory that is this store's alone until it is dropped.
#[derive(Debug)]
pub(super) struct DataDirectory {
    path: PathBuf,
    lock: File,
}

impl DataDirectory {
    /// Creates the directory if need be, takes its lock and checks its format.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.is_dir() {
            create_private(path)?;
            // An empty parent is the current directory.
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            sync_directory(parent.unwrap_or(Path::new(".")))?;
        }
        let lock = lock(path)?;
        let directory = Self {
            path: path.to_owned(),
            lock,
        };
        directory.check_format()?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("db")
    }

    pub(super) fn new_database(&self) -> PathBuf {
        self.path.join("db.new")
    }

    pub(super) fn torn(&self) -> PathBuf {
        self.path.join("torn")
    }

    fn check_format(&self) -> Result<(), OpenError> {
        let path = self.path.join("FORMAT");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && !self.database().exists() =>
            {
                return self.write_format(&path);
            }
            Err(error) => return Err(OpenError::io("read", &path)(error)),
        };
        match parse_format(&text) {
            Some(FORMAT_VERSION | FORMAT_WITH_CHECKSUMS | FORMAT_WITHOUT_CHANGES) => Ok(()),
            Some(found) if found > FORMAT_VERSION => Err(OpenError::NewerFormat {
                directory: self.path.clone(),
                found,
                supported: FORMAT_VERSION,
            }),
            _ => Err(OpenError::Damaged {
                file: path,
                offset: 0,
                reason: format!("\"{FORMAT_NAME} {FORMAT_VERSION}\" was expected"),
            }),
        }
    }

    /// From now on older versions refuse the directory: they would miss what recent groups changed, or take its data for
    /// damaged. To be called when all that is there could be read, and before anything is written.
    pub(super) fn take_over(&self) -> Result<(), OpenError> {
        let path = self.path.join("FORMAT");
        let text = fs::read_to_string(&path).map_err(OpenError::io("read", &path))?;
        if parse_format(&text) == Some(FORMAT_VERSION) {
            return Ok(());
        }
        self.write_format(&path)
    }

    /// By way of another name, so that a crash leaves no half of it.
    fn write_format(&self, path: &Path) -> Result<(), OpenError> {
        let new = self.path.join("FORMAT.new");
        File::create(&new)
            .and_then(|mut file| {
                writeln!(file, "{FORMAT_NAME} {FORMAT_VERSION}")?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, path))
            .map_err(OpenError::io("write", &new))?;
        sync_directory(&self.path)
    }
}

impl Drop for DataDirectory {
    /// Closing the file would not do while a child process that was just forked still has a copy of it.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, directory = %self.path.display(), "the data directory's lock is not released");
        }
    }
}

fn parse_format(text: &str) -> Option<u32> {
    let version = text.trim_end().strip_prefix(FORMAT_NAME)?;
    version.trim_start().parse().ok()
}

/// Creates a directory, and those above it, that only the broker's user may enter.
pub(super) fn create_private(path: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(OpenError::io("create", path))
}

/// Makes durable which files the directory has.
pub(super) fn sync_directory(path: &Path) -> Result<(), OpenError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(OpenError::io("sync", path))
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join("LOCK");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file
                .read_to_string(&mut text)
                .ok()
                .and_then(|_| text.trim().parse().ok());
            return Err(OpenError::Locked {
                directory: directory.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io("lock", &path)(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(OpenError::io("write", &path))?;
    Ok(file)
}
