//! What changes of the configuration come to: see [`Apply`](crate::reload::Apply).

use amphora_plugin_host as host;

use super::Plugins;
use super::commands::spec;
use crate::config::{Attachment, Plugin};
use crate::management::backend::PluginRefusal;
use crate::management::snapshot::PluginSource;
use crate::reload::Loading;

impl Plugins {
    pub(in crate::runtime) fn load_components(&self, loads: &[Loading<'_>]) -> anyhow::Result<()> {
        let _changing = self.changing.lock();
        for load in loads {
            self.registry
                .write()
                .want(load.plugin, PluginSource::Config);
        }
        let set = loads.iter().map(|load| host::Loading {
            spec: spec(load.plugin),
            component: &load.component,
            giver: load.giver,
        });
        let loaded = self.load_set(set.collect());
        for Loading { plugin, .. } in loads {
            let outcome = loaded
                .as_ref()
                .copied()
                .map_err(|failed| PluginRefusal::Unusable(failed.told_of(&plugin.name)));
            self.note_quietly(plugin, PluginSource::Config, &outcome);
        }
        self.surroundings.touch();
        loaded.map_err(|failed| match loads {
            [_] => failed.error.into(),
            _ => failed.into(),
        })
    }

    pub(in crate::runtime) fn is_in_force(&self, plugin: &str, sha256: &str) -> bool {
        let version = self.host.snapshot(plugin).and_then(|found| found.version);
        version.is_some_and(|version| version.sha256 == sha256)
    }

    pub(in crate::runtime) fn note_absent(&self, plugin: &Plugin, reason: &str) {
        let _changing = self.changing.lock();
        {
            let mut registry = self.registry.write();
            let known = registry.want(plugin, PluginSource::Config);
            known.failed(PluginSource::Config, reason.to_owned());
        }
        self.surroundings.touch();
    }

    pub(in crate::runtime) fn unload_configured(&self, name: &str) {
        let _changing = self.changing.lock();
        self.host.forget(name);
        self.registry.write().remove(name);
        self.tell_of_orphans();
        self.surroundings.touch();
    }

    pub(in crate::runtime) fn set_attachments(&self, attachments: Vec<Attachment>) {
        self.registry.write().attachments = attachments;
        self.surroundings.touch();
    }
}
