//! Loading what is planned: one plugin after the other, or those at once among which types of exchange pass.

use std::collections::BTreeMap;

use amphora_plugin_host::one_line;
use bytes::Bytes;

use super::apply::Loading;
use super::component::{Content, Hash};
use super::plan::{Load, Loaded};
use super::round::{Reload, component};

impl Reload {
    /// What is to be loaded at once: plugins among which a type of exchange passes, so that nobody who routes finds it without a supplier. Each of the
    /// others is a set of its own.
    pub(super) fn in_sets(&self, loads: Vec<Load>) -> Vec<Vec<Load>> {
        let mut sets: Vec<Vec<Load>> = Vec::new();
        for load in loads {
            let passes = |set: &Vec<Load>| set.iter().any(|other| self.passes(&load, other));
            let (joined, apart): (Vec<_>, Vec<_>) = sets.into_iter().partition(passes);
            sets = apart;
            let mut set: Vec<Load> = joined.into_iter().flatten().collect();
            set.push(load);
            sets.push(set);
        }
        sets
    }

    /// Loads one set after the other.
    pub(super) fn load_each(&mut self, sets: Vec<Vec<Load>>, components: &BTreeMap<String, Hash>) {
        for set in sets {
            self.load(set, components);
        }
    }

    /// Whether one of the two is to supply a type of exchange that the other one supplies.
    fn passes(&self, one: &Load, other: &Load) -> bool {
        let takes = |taker: &Load, giver: &Load| {
            let rival = self.in_force.rival(&taker.plugin);
            rival.is_some_and(|rival| rival == giver.plugin.name)
        };
        takes(one, other) || takes(other, one)
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
