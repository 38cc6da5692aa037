//! Which folders are watched.
//!
//! Watching a file itself would end when an editor moves another one into its place, and does not begin before there is one. So the folder
//! is watched, or the nearest one that exists; and the one that a link leads to as well.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// The folders that are watched, each with its inode: a folder in the place of a folder is another one.
#[derive(Debug)]
pub(super) struct Folders {
    watcher: RecommendedWatcher,
    watched: BTreeMap<PathBuf, u64>,
}

impl Folders {
    /// Watches nothing yet. `changed` is called whenever something in a folder may have changed.
    ///
    /// # Errors
    /// The system cannot watch, or not any more.
    pub(super) fn new(changed: impl Fn() + Send + 'static) -> notify::Result<Self> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // What is lost may have been a change.
            if event.is_ok_and(|event| !event.need_rescan() && is_harmless(event.kind)) {
                return;
            }
            changed();
        })?;
        Ok(Self {
            watcher,
            watched: BTreeMap::new(),
        })
    }

    /// Watches for changes of these files, and of no others. Returns whether there is a folder that was not watched before: what happened
    /// there until now was not noticed.
    pub(super) fn watch(&mut self, files: &[PathBuf]) -> bool {
        let wanted: BTreeMap<PathBuf, u64> = files.iter().flat_map(|file| around(file)).collect();
        let watcher = &mut self.watcher;
        self.watched.retain(|folder, inode| {
            let stays = wanted.get(folder) == Some(inode);
            if !stays && let Err(error) = watcher.unwatch(folder) {
                tracing::debug!(folder = %folder.display(), %error, "a folder was no longer watched");
            }
            stays
        });
        let mut is_any_new = false;
        for (folder, inode) in wanted {
            if self.watched.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => is_any_new = true,
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "changes in a folder are not noticed; send SIGHUP");
                }
            }
            // Also if it failed, so that it is said once.
            self.watched.insert(folder, inode);
        }
        is_any_new
    }
}

/// What happens when somebody only looks; we do so ourselves.
fn is_harmless(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access != AccessKind::Close(AccessMode::Write),
        _ => false,
    }
}

/// The folder of a file, and that of the file that a link leads to, with their inodes.
fn around(file: &Path) -> Vec<(PathBuf, u64)> {
    let linked = std::fs::canonicalize(file).ok();
    let mut folders = Vec::new();
    for file in [Some(file.to_owned()), linked].into_iter().flatten() {
        // A relative path has an empty ancestor last, which is where we are.
        let ancestors = file.ancestors().skip(1).map(|folder| {
            if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            }
        });
        let existing = ancestors
            .filter_map(|folder| Some((folder.to_owned(), std::fs::metadata(folder).ok()?.ino())));
        folders.extend(existing.take(1));
    }
    folders
}
