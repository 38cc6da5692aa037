//! Files as they are seen from outside and inside: whether one may have changed, and whether it did.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// How often a file is read that somebody writes meanwhile, and how long to wait before the next time.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// What a file looks like from outside. Files with equal stamps are taken to be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The SHA-256 of a file. The default is that of none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hash([u8; 32]);

/// A file, read as a whole.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) stamp: Stamp,
    pub(super) bytes: Bytes,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(Self::from)
    }
}

impl From<Metadata> for Stamp {
    fn from(file: Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl Hash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// One for several.
    pub(super) fn of_all(hashes: impl Iterator<Item = Self>) -> Self {
        let mut all = Sha256::new();
        for hash in hashes {
            all.update(hash.0);
        }
        Self(all.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.iter();
        shown.try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.iter().take(4);
        shown.try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Content {
    /// Reads a file while nobody writes it.
    ///
    /// # Errors
    /// It cannot be read, or is written all the time.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let stamp = Stamp::of(path)?;
            let bytes = std::fs::read(path)?;
            if Stamp::of(path)? == stamp {
                return Ok(Self {
                    stamp,
                    bytes: bytes.into(),
                });
            }
            sleep(PAUSE);
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "it is being written",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_changes_the_stamp_and_not_the_hash() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.wasm");
        std::fs::write(&path, "one")?;
        let before = Content::read(&path)?;
        std::fs::File::options()
            .write(true)
            .open(&path)?
            .set_modified(std::time::UNIX_EPOCH)?;
        let touched = Content::read(&path)?;
        assert_ne!(before.stamp, touched.stamp);
        assert_eq!(Hash::of(&before.bytes), Hash::of(&touched.bytes));
        std::fs::write(&path, "two")?;
        let written = Content::read(&path)?;
        assert_ne!(Hash::of(&before.bytes), Hash::of(&written.bytes));
        Ok(())
    }
}
