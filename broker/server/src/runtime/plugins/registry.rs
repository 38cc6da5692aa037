//! The plugins that the broker knows: those of the configuration, and those that were uploaded, which the store remembers.

use std::collections::BTreeMap;
use std::time::SystemTime;

use amphora_core::definition::Family;
use amphora_core::hook::OnError;
use amphora_core::store::Write;
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::config::{Attachment, Plugin};
use crate::management::snapshot::{PluginFailure, PluginSource};

/// The family of definitions that holds the settings of uploaded plugins. Key: the family, the plugin's name to the end.
/// Value: an [`Upload`] as JSON. Components are files.
const UPLOAD_FAMILY: u8 = Family::OPAQUE_MIN + 2;

/// The plugins, and where they are attached.
#[derive(Debug, Default)]
pub(super) struct Registry {
    plugins: BTreeMap<String, Known>,
    pub(super) attachments: Vec<Attachment>,
}

/// A plugin that is configured or was uploaded, whether or not it is in force.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// What the operator wants it to be, whether or not that could be loaded.
    pub(super) wanted: Plugin,
    /// Where the component came from that was tried last.
    tried: PluginSource,
    /// What is in force, or was last.
    in_force: Option<InForce>,
    /// What was in force before: a rollback of the host's brings it back.
    before: Option<InForce>,
    /// Why the last attempt to load it failed, if it did.
    pub(super) failure: Option<PluginFailure>,
    /// What is kept of it, if it was uploaded.
    pub(super) upload: Option<Upload>,
}

/// The settings with which a component was loaded, and where it came from.
#[derive(Clone, Debug)]
struct InForce {
    settings: Plugin,
    source: PluginSource,
}

/// An uploaded plugin, as the store remembers it: what is in force, and what a rollback brings back. The definition says which files count, so that it
/// changes all of it at once.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Upload {
    pub(super) current: Kept,
    pub(super) previous: Option<Kept>,
}

/// An uploaded component that is kept, with its settings.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Kept {
    pub(super) settings: Plugin,
    /// The file's name, which no other upload has, before or after.
    pub(super) file: String,
    /// The component's SHA-256, in hexadecimal digits.
    pub(super) sha256: String,
    /// What it was when another took its place, if it was in force.
    pub(super) release: Option<Release>,
}

/// What a version of an uploaded plugin was while it was in force, for listings after a restart.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Release {
    pub(super) version: String,
    pub(super) size: u64,
    pub(super) loaded_ms: u64,
}

impl Upload {
    /// The name of the plugin.
    pub(super) fn name(&self) -> &str {
        &self.current.settings.name
    }

    /// The names of the files that it needs.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let kept = [Some(&self.current), self.previous.as_ref()];
        kept.into_iter().flatten().map(|kept| &*kept.file)
    }
}

impl Known {
    pub(super) fn new(wanted: Plugin, source: PluginSource) -> Self {
        Self {
            wanted,
            tried: source,
            in_force: None,
            before: None,
            failure: None,
            upload: None,
        }
    }

    /// The settings that count for messages: those of the version in force, or of the one that was in force last. Those that are wanted count only
    /// if nothing ever was.
    pub(super) fn settings(&self) -> &Plugin {
        let in_force = self.in_force.as_ref();
        in_force.map_or(&self.wanted, |in_force| &in_force.settings)
    }

    /// Where the component in force came from; if there never was one, that which was tried last.
    pub(super) fn source(&self) -> PluginSource {
        let in_force = self.in_force.as_ref();
        in_force.map_or(self.tried, |in_force| in_force.source)
    }

    /// These settings came into force.
    pub(super) fn loaded(&mut self, settings: Plugin, source: PluginSource) {
        self.tried = source;
        self.failure = None;
        let now = InForce { settings, source };
        self.before = self.in_force.replace(now);
    }

    /// They did not.
    pub(super) fn failed(&mut self, source: PluginSource, text: String) {
        self.tried = source;
        let at = SystemTime::now();
        self.failure = Some(PluginFailure { text, at });
    }

    /// Nothing is in force any more, and a rollback brings back what was.
    pub(super) fn unloaded(&mut self) {
        self.before.clone_from(&self.in_force);
        self.failure = None;
    }

    /// What was in force before is in force again.
    pub(super) fn rolled_back(&mut self) {
        if let Some(before) = self.before.take() {
            self.loaded(before.settings, before.source);
        }
    }
}

impl Registry {
    pub(super) fn find(&self, name: &str) -> Option<&Known> {
        self.plugins.get(name)
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut Known> {
        self.plugins.get_mut(name)
    }

    pub(super) fn settings(&self, name: &str) -> Option<&Plugin> {
        Some(self.find(name)?.settings())
    }

    pub(super) fn on_error(&self, name: &str) -> Option<OnError> {
        Some(self.settings(name)?.on_error)
    }

    /// The plugin of this name, or the one that is to supply the type of exchange: an error names either.
    pub(super) fn named(&self, name: &str) -> Option<&Plugin> {
        self.settings(name).or_else(|| {
            let mut all = self.all().map(Known::settings);
            all.find(|settings| settings.exchange_type.as_deref() == Some(name))
        })
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = &Known> {
        self.plugins.values()
    }

    /// A plugin is to have these settings.
    pub(super) fn want(&mut self, settings: &Plugin, source: PluginSource) -> &mut Known {
        let name = settings.name.clone();
        let known = self
            .plugins
            .entry(name)
            .or_insert_with(|| Known::new(settings.clone(), source));
        known.wanted = settings.clone();
        known
    }

    pub(super) fn insert(&mut self, known: Known) {
        self.plugins.insert(known.wanted.name.clone(), known);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Known> {
        self.plugins.remove(name)
    }

    /// Another plugin that supplies this type of exchange, or is to.
    pub(super) fn rival(&self, settings: &Plugin) -> Option<&Plugin> {
        let wanted = settings.exchange_type.as_ref()?;
        let mut others = self
            .all()
            .flat_map(|known| [known.settings(), &known.wanted]);
        others.find(|other| {
            other.name != settings.name && other.exchange_type.as_ref() == Some(wanted)
        })
    }
}

/// What the store is to remember of an uploaded plugin.
pub(super) fn remember(upload: &Upload) -> Result<Write, serde_json::Error> {
    Ok(Write::PutDefinition {
        key: upload_key(upload.name()),
        value: serde_json::to_vec(upload)?.into(),
    })
}

/// What the store is to forget when an uploaded plugin goes.
pub(super) fn forget(name: &str) -> Write {
    Write::DeleteDefinition {
        key: upload_key(name),
    }
}

fn upload_key(name: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(1 + name.len());
    key.put_u8(UPLOAD_FAMILY);
    key.put_slice(name.as_bytes());
    key.freeze()
}

/// An uploaded plugin, if this is a definition of that family.
///
/// # Errors
/// It is damaged, or was written by another version.
pub(in crate::runtime) fn uploaded(key: &Bytes, value: &Bytes) -> Option<anyhow::Result<Upload>> {
    let name = key.strip_prefix(&[UPLOAD_FAMILY])?;
    let name = String::from_utf8_lossy(name).into_owned();
    let settings = serde_json::from_slice(value);
    Some(settings.map_err(|error| {
        anyhow::anyhow!("what is stored of the uploaded plugin '{name}' is damaged or another version's: {error}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(on_error: &str) -> Plugin {
        let text =
            format!("[[plugin]]\nname = \"a\"\npath = \"a.wasm\"\non-error = \"{on_error}\"\n");
        let file = std::path::Path::new("amphora.toml");
        let config = crate::config::Config::parse(file, &text, |_| {});
        config.expect("sound").plugins.remove(0)
    }

    #[test]
    fn settings_count_from_when_they_are_in_force() {
        let mut registry = Registry::default();
        let (reject, drop, pass) = (settings("reject"), settings("drop"), settings("pass"));
        let config = PluginSource::Config;
        registry
            .want(&reject, config)
            .failed(config, "it is not there".to_owned());
        assert_eq!(registry.on_error("a"), Some(OnError::Reject));
        registry.want(&drop, config);
        assert_eq!(
            registry.on_error("a"),
            Some(OnError::Drop),
            "nothing ever was in force"
        );
        registry.want(&reject, config).loaded(reject, config);
        let known = registry.want(&drop, config);
        known.failed(PluginSource::Upload, "it is broken".to_owned());
        assert_eq!(known.source(), PluginSource::Config);
        assert_eq!(registry.on_error("a"), Some(OnError::Reject));
        registry
            .want(&pass, PluginSource::Upload)
            .loaded(pass, PluginSource::Upload);
        let known = registry.find_mut("a").expect("known");
        assert!(known.failure.is_none());
        known.failed(config, "it is broken".to_owned());
        known.rolled_back();
        assert_eq!((known.source(), known.failure.is_none()), (config, true));
        assert_eq!(registry.on_error("a"), Some(OnError::Reject));
        // What is unloaded counts as what was in force last, and a rollback brings it back.
        let known = registry.find_mut("a").expect("known");
        known.unloaded();
        known.rolled_back();
        assert_eq!(known.settings().on_error, OnError::Reject);
    }
}
