//! Compiled code on disk, because compiling takes seconds and reading it back takes none.
//!
//! A file is found by the hash of the component and of everything of the engine that matters to the code, and holds what the engine wrote.
//! It is code that will run in this process, so it is used only if nobody but the broker's user can have written it, and only if it is whole:
//! its own hash lies beside it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Compiled components that are kept, the most recently used ones.
const KEPT_MAX: usize = 100;

/// What a file is called while it is being written, with the process's number behind it.
const PARTIAL: &str = "partial-";

/// A file that was begun so long ago was given up by a process that is gone.
const ABANDONED: Duration = Duration::from_hours(1);

/// A folder of compiled code.
#[derive(Debug)]
pub(crate) struct CodeCache {
    folder: PathBuf,
}

impl CodeCache {
    /// The cache in this folder, which is made if need be; none if it cannot be trusted or made, which is logged.
    pub(crate) fn open(folder: &Path) -> Option<Self> {
        match prepare(folder) {
            Ok(()) => Some(Self {
                folder: folder.to_owned(),
            }),
            Err(error) => {
                tracing::warn!(
                    "compiled plugins are not kept in '{}': {error}",
                    folder.display()
                );
                None
            }
        }
    }

    /// The component, compiled before or now.
    ///
    /// # Errors
    /// The compiler refuses it. Trouble with the folder is logged.
    pub(crate) fn component(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let (code, sum) = self.paths(engine, bytes);
        match read(engine, &code, &sum) {
            Ok(Some(component)) => return Ok(component),
            Ok(None) => {}
            Err(error) => tracing::warn!(
                "'{}' is damaged, and is made again: {error:#}",
                code.display()
            ),
        }
        let compiled = engine.precompile_component(bytes)?;
        let stored = write_file(&code, &compiled)
            .and_then(|()| write_file(&sum, hexadecimal(&Sha256::digest(&compiled)).as_bytes()))
            .and_then(|()| self.prune());
        if let Err(error) = stored {
            tracing::warn!(
                "a compiled plugin is not kept in '{}': {error}",
                self.folder.display()
            );
        } else if let Ok(Some(component)) = read(engine, &code, &sum) {
            return Ok(component);
        }
        #[expect(
            unsafe_code,
            reason = "it is what this engine has just made, and nobody has had it since"
        )]
        unsafe {
            Component::deserialize(engine, &compiled)
        }
    }

    fn paths(&self, engine: &Engine, bytes: &[u8]) -> (PathBuf, PathBuf) {
        let mut hasher = Sha(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.0.update(Sha256::digest(bytes));
        let name = hexadecimal(&hasher.0.finalize());
        (
            self.folder.join(format!("{name}.cwasm")),
            self.folder.join(format!("{name}.sha256")),
        )
    }

    /// Removes the files that were not used for the longest time.
    fn prune(&self) -> io::Result<()> {
        let abandoned = SystemTime::now() - ABANDONED;
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
            let is_partial = extension.starts_with(PARTIAL);
            if extension != "cwasm" && !is_partial {
                continue;
            }
            // Another process may clear up, too.
            let Some(modified) = there(fs::metadata(&path))? else {
                continue;
            };
            let modified = modified.modified()?;
            if is_partial && modified < abandoned {
                there(fs::remove_file(&path))?;
            } else if !is_partial {
                files.push((modified, path));
            }
        }
        files.sort();
        let surplus = files.len().saturating_sub(KEPT_MAX);
        for (_, path) in files.into_iter().take(surplus) {
            there(fs::remove_file(&path))?;
            there(fs::remove_file(path.with_extension("sha256")))?;
        }
        Ok(())
    }
}

/// None if there is no such file.
fn there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the folder, or checks that nobody else can write to it.
fn prepare(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let metadata = fs::metadata(folder)?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "others than the broker's user can write there, and could make the broker run their code",
        ));
    }
    Ok(())
}

fn read(engine: &Engine, code: &Path, sum: &Path) -> wasmtime::Result<Option<Component>> {
    let (compiled, expected) = match (fs::read(code), fs::read_to_string(sum)) {
        (Ok(compiled), Ok(expected)) => (compiled, expected),
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        (Err(error), _) | (_, Err(error)) => return Err(error.into()),
    };
    if hexadecimal(&Sha256::digest(&compiled)) != expected {
        return Err(wasmtime::Error::msg("its hash is another"));
    }
    drop(compiled);
    // So that what is in use is not removed. A file system that keeps no times loses nothing but that.
    let _ = File::open(code).and_then(|file| file.set_modified(SystemTime::now()));
    #[expect(
        unsafe_code,
        reason = "the file is as this engine's version wrote it (the hash lies beside it), in a folder that only this user can write"
    )]
    let component = unsafe { Component::deserialize_file(engine, code) }?;
    Ok(Some(component))
}

/// Writes a file so that it is there whole or not at all.
fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension(format!("{PARTIAL}{}", std::process::id()));
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// Bytes in hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A hash that is the same in every process.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .first_chunk()
            .map_or(0, |chunk| u64::from_le_bytes(*chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_goes_and_what_is_missing_is_in_nobodys_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = CodeCache {
            folder: folder.path().to_owned(),
        };
        let file = |name: &str, age: Duration| {
            let file = File::create(folder.path().join(name)).expect("room");
            file.set_modified(SystemTime::now() - age).expect("a time");
        };
        file("begun.partial-1", Duration::from_mins(1));
        file("old.partial-1", Duration::from_hours(2));
        // The oldest of too many, whose hash is not there.
        for number in 0..=KEPT_MAX {
            let age = if number == 7 { 9 } else { 1 };
            file(&format!("{number}.cwasm"), Duration::from_hours(age));
        }
        cache.prune().expect("nothing is in the way");
        let is_there = |name: &str| folder.path().join(name).exists();
        assert!(is_there("begun.partial-1") && is_there("6.cwasm") && is_there("8.cwasm"));
        assert!(!is_there("old.partial-1") && !is_there("7.cwasm"));
    }
}
