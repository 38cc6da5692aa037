//! Loading, replacing and unloading plugins: by the configuration, and by the management API.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use amphora_plugin_host::{Grant, LoadError, Loading, NotLoaded, PluginSpec};
use bytes::Bytes;
use tracing::field;

use super::Plugins;
use super::registry::{Upload, forget};
use super::uploads::remove;
use crate::config::{self, Plugin};
use crate::logging::spans;
use crate::management::backend::{self, PluginRefusal, PluginReply, PutPlugin};
use crate::management::snapshot::{PluginLogLine, PluginSnapshot, PluginSource};

/// All of these may take seconds, and block. A change is the whole of one command: they come one after the other.
impl Plugins {
    fn load_configured(&self, settings: &Plugin) -> Result<(), PluginRefusal> {
        let path = settings.path.clone().unwrap_or_default();
        let loaded = read(&path).and_then(|component| self.load_bytes(settings, &component));
        self.note(settings, PluginSource::Config, loaded)
    }

    /// Compiles and tries the component aside, and swaps it in.
    pub(super) fn load_bytes(
        &self,
        settings: &Plugin,
        component: &[u8],
    ) -> Result<(), PluginRefusal> {
        let loading = Loading {
            spec: spec(settings),
            component,
            giver: None,
        };
        self.load_set(vec![loading])
            .map_err(|failed| refusal(&failed.error))
    }

    /// As [`Self::load_bytes`] for several: all of them, or none.
    pub(super) fn load_set(&self, set: Vec<Loading<'_>>) -> Result<(), NotLoaded> {
        let names: Vec<&str> = set.iter().map(|one| one.spec.name.as_str()).collect();
        let span = tracing::info_span!(
            target: spans::TARGET,
            "plugin.load",
            plugin = names.join(", "),
            component.bytes = set.iter().map(|one| one.component.len()).sum::<usize>(),
            error = field::Empty,
            otel.status_code = field::Empty,
        );
        let _entered = span.enter();
        let loaded = self.host.load_together(set);
        if let Err(failed) = &loaded {
            span.record("error", field::display(&failed.error));
            span.record("otel.status_code", "ERROR");
        }
        loaded.map(drop)
    }

    /// Takes note of an attempt to load, which is told in the log if it failed.
    pub(super) fn note(
        &self,
        settings: &Plugin,
        source: PluginSource,
        loaded: Result<(), PluginRefusal>,
    ) -> Result<(), PluginRefusal> {
        self.note_quietly(settings, source, &loaded);
        if let Err(refusal) = &loaded {
            let (plugin, reason) = (&settings.name, refusal.text());
            tracing::error!(plugin, reason, "plugin not loaded");
        }
        loaded
    }

    pub(super) fn note_quietly(
        &self,
        settings: &Plugin,
        source: PluginSource,
        loaded: &Result<(), PluginRefusal>,
    ) {
        if let Some(known) = self.registry.write().find_mut(&settings.name) {
            match loaded {
                Ok(()) => known.loaded(settings.clone(), source),
                Err(refusal) => known.failed(source, refusal.text().to_owned()),
            }
        }
    }

    fn put_component(&self, command: PutPlugin) -> Result<Changed, PluginRefusal> {
        let _changing = self.changing.lock();
        let PutPlugin {
            name,
            component,
            settings,
        } = command;
        let known = self.registry.read().find(&name).cloned();
        let settings = match (&known, settings) {
            (Some(known), Some(_)) if known.wanted.path.is_some() => {
                return Err(PluginRefusal::Conflict(format!(
                    "the settings of plugin '{name}' are in the configuration; upload the component alone"
                )));
            }
            (_, Some(settings)) => settings,
            (Some(known), None) => known.wanted.clone(),
            (None, None) => return Err(PluginRefusal::NoPlugin),
        };
        if let Some(rival) = self.registry.read().rival(&settings) {
            return Err(PluginRefusal::Conflict(format!(
                "exchange type '{}' is supplied by plugin '{}'",
                settings.exchange_type.as_deref().unwrap_or_default(),
                rival.name
            )));
        }
        if settings.path.is_some() {
            let loaded = self.load_bytes(&settings, &component);
            self.note(&settings, PluginSource::Upload, loaded)?;
            self.surroundings.touch();
            tracing::warn!(
                plugin = name,
                "an uploaded component is in force until the next load from its path"
            );
            return Ok(Changed::default());
        }
        self.put_upload(&settings, &component, known)
    }

    fn unload_plugin(&self, name: &str, force: bool) -> Result<Changed, PluginRefusal> {
        let _changing = self.changing.lock();
        let known = self.registry.read().find(name).cloned();
        let Some(known) = known else {
            // What a plugin stored that was in the configuration once.
            if self.host.clear_kv(name) == 0 {
                return Err(PluginRefusal::NoPlugin);
            }
            self.host.forget(name);
            let epoch = self.surroundings.define(forget(name));
            return Ok(Changed {
                epoch,
                obsolete: Vec::new(),
            });
        };
        if let Some(needed) = self.needed(known.settings()).filter(|_| !force) {
            return Err(PluginRefusal::Conflict(needed));
        }
        if known.wanted.path.is_some() {
            self.host.unload(name).map_err(|error| refusal(&error))?;
            if let Some(known) = self.registry.write().find_mut(name) {
                known.unloaded();
            }
            return Ok(Changed::default());
        }
        // An upload is gone for good, and what it stored with it.
        self.host.unload(name).map_err(|error| refusal(&error))?;
        self.host.clear_kv(name);
        self.host.forget(name);
        self.registry.write().remove(name);
        let files = known.upload.iter().flat_map(Upload::files);
        Ok(Changed {
            obsolete: files.map(|file| self.folder.join(file)).collect(),
            epoch: self.surroundings.define(forget(name)),
        })
    }

    fn roll_back(&self, name: &str) -> Result<Changed, PluginRefusal> {
        let _changing = self.changing.lock();
        let known = self.registry.read().find(name).cloned();
        let known = known.ok_or(PluginRefusal::NoPlugin)?;
        match known.upload {
            Some(Upload {
                current,
                previous: Some(previous),
            }) if known.wanted.path.is_none() => self.roll_back_upload(previous, current),
            // What the host remembers would not be kept.
            Some(_) if known.wanted.path.is_none() => Err(PluginRefusal::Conflict(format!(
                "plugin '{name}' has no earlier version"
            ))),
            _ => {
                self.host.rollback(name).map_err(|error| {
                    if !matches!(error, LoadError::Nothing(_)) {
                        tracing::error!(plugin = name, %error, "the version before does not come back");
                    }
                    refusal(&error)
                })?;
                if let Some(known) = self.registry.write().find_mut(name) {
                    known.rolled_back();
                }
                self.surroundings.touch();
                Ok(Changed::default())
            }
        }
    }

    fn load_again(&self, name: &str) -> Result<Changed, PluginRefusal> {
        let _changing = self.changing.lock();
        let known = self.registry.read().find(name).cloned();
        let known = known.ok_or(PluginRefusal::NoPlugin)?;
        match &known.upload {
            Some(upload) if known.wanted.path.is_none() => self.load_uploaded(&upload.current)?,
            _ => self.load_configured(&known.wanted)?,
        }
        self.surroundings.touch();
        Ok(Changed::default())
    }
}

/// What is left to do when a command has done its work.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// The epoch that makes it durable; 0 if nothing is to be stored.
    pub(super) epoch: u64,
    /// Files that nobody needs any more, once it is durable.
    pub(super) obsolete: Vec<PathBuf>,
}

/// Runs a command on a thread that may block, and waits until what it changed is durable.
fn command<'a>(
    plugins: &Arc<Plugins>,
    command: impl FnOnce(&Plugins) -> Result<Changed, PluginRefusal> + Send + 'static,
) -> PluginReply<'a> {
    let plugins = Arc::clone(plugins);
    Box::pin(async move {
        let run = Arc::clone(&plugins);
        let Changed { epoch, obsolete } = tokio::task::spawn_blocking(move || command(&run))
            .await
            .map_err(|error| PluginRefusal::Failed(error.to_string()))??;
        if epoch > 0 {
            plugins.surroundings.durable(epoch).await;
        }
        if !obsolete.is_empty() {
            tokio::task::spawn_blocking(move || remove(&obsolete))
                .await
                .map_err(|error| PluginRefusal::Failed(error.to_string()))?;
        }
        Ok(())
    })
}

impl backend::Plugins for Arc<Plugins> {
    fn all(&self) -> Vec<PluginSnapshot> {
        self.listed()
    }

    fn find(&self, name: &str) -> Option<PluginSnapshot> {
        self.listed_one(name)
    }

    fn log(&self, name: &str) -> Vec<PluginLogLine> {
        self.log_lines(name)
    }

    fn put(&self, put: PutPlugin) -> PluginReply<'_> {
        command(self, move |plugins| plugins.put_component(put))
    }

    fn load<'a>(&'a self, name: &'a str) -> PluginReply<'a> {
        let name = name.to_owned();
        command(self, move |plugins| plugins.load_again(&name))
    }

    fn rollback<'a>(&'a self, name: &'a str) -> PluginReply<'a> {
        let name = name.to_owned();
        command(self, move |plugins| plugins.roll_back(&name))
    }

    fn unload<'a>(&'a self, name: &'a str, force: bool) -> PluginReply<'a> {
        let name = name.to_owned();
        command(self, move |plugins| plugins.unload_plugin(&name, force))
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
        LoadError::Nothing(text) | LoadError::DependedOn(text) => {
            PluginRefusal::Conflict(text.clone())
        }
        error => PluginRefusal::Unusable(error.to_string()),
    }
}

/// What the host is told of a plugin.
pub(super) fn spec(settings: &Plugin) -> PluginSpec {
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

pub(super) fn read(path: &Path) -> Result<Bytes, PluginRefusal> {
    let read = std::fs::read(path).map(Bytes::from);
    read.map_err(|error| {
        PluginRefusal::Failed(format!("{} cannot be read: {error}", path.display()))
    })
}
