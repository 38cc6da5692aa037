//! Uploaded plugins: what is kept of them for the next start of the broker, and for a rollback.

use std::path::{Path, PathBuf};

use super::Plugins;
use super::commands::read;
use super::registry::{Known, Upload, remember};
use crate::config::Plugin;
use crate::management::backend::PluginRefusal;
use crate::management::snapshot::PluginSource;

impl Plugins {
    /// Loads what was uploaded earlier. One that does not load is told in the log, and is in the list with its reason.
    pub(crate) fn load_uploads(&self, uploads: Vec<Upload>) {
        let _changing = self.changing.lock();
        for Upload { settings, previous } in uploads {
            // The configuration has taken the name over.
            if self.registry.read().find(&settings.name).is_some() {
                tracing::warn!(plugin = %settings.name, "the uploaded plugin gives way to the one in the configuration");
                continue;
            }
            let mut known = Known::new(settings.clone(), PluginSource::Upload);
            known.previous = previous;
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

    /// Keeps an uploaded plugin for the next start of the broker, and the one before for a rollback.
    pub(super) fn keep(&self, upload: &Upload, component: &[u8]) -> Result<u64, PluginRefusal> {
        let name = &upload.settings.name;
        let path = self.upload_path(name);
        if upload.previous.is_some() {
            std::fs::copy(&path, self.previous_path(name)).map_err(|error| not_kept(&error))?;
        }
        write(&path, component).map_err(|error| not_kept(&error))?;
        self.remember(upload)
    }

    fn remember(&self, upload: &Upload) -> Result<u64, PluginRefusal> {
        let write = remember(upload).map_err(|error| not_kept(&error))?;
        Ok(self.surroundings.define(write))
    }

    /// Lets two uploads change places, in force and in what is kept. Returns the epoch that makes it durable.
    pub(super) fn roll_back_upload(
        &self,
        settings: &Plugin,
        previous: Plugin,
    ) -> Result<u64, PluginRefusal> {
        let name = settings.name.clone();
        let (path, before) = (self.upload_path(&name), self.previous_path(&name));
        let component = read(&before)?;
        let replaced = read(&path)?;
        let loaded = self.load_bytes(settings, &component);
        self.note(settings, PluginSource::Upload, loaded)?;
        let upload = Upload {
            settings: settings.clone(),
            previous: Some(previous.clone()),
        };
        {
            let mut registry = self.registry.write();
            let known = registry.want(settings, PluginSource::Upload);
            known.previous = Some(previous);
        }
        self.surroundings.touch();
        write(&path, &component)
            .and_then(|()| write(&before, &replaced))
            .map_err(|error| not_kept(&error))?;
        self.remember(&upload)
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
        "the component is in force, but cannot be kept: {error}"
    ))
}

/// Writes the whole file or leaves what was there.
fn write(path: &Path, component: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("new");
    let file = std::fs::File::create(&aside)?;
    std::io::Write::write_all(&mut &file, component)?;
    file.sync_all()?;
    std::fs::rename(aside, path)
}
