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
/// Value: an [`Upload`] as JSON. The component is a file, and so is the one before.
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
    pub(super) settings: Plugin,
    /// Where the component came from that was tried last.
    pub(super) source: PluginSource,
    /// Why the last attempt to load it failed, if it did.
    pub(super) failure: Option<PluginFailure>,
    /// The settings of the upload before, whose component is kept, too.
    pub(super) previous: Option<Plugin>,
}

/// An uploaded plugin, as the store remembers it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Upload {
    pub(super) settings: Plugin,
    /// Those of the upload before, which a rollback brings back.
    pub(super) previous: Option<Plugin>,
}

impl Known {
    pub(super) fn new(settings: Plugin, source: PluginSource) -> Self {
        Self {
            settings,
            source,
            failure: None,
            previous: None,
        }
    }

    pub(super) fn failed(&mut self, text: String) {
        let at = SystemTime::now();
        self.failure = Some(PluginFailure { text, at });
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
        Some(&self.find(name)?.settings)
    }

    pub(super) fn on_error(&self, name: &str) -> Option<OnError> {
        Some(self.settings(name)?.on_error)
    }

    /// The plugin of this name, or the one that is to supply the type of exchange: an error names either.
    pub(super) fn named(&self, name: &str) -> Option<&Plugin> {
        self.settings(name).or_else(|| {
            let mut all = self.all().map(|known| &known.settings);
            all.find(|settings| settings.exchange_type.as_deref() == Some(name))
        })
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = &Known> {
        self.plugins.values()
    }

    /// A plugin has these settings in the configuration.
    pub(super) fn configure(&mut self, settings: &Plugin) {
        let name = settings.name.clone();
        let known = self
            .plugins
            .entry(name)
            .or_insert_with(|| Known::new(settings.clone(), PluginSource::Config));
        known.settings = settings.clone();
        known.source = PluginSource::Config;
    }

    pub(super) fn insert(&mut self, known: Known) {
        self.plugins.insert(known.settings.name.clone(), known);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Known> {
        self.plugins.remove(name)
    }

    /// Another plugin that supplies this type of exchange.
    pub(super) fn rival(&self, settings: &Plugin) -> Option<&Plugin> {
        let wanted = settings.exchange_type.as_ref()?;
        let mut others = self.all().map(|known| &known.settings);
        others.find(|other| {
            other.name != settings.name && other.exchange_type.as_ref() == Some(wanted)
        })
    }
}

/// What the store is to remember of an uploaded plugin.
pub(super) fn remember(upload: &Upload) -> Result<Write, serde_json::Error> {
    Ok(Write::PutDefinition {
        key: upload_key(&upload.settings.name),
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
/// They are damaged, or were written by a later version.
pub(in crate::runtime) fn uploaded(key: &Bytes, value: &Bytes) -> Option<anyhow::Result<Upload>> {
    let name = key.strip_prefix(&[UPLOAD_FAMILY])?;
    let name = String::from_utf8_lossy(name).into_owned();
    let settings = serde_json::from_slice(value);
    Some(settings.map_err(|error| {
        anyhow::anyhow!("the settings of the uploaded plugin '{name}' are damaged: {error}")
    }))
}
