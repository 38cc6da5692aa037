//! Uploaded plugins: what is kept of them for the next start of the broker, and for a rollback.
//!
//! Each component has a file of its own, whose name nothing else ever has. It is on the disk before the definition that names it is stored, and stays
//! there until one that does not name it is durable. So after a crash at any moment, the definition says which version is in force, and its files are
//! there. A file that no definition names is what a crash has left, and goes at the next start.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use amphora_plugin_host::Environment as _;
use bytes::Bytes;

use super::Plugins;
use super::commands::{Changed, read};
use super::registry::{Kept, Known, Release, Upload, remember};
use crate::config::Plugin;
use crate::management::backend::PluginRefusal;
use crate::management::snapshot::PluginSource;
use crate::reload::Hash;

/// Random digits in the name of a file.
const DIGITS: usize = 16;

impl Plugins {
    /// Loads what was uploaded earlier. One that does not load is told in the log, and is in the list with its reason. What cannot be read is
    /// left out, and the files of all are kept then.
    pub(crate) fn load_uploads(&self, uploads: Vec<anyhow::Result<Upload>>) {
        let _changing = self.changing.lock();
        let (mut readable, mut is_whole) = (Vec::new(), true);
        for upload in uploads {
            match upload {
                Ok(upload) => readable.push(upload),
                Err(error) => {
                    tracing::error!(%error, "left out");
                    is_whole = false;
                }
            }
        }
        if is_whole {
            self.sweep(&readable);
        }
        for upload in readable {
            let name = upload.name();
            // The configuration has taken the name over.
            if self.registry.read().find(name).is_some() {
                tracing::warn!(plugin = %name, "the uploaded plugin gives way to the one in the configuration");
                continue;
            }
            let current = upload.current.clone();
            let mut known = Known::new(current.settings.clone(), PluginSource::Upload);
            known.upload = Some(upload);
            self.registry.write().insert(known);
            // Why it does not load was told.
            let _ = self.load_uploaded(&current);
        }
        self.tell_of_orphans();
    }

    /// Tells of what plugins stored that nobody names any more: it takes room, and only the operator knows whether they come back.
    pub(super) fn tell_of_orphans(&self) {
        let registry = self.registry.read();
        for plugin in self.host.snapshots() {
            if plugin.kv_entries > 0 && registry.find(&plugin.name).is_none() {
                tracing::warn!(
                    plugin = plugin.name,
                    entries = plugin.kv_entries,
                    bytes = plugin.kv_bytes,
                    "the store of a plugin that is not configured any more is kept; `amphora ctl unload_plugin {}` removes it",
                    plugin.name
                );
            }
        }
    }

    pub(super) fn load_uploaded(&self, kept: &Kept) -> Result<(), PluginRefusal> {
        let component = self.read_kept(kept);
        let loaded = component.and_then(|component| self.load_bytes(&kept.settings, &component));
        self.note(&kept.settings, PluginSource::Upload, loaded)
    }

    /// Puts an upload in force and keeps it for the next start of the broker, and the one before for a rollback: all of it, or nothing happens.
    pub(super) fn put_upload(
        &self,
        settings: &Plugin,
        component: &[u8],
        known: Option<Known>,
    ) -> Result<Changed, PluginRefusal> {
        let is_new = known.is_none();
        let before = known.and_then(|known| known.upload);
        let put = self.keep(settings, component).and_then(|current| {
            // One whose file somebody has removed cannot come back.
            let previous = before.as_ref().map(|before| before.current.clone());
            let previous = previous.filter(|previous| self.folder.join(&previous.file).exists());
            let upload = Upload {
                previous: previous.map(|previous| self.released(previous)),
                current,
            };
            let epoch = self
                .bring_into_force(&upload, component)
                .inspect_err(|_| remove(&[self.folder.join(&upload.current.file)]))?;
            Ok((upload, epoch))
        });
        if is_new && put.is_err() {
            self.host.forget(&settings.name);
        }
        self.conclude(settings, before.as_ref(), put)
    }

    /// Lets two uploads change places, in force and in what is kept.
    pub(super) fn roll_back_upload(
        &self,
        current: Kept,
        previous: Kept,
    ) -> Result<Changed, PluginRefusal> {
        let settings = current.settings.clone();
        let put = self
            .check_storage()
            .map_err(|error| not_kept(&error))
            .and_then(|()| self.read_kept(&current))
            .and_then(|component| {
                let upload = Upload {
                    current,
                    previous: Some(self.released(previous)),
                };
                let epoch = self.bring_into_force(&upload, &component)?;
                Ok((upload, epoch))
            });
        self.conclude(&settings, None, put)
    }

    /// The upload that another is to take the place of, with what it was.
    fn released(&self, kept: Kept) -> Kept {
        let hosted = self.host.snapshot(&kept.settings.name);
        let version = hosted.and_then(|hosted| hosted.version);
        let version = version.filter(|version| version.sha256 == kept.sha256);
        let release = version.map(|version| Release {
            version: version.version,
            size: version.size,
            loaded_ms: version.loaded_ms,
        });
        Kept { release, ..kept }
    }

    /// Loads a component whose file is written, and stores the definition that names it. Returns the epoch that makes it durable.
    fn bring_into_force(&self, upload: &Upload, component: &[u8]) -> Result<u64, PluginRefusal> {
        let write = remember(upload).map_err(|error| not_kept(&error))?;
        self.load_bytes(&upload.current.settings, component)?;
        Ok(self.surroundings.define(write))
    }

    /// Takes note of what came of an upload. The files of `before` that it does not name are obsolete.
    fn conclude(
        &self,
        settings: &Plugin,
        before: Option<&Upload>,
        put: Result<(Upload, u64), PluginRefusal>,
    ) -> Result<Changed, PluginRefusal> {
        let outcome = put.as_ref().map(|_| ()).map_err(Clone::clone);
        if let Ok((upload, _)) = &put {
            let mut registry = self.registry.write();
            registry.want(settings, PluginSource::Upload).upload = Some(upload.clone());
        }
        self.note(settings, PluginSource::Upload, outcome)?;
        self.surroundings.touch();
        let (upload, epoch) = put?;
        let named: BTreeSet<&str> = upload.files().collect();
        let files = before.into_iter().flat_map(Upload::files);
        let obsolete = files.filter(|file| !named.contains(file));
        Ok(Changed {
            epoch,
            obsolete: obsolete.map(|file| self.folder.join(file)).collect(),
        })
    }

    /// Refuses what the store would not keep.
    fn check_storage(&self) -> io::Result<()> {
        if self.surroundings.is_failing() {
            return Err(io::Error::other("the storage takes nothing at present"));
        }
        Ok(())
    }

    /// Writes a component to a file of its own, which nobody names yet.
    fn keep(&self, settings: &Plugin, component: &[u8]) -> Result<Kept, PluginRefusal> {
        let mut number = [0; DIGITS / 2];
        self.surroundings.random(&mut number);
        let number = u64::from_be_bytes(number);
        // No plugin's name has a space.
        let file = format!("{} {number:0DIGITS$x}.wasm", settings.name);
        self.check_storage()
            .and_then(|()| write(&self.folder, &file, component))
            .map_err(|error| not_kept(&error))?;
        Ok(Kept {
            settings: settings.clone(),
            file,
            sha256: Hash::of(component).to_string(),
            release: None,
        })
    }

    /// The component, if its file is what was uploaded.
    fn read_kept(&self, kept: &Kept) -> Result<Bytes, PluginRefusal> {
        let path = self.folder.join(&kept.file);
        let component = read(&path)?;
        let found = Hash::of(&component).to_string();
        if found != kept.sha256 {
            let path = path.display();
            return Err(PluginRefusal::Failed(format!(
                "{path} is damaged: its SHA-256 is {found}, and what was uploaded had {}",
                kept.sha256
            )));
        }
        Ok(component)
    }

    /// Removes components that no upload names.
    fn sweep(&self, uploads: &[Upload]) {
        let named: BTreeSet<&str> = uploads.iter().flat_map(Upload::files).collect();
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            // Nothing was ever uploaded.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(%error, folder = %self.folder.display(), "uploaded components cannot be listed");
                return;
            }
        };
        let files = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            (is_component(&name) && !named.contains(&*name)).then(|| entry.path())
        });
        remove(&files.collect::<Vec<_>>());
    }
}

/// Whether it is the name of a file that [`Plugins::keep`] writes.
fn is_component(name: &str) -> bool {
    let number = name
        .strip_suffix(".wasm")
        .and_then(|name| name.split_once(' '))
        .map(|(_, number)| number);
    number.is_some_and(|number| {
        number.len() == DIGITS && number.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// Removes files that are of no use any more.
pub(super) fn remove(files: &[PathBuf]) {
    for file in files {
        if let Err(error) = std::fs::remove_file(file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %file.display(), "a component's file stays that is of no use");
        }
    }
}

/// Writes a new file, and is done when a crash does not take it away again.
fn write(folder: &Path, file: &str, component: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(file);
    let written = std::fs::File::create_new(&path).and_then(|mut file| {
        file.write_all(component)?;
        file.sync_all()?;
        std::fs::File::open(folder)?.sync_all()
    });
    written.inspect_err(|_| remove(&[path]))
}

fn not_kept(error: &dyn std::fmt::Display) -> PluginRefusal {
    PluginRefusal::Failed(format!(
        "the component cannot be kept, and so it is not loaded: {error}"
    ))
}
