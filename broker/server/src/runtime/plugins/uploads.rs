//! Uploaded plugins: what is kept of them for the next start of the broker, and for a rollback.

use std::io::{self, Write};
use std::path::PathBuf;

use super::Plugins;
use super::commands::read;
use super::registry::{Known, Release, Upload, remember};
use crate::config::Plugin;
use crate::management::backend::PluginRefusal;
use crate::management::snapshot::PluginSource;

impl Plugins {
    /// Loads what was uploaded earlier. One that does not load is told in the log, and is in the list with its reason.
    pub(crate) fn load_uploads(&self, uploads: Vec<Upload>) {
        let _changing = self.changing.lock();
        for upload in uploads {
            let Upload {
                settings,
                previous,
                previous_release,
            } = upload;
            // The configuration has taken the name over.
            if self.registry.read().find(&settings.name).is_some() {
                tracing::warn!(plugin = %settings.name, "the uploaded plugin gives way to the one in the configuration");
                continue;
            }
            let mut known = Known::new(settings.clone(), PluginSource::Upload);
            known.previous = previous;
            known.previous_release = previous_release;
            self.registry.write().insert(known);
            // Why it does not load was told.
            let _ = self.load_uploaded(&settings);
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

    pub(super) fn load_uploaded(&self, settings: &Plugin) -> Result<(), PluginRefusal> {
        let path = self.upload_path(&settings.name);
        let loaded = read(&path).and_then(|component| self.load_bytes(settings, &component));
        self.note(settings, PluginSource::Upload, loaded)
    }

    /// Puts an upload in force and keeps it for the next start of the broker, and the one before for a rollback: both, or nothing happens. Returns
    /// the epoch that makes it durable.
    pub(super) fn put_upload(
        &self,
        upload: &Upload,
        component: &[u8],
    ) -> Result<u64, PluginRefusal> {
        let name = &upload.settings.name;
        let mut files = Files::default();
        self.check_storage()
            .and_then(|()| {
                let path = self.upload_path(name);
                if upload.previous.is_some() {
                    files.add(self.previous_path(name), &std::fs::read(&path)?)?;
                }
                files.add(path, component)
            })
            .map_err(|error| not_kept(&error))?;
        self.bring_into_force(upload, component, files)
    }

    /// Lets two uploads change places, in force and in what is kept. Returns the epoch that makes it durable.
    pub(super) fn roll_back_upload(
        &self,
        settings: &Plugin,
        previous: Plugin,
    ) -> Result<u64, PluginRefusal> {
        let name = &settings.name;
        let (path, before) = (self.upload_path(name), self.previous_path(name));
        let component = read(&before)?;
        let upload = Upload {
            settings: settings.clone(),
            previous: Some(previous),
            previous_release: self.release(name),
        };
        let mut files = Files::default();
        let kept = self
            .check_storage()
            .and_then(|()| files.add(before, &std::fs::read(&path)?))
            .and_then(|()| files.add(path, &component))
            .map_err(|error| not_kept(&error))
            .and_then(|()| self.bring_into_force(&upload, &component, files));
        if kept.is_ok() {
            self.note_upload(upload);
        }
        let outcome = kept.as_ref().map(|_| ()).map_err(Clone::clone);
        self.note(settings, PluginSource::Upload, outcome)?;
        self.surroundings.touch();
        kept
    }

    /// The registry is to know what the store knows.
    pub(super) fn note_upload(&self, upload: Upload) {
        let mut registry = self.registry.write();
        let known = registry.want(&upload.settings, PluginSource::Upload);
        known.previous = upload.previous;
        known.previous_release = upload.previous_release;
    }

    /// What is in force of a plugin.
    pub(super) fn release(&self, name: &str) -> Option<Release> {
        let version = self.host.snapshot(name)?.version?;
        Some(Release {
            version: version.version,
            sha256: version.sha256,
            size: version.size,
            loaded_ms: version.loaded_ms,
        })
    }

    /// Loads a component whose files are written, and lets these take their places.
    fn bring_into_force(
        &self,
        upload: &Upload,
        component: &[u8],
        files: Files,
    ) -> Result<u64, PluginRefusal> {
        let name = &upload.settings.name;
        let write = remember(upload).map_err(|error| not_kept(&error))?;
        let before = self.host.snapshot(name).and_then(|found| found.version);
        self.load_bytes(&upload.settings, component)?;
        if let Err(error) = files.settle() {
            let undone = match before {
                Some(_) => self.host.rollback(name),
                None => self.host.unload(name),
            };
            return Err(match undone {
                Ok(_) => not_kept(&error),
                Err(undone) => PluginRefusal::Failed(format!(
                    "the component is in force until the broker ends, because it cannot be kept ({error}), and the version before does not load any more: {undone}"
                )),
            });
        }
        Ok(self.surroundings.define(write))
    }

    /// Refuses what the store would not keep.
    fn check_storage(&self) -> io::Result<()> {
        if self.surroundings.is_failing() {
            return Err(io::Error::other("the storage takes nothing at present"));
        }
        Ok(())
    }

    pub(super) fn upload_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }

    /// The upload before. No plugin's own file is called so: a name has no space.
    pub(super) fn previous_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name} previous.wasm"))
    }
}

fn not_kept(error: &dyn std::fmt::Display) -> PluginRefusal {
    PluginRefusal::Failed(format!(
        "the component cannot be kept, and so it is not loaded: {error}"
    ))
}

/// Files that are written beside those whose places they take: whether there is room for them is known before anything has changed.
#[derive(Debug, Default)]
struct Files(Vec<(PathBuf, PathBuf)>);

impl Files {
    fn add(&mut self, path: PathBuf, component: &[u8]) -> io::Result<()> {
        let aside = path.with_extension("new");
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::File::create(&aside)?;
        self.0.push((aside, path));
        file.write_all(component)?;
        file.sync_all()
    }

    /// All take their places, in the order in which they were added.
    fn settle(mut self) -> io::Result<()> {
        while let Some((aside, path)) = self.0.first() {
            std::fs::rename(aside, path)?;
            let folder = path.parent().map(std::fs::File::open).transpose()?;
            folder.map_or(Ok(()), |folder| folder.sync_all())?;
            self.0.remove(0);
        }
        Ok(())
    }
}

/// What has not taken its place goes.
impl Drop for Files {
    fn drop(&mut self) {
        for (aside, _) in &self.0 {
            if let Err(error) = std::fs::remove_file(aside) {
                tracing::warn!(%error, file = %aside.display(), "a component's file stays that is of no use");
            }
        }
    }
}
