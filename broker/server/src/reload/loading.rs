//! Loading what is planned: one plugin after the other, or those at once whose types of exchange change places.

use std::collections::{BTreeMap, VecDeque};

use amphora_plugin_host::one_line;
use bytes::Bytes;

use super::apply::Loading;
use super::component::{Content, Hash};
use super::plan::{Load, Loaded};
use super::round::{Reload, component};

impl Reload {
    /// Loads in the order of the file, but for what has to wait until another plugin has given its type of exchange up. Those that wait for each
    /// other are loaded at once.
    pub(super) fn load_each(
        &mut self,
        mut loads: VecDeque<Load>,
        components: &BTreeMap<String, Hash>,
    ) {
        let mut put_off = 0;
        while let Some(load) = loads.pop_front() {
            let rival = self.in_force.rival(&load.plugin);
            let will_change = |name: String| loads.iter().any(|other| other.plugin.name == name);
            if !rival.is_some_and(will_change) {
                put_off = 0;
                self.load(vec![load], components);
                continue;
            }
            loads.push_back(load);
            put_off += 1;
            if put_off == loads.len() {
                self.load(loads.drain(..).collect(), components);
            }
        }
    }

    /// Loads all of them, or none.
    fn load(&mut self, set: Vec<Load>, components: &BTreeMap<String, Hash>) {
        if set.iter().all(|load| self.was_tried(load, components)) {
            return;
        }
        let Some(contents) = self.read_each(&set) else {
            return;
        };
        let parts = set.iter().zip(&contents);
        let loadings = parts.map(|(load, content)| Loading {
            plugin: &load.plugin,
            component: content.clone(),
            giver: load.giver.as_deref(),
        });
        let loadings: Vec<_> = loadings.collect();
        let outcome = self.apply.0.load(&loadings);
        let outcome = outcome.map_err(|error| one_line(&format!("{error:#}")).to_string());
        for (load, content) in set.into_iter().zip(contents) {
            let hash = Hash::of(&content);
            match &outcome {
                Ok(()) => self.note_loaded(load, hash),
                Err(error) => self.note_failed(load, hash, error),
            }
        }
    }

    /// Whether this was tried in vain before, and nothing about it has changed.
    fn was_tried(&self, load: &Load, components: &BTreeMap<String, Hash>) -> bool {
        let name = &load.plugin.name;
        self.failed.get(name).is_some_and(|tried| {
            tried.plugin == load.plugin && components.get(name) == Some(&tried.hash)
        })
    }

    /// The components. They are read again rather than kept, because all together may be large; they may have changed meanwhile.
    fn read_each(&mut self, set: &[Load]) -> Option<Vec<Bytes>> {
        let mut contents = Vec::new();
        for Load { plugin, .. } in set {
            let path = component(plugin);
            match Content::read(path) {
                Ok(content) => contents.push(content.bytes),
                Err(error) => {
                    self.note_unreadable(plugin, format!("{}: {error}", path.display()));
                    return None;
                }
            }
        }
        Some(contents)
    }

    fn note_loaded(&mut self, load: Load, hash: Hash) {
        let Load {
            plugin,
            reason,
            giver,
        } = load;
        let name = plugin.name.clone();
        tracing::info!(plugin = name, %reason, "loaded a plugin");
        self.failed.remove(&name);
        let loaded = Loaded { plugin, hash };
        let before = self.in_force.plugins.insert(name, Some(loaded));
        self.note_given_up(before.flatten());
        // The type is not the giver's any more.
        if let Some(Some(gives)) = giver.and_then(|name| self.in_force.plugins.get_mut(&name)) {
            gives.plugin.exchange_type = None;
        }
    }

    /// Tells that a plugin cannot be loaded.
    pub(super) fn tell_failed(&self, name: &str, error: &str) {
        let stays = self.in_force.plugins.get(name).is_some_and(Option::is_some);
        if stays {
            tracing::error!(plugin = name, %error, "a plugin cannot be loaded; what was in force stays");
        } else {
            tracing::error!(plugin = name, %error, "a plugin cannot be loaded");
        }
    }

    fn note_failed(&mut self, load: Load, hash: Hash, error: &str) {
        let plugin = load.plugin;
        let name = plugin.name.clone();
        self.tell_failed(&name, error);
        self.in_force.plugins.entry(name.clone()).or_default();
        self.failed.insert(name, Loaded { plugin, hash });
    }

    /// Whoever failed because this version supplied the type is tried again.
    pub(super) fn note_given_up(&mut self, before: Option<Loaded>) {
        if let Some(given_up) = before.and_then(|before| before.plugin.exchange_type) {
            self.failed
                .retain(|_, tried| tried.plugin.exchange_type.as_ref() != Some(&given_up));
        }
    }
}
