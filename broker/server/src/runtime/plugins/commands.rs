//! Loading, replacing and unloading plugins: by the configuration, and by the management API.

use std::path::{Path, PathBuf};

use amphora_plugin_host::{Grant, LoadError, PluginSpec};
use bytes::Bytes;

use super::Plugins;
use super::registry::{Known, forget, remember};
use crate::config::{self, Attachment, Plugin};
use crate::management::backend::{self, PluginRefusal, PluginReply, PutPlugin};
use crate::management::snapshot::{PluginLogLine, PluginSnapshot, PluginSource};

impl Plugins {
    /// What the configuration says at the start, and what was uploaded earlier. A plugin that does not load is told in the log,
    /// and is in the list with its reason; what needs it fails as `on-error` says until it does.
    pub(crate) async fn begin(
        &self,
        configured: Vec<Plugin>,
        attachments: Vec<Attachment>,
        uploads: Vec<Plugin>,
    ) {
        self.registry.write().attachments = attachments;
        let _changing = self.changing.lock().await;
        for settings in configured {
            let known = Known::new(settings.clone(), PluginSource::Config);
            self.registry.write().insert(known);
            self.load_configured(&settings).await.ok();
        }
        for settings in uploads {
            // The configuration has taken the name over.
            if self.registry.read().find(&settings.name).is_some() {
                tracing::warn!(plugin = %settings.name, "the uploaded plugin gives way to the one in the configuration");
                continue;
            }
            let known = Known::new(settings.clone(), PluginSource::Upload);
            self.registry.write().insert(known);
            self.load_uploaded(&settings).await.ok();
        }
    }

    /// Puts other attachments in force.
    pub(crate) fn attach(&self, attachments: Vec<Attachment>) {
        self.registry.write().attachments = attachments;
        self.surroundings.touch();
    }

    /// Loads a plugin of the configuration, a new one or one with other settings.
    pub(crate) async fn configure(&self, settings: Plugin) -> Result<(), PluginRefusal> {
        let _changing = self.changing.lock().await;
        {
            let mut registry = self.registry.write();
            match registry.find_mut(&settings.name) {
                Some(known) => {
                    known.settings = settings.clone();
                    known.source = PluginSource::Config;
                }
                None => registry.insert(Known::new(settings.clone(), PluginSource::Config)),
            }
        }
        self.load_configured(&settings).await
    }

    /// The configuration has a plugin no more.
    pub(crate) async fn unconfigure(&self, name: &str) {
        let _changing = self.changing.lock().await;
        self.registry.write().remove(name);
        self.host.forget(name);
        tracing::info!(plugin = name, "plugin removed");
    }

    async fn load_configured(&self, settings: &Plugin) -> Result<(), PluginRefusal> {
        let path = settings.path.clone().unwrap_or_default();
        let component = read(&path).await;
        let loaded = match component {
            Ok(component) => self.load_bytes(settings, component).await,
            Err(refusal) => Err(refusal),
        };
        self.note(&settings.name, PluginSource::Config, loaded)
    }

    async fn load_uploaded(&self, settings: &Plugin) -> Result<(), PluginRefusal> {
        let component = read(&self.upload_path(&settings.name)).await;
        let loaded = match component {
            Ok(component) => self.load_bytes(settings, component).await,
            Err(refusal) => Err(refusal),
        };
        self.note(&settings.name, PluginSource::Upload, loaded)
    }

    /// Compiles and tries the component aside, and swaps it in.
    async fn load_bytes(&self, settings: &Plugin, component: Bytes) -> Result<(), PluginRefusal> {
        let (host, spec) = (self.host.clone(), spec(settings));
        let begun = std::time::Instant::now();
        let loaded = tokio::task::spawn_blocking(move || host.load(spec, &component))
            .await
            .map_err(|error| PluginRefusal::Failed(format!("the load was cut short: {error}")))?
            .map_err(|error| refusal(&error))?;
        let version = loaded.version.as_ref();
        tracing::info!(
            plugin = %settings.name,
            version = version.map(|version| &*version.version),
            sha256 = version.and_then(|version| version.sha256.get(..12)),
            took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "plugin loaded"
        );
        Ok(())
    }

    fn note(
        &self,
        name: &str,
        source: PluginSource,
        loaded: Result<(), PluginRefusal>,
    ) -> Result<(), PluginRefusal> {
        let mut registry = self.registry.write();
        if let Some(known) = registry.find_mut(name) {
            known.source = source;
            known.failure = None;
            if let Err(refusal) = &loaded {
                known.failed(refusal.text().to_owned());
            }
        }
        if let Err(refusal) = &loaded {
            tracing::error!(plugin = name, reason = refusal.text(), "plugin not loaded");
        }
        loaded
    }

    async fn put_component(&self, command: PutPlugin) -> Result<(), PluginRefusal> {
        let _changing = self.changing.lock().await;
        let PutPlugin {
            name,
            component,
            settings,
        } = command;
        let known = self.registry.read().find(&name).cloned();
        let settings = match (&known, settings) {
            (Some(known), Some(_)) if known.settings.path.is_some() => {
                return Err(PluginRefusal::Conflict(format!(
                    "the settings of plugin '{}' are in the configuration; upload the component alone",
                    known.settings.name
                )));
            }
            (_, Some(settings)) => settings,
            (Some(known), None) => known.settings.clone(),
            (None, None) => return Err(PluginRefusal::NoPlugin),
        };
        if let Some(rival) = self.registry.read().rival(&settings) {
            return Err(PluginRefusal::Conflict(format!(
                "exchange type '{}' is supplied by plugin '{}'",
                settings.exchange_type.as_deref().unwrap_or_default(),
                rival.name
            )));
        }
        let loaded = self.load_bytes(&settings, component.clone()).await;
        if known.is_none() && loaded.is_err() {
            self.host.forget(&name);
        }
        if known.is_some() {
            self.note(&name, PluginSource::Upload, loaded)?;
        } else {
            loaded?;
        }
        if settings.path.is_none() {
            self.keep(&settings, component).await?;
        } else {
            tracing::warn!(
                plugin = name,
                "an uploaded component is in force until the next load from its path"
            );
        }
        let mut registry = self.registry.write();
        match registry.find_mut(&name) {
            Some(known) => known.settings = settings,
            None => registry.insert(Known::new(settings, PluginSource::Upload)),
        }
        Ok(())
    }

    /// Keeps an uploaded plugin for the next start of the broker.
    async fn keep(&self, settings: &Plugin, component: Bytes) -> Result<(), PluginRefusal> {
        let path = self.upload_path(&settings.name);
        let failed = |error: &dyn std::fmt::Display| {
            PluginRefusal::Failed(format!(
                "the component is in force, but cannot be kept: {error}"
            ))
        };
        tokio::task::spawn_blocking(move || write(&path, &component))
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))?;
        let write = remember(settings).map_err(|error| failed(&error))?;
        self.surroundings.store(write).await;
        Ok(())
    }

    async fn unload_plugin(&self, name: &str, force: bool) -> Result<(), PluginRefusal> {
        let _changing = self.changing.lock().await;
        let known = self.registry.read().find(name).cloned();
        let known = known.ok_or(PluginRefusal::NoPlugin)?;
        let exchanges = self.host.snapshot(name).map_or(0, |found| found.exchanges);
        if exchanges > 0 && !force {
            let exchange_type = known.settings.exchange_type.unwrap_or_default();
            return Err(PluginRefusal::Conflict(format!(
                "there are {exchanges} exchanges of type '{exchange_type}'"
            )));
        }
        if known.settings.path.is_some() {
            if let Err(error) = self.host.unload(name) {
                return Err(refusal(&error));
            }
        } else {
            self.host.forget(name);
            self.registry.write().remove(name);
            self.surroundings.store(forget(name)).await;
            let path = self.upload_path(name);
            let removed = tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await;
            if let Ok(Err(error)) = removed {
                tracing::warn!(plugin = name, %error, "the component's file stays");
            }
        }
        tracing::info!(plugin = name, "plugin unloaded");
        Ok(())
    }

    async fn roll_back(&self, name: &str) -> Result<(), PluginRefusal> {
        let _changing = self.changing.lock().await;
        if self.registry.read().find(name).is_none() {
            return Err(PluginRefusal::NoPlugin);
        }
        let (host, plugin) = (self.host.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || host.rollback(&plugin))
            .await
            .map_err(|error| PluginRefusal::Failed(error.to_string()))?
            .map_err(|error| refusal(&error))?;
        tracing::info!(plugin = name, "the previous version is in force again");
        Ok(())
    }

    async fn load_again(&self, name: &str) -> Result<(), PluginRefusal> {
        let _changing = self.changing.lock().await;
        let settings = self.registry.read().settings(name).cloned();
        let settings = settings.ok_or(PluginRefusal::NoPlugin)?;
        if settings.path.is_some() {
            self.load_configured(&settings).await
        } else {
            self.load_uploaded(&settings).await
        }
    }

    fn upload_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }
}

impl backend::Plugins for Plugins {
    fn all(&self) -> Vec<PluginSnapshot> {
        self.listed()
    }

    fn find(&self, name: &str) -> Option<PluginSnapshot> {
        self.listed_one(name)
    }

    fn log(&self, name: &str) -> Vec<PluginLogLine> {
        self.log_lines(name)
    }

    fn put(&self, command: PutPlugin) -> PluginReply<'_> {
        Box::pin(self.put_component(command))
    }

    fn load<'a>(&'a self, name: &'a str) -> PluginReply<'a> {
        Box::pin(self.load_again(name))
    }

    fn rollback<'a>(&'a self, name: &'a str) -> PluginReply<'a> {
        Box::pin(self.roll_back(name))
    }

    fn unload<'a>(&'a self, name: &'a str, force: bool) -> PluginReply<'a> {
        Box::pin(self.unload_plugin(name, force))
    }
}

impl PluginRefusal {
    fn text(&self) -> &str {
        match self {
            Self::NoPlugin => "there is no such plugin",
            Self::Conflict(text) | Self::Unusable(text) | Self::Failed(text) => text,
        }
    }
}

fn refusal(error: &LoadError) -> PluginRefusal {
    match error {
        LoadError::Nothing(text) => PluginRefusal::Conflict(text.clone()),
        error => PluginRefusal::Unusable(error.to_string()),
    }
}

/// What the host is told of a plugin.
fn spec(settings: &Plugin) -> PluginSpec {
    PluginSpec {
        name: settings.name.clone(),
        exchange_type: settings.exchange_type.clone(),
        grants: settings
            .grants
            .iter()
            .map(|grant| granted(*grant))
            .collect(),
        deadline: settings.deadline,
        memory_max: settings.memory.as_bytes(),
        kv_max: settings.kv_size.as_bytes(),
        on_error: settings.on_error,
        config: settings.config.clone(),
    }
}

fn granted(grant: config::Grant) -> Grant {
    match grant {
        config::Grant::Log => Grant::Log,
        config::Grant::Metrics => Grant::Metrics,
        config::Grant::Clock => Grant::Clock,
        config::Grant::Random => Grant::Random,
        config::Grant::Config => Grant::Config,
        config::Grant::Kv => Grant::Kv,
        config::Grant::Publish => Grant::Publish,
    }
}

async fn read(path: &Path) -> Result<Bytes, PluginRefusal> {
    let from = path.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read(from)).await;
    let failed = |error: &dyn std::fmt::Display| {
        PluginRefusal::Failed(format!("{} cannot be read: {error}", path.display()))
    };
    match read {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(failed(&error)),
    }
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
