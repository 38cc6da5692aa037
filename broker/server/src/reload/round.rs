//! One look at the files, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::apply::Apply;
use super::component::{Content, Hash, Stamp};
use super::plan::{Certificates, InForce, Load, Loaded, Plan, needs_restart, plan};
use super::source::Source;
use crate::config::{Attachment, Config, Plugin};

/// What is in force, what is wanted, and the way from one to the other.
#[derive(Debug)]
pub struct Reload {
    source: Source,
    pub(super) apply: Applied,
    /// With what the broker started.
    running: Config,
    /// The last configuration that could be used.
    wanted: Config,
    pub(super) in_force: InForce,
    /// The configuration's file when it was last read, whatever was in it.
    config_stamp: Option<Stamp>,
    /// What components looked like when they were last read.
    seen: BTreeMap<PathBuf, (Stamp, Hash)>,
    /// What could not be loaded: it is not tried again before something about it changes.
    pub(super) failed: BTreeMap<String, Loaded>,
    /// What could not be read, and why; said once.
    unreadable: BTreeMap<String, String>,
    /// The plugin that attachments were said to wait for.
    waits_for: Option<String>,
    /// Sections that were said to need a restart.
    announced: Vec<&'static str>,
}

pub(super) struct Applied(pub(super) Arc<dyn Apply>);

/// How attachments are treated whose plugin is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attach {
    /// They are applied: messages fail as `on-error` says. There is nothing that could stay as it was.
    Always,
    /// They wait until it is.
    WhenLoaded,
}

impl Reload {
    /// Nothing is in force yet but the log level, limits and certificates. `config` is what the broker starts with.
    pub fn new(source: Source, config: &Config, apply: Arc<dyn Apply>) -> Self {
        Self {
            config_stamp: Stamp::of(&source.file).ok(),
            source,
            apply: Applied(apply),
            running: config.clone(),
            wanted: config.clone(),
            in_force: InForce {
                plugins: BTreeMap::new(),
                attachments: Vec::new(),
                log_level: config.logging.level.clone(),
                limits: config.limits.clone(),
                tls: Certificates::read(&config.tls),
            },
            seen: BTreeMap::new(),
            failed: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            waits_for: None,
            announced: Vec::new(),
        }
    }

    /// Loads all plugins of the configuration that the broker starts with, and applies all attachments. Those that cannot be loaded are logged,
    /// and are loaded when their files change. Blocks for as long as that takes.
    pub fn load_all(&mut self) {
        self.carry_out(Attach::Always);
    }

    /// Looks at all files that may have changed, and takes the changes in force.
    pub(super) fn round(&mut self) {
        self.read_config();
        self.carry_out(Attach::WhenLoaded);
    }

    /// As [`Self::round`]; what failed before is tried again, and what the management API has unloaded or replaced is loaded from its file again.
    pub(super) fn round_again(&mut self) {
        tracing::info!(file = %self.source.file.display(), "reading the configuration again");
        self.config_stamp = None;
        self.seen.clear();
        self.failed.clear();
        self.unreadable.clear();
        self.announced.clear();
        for (name, loaded) in &mut self.in_force.plugins {
            if let Some(loaded) = loaded
                && !self.apply.0.is_in_force(name, &loaded.hash.to_string())
            {
                loaded.hash = Hash::default();
            }
        }
        self.round();
    }

    /// The files that matter now.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let components = self.wanted.plugins.iter();
        let mut files: Vec<PathBuf> = components
            .filter_map(|plugin| plugin.path.clone())
            .collect();
        files.push(self.source.file.clone());
        let tls = &self.wanted.tls;
        let certificates = [&tls.certificate, &tls.key, &tls.client_ca];
        files.extend(certificates.into_iter().flatten().cloned());
        files
    }

    fn read_config(&mut self) {
        let file = &self.source.file;
        let stamp = Stamp::of(file).ok();
        if stamp.is_some() && stamp == self.config_stamp {
            return;
        }
        let read = Content::read(file).map_err(|error| format!("{}: {error}", file.display()));
        self.config_stamp = read.as_ref().ok().map(|content| content.stamp);
        match read.and_then(|content| self.source.config(&content)) {
            Ok(config) => {
                self.unreadable.remove("");
                self.wanted = config;
                self.announce_restart();
            }
            // Plugins' names are not empty, so that this place is the configuration's own.
            Err(error) if self.unreadable.get("") != Some(&error) => {
                tracing::error!(%error, "the configuration cannot be used; what was in force stays");
                self.unreadable.insert(String::new(), error);
            }
            Err(_) => {}
        }
    }

    fn announce_restart(&mut self) {
        let sections = needs_restart(&self.running, &self.wanted);
        if !sections.is_empty() && sections != self.announced {
            let sections = sections.join(", ");
            tracing::warn!(%sections, "changed in the configuration, and in force after a restart");
        }
        self.announced = sections;
    }

    fn carry_out(&mut self, attach: Attach) {
        let components = self.look_at_components();
        let certificates = Certificates::read(&self.wanted.tls);
        let plan = plan(&self.in_force, &self.wanted, &components, certificates);
        let Plan {
            load,
            attachments,
            unload,
            log_level,
            limits,
            tls,
        } = plan;
        let detached = self.detached();
        let is_detached = |load: &Load| detached.contains(&load.plugin.name);
        let sets = self.in_sets(load);
        // A plugin that is attached no more need be no transform any more, but must be one until then.
        let (later, now): (Vec<_>, Vec<_>) = sets
            .into_iter()
            .partition(|set| set.iter().any(is_detached));
        self.load_each(now, &components);
        let mut is_to_attach = attachments.is_some();
        let is_new = |load: &Load| self.is_attached_anew(&load.plugin.name);
        let is_awaited = later.iter().flatten().any(is_new) || self.awaited().is_some();
        if !later.is_empty() && !is_awaited {
            self.attach(attach);
            is_to_attach = false;
        }
        self.load_each(later, &components);
        if is_to_attach {
            self.attach(attach);
        }
        for name in unload {
            if !self.is_in_use(&name) {
                self.unload(&name);
            }
        }
        if let Some(level) = log_level {
            self.set_log_level(level);
        }
        if let Some(limits) = limits {
            self.apply.0.set_limits(&limits);
            match limits.difference(&self.in_force.limits) {
                Ok(limits) => tracing::info!(%limits, "changed the limits"),
                Err(error) => tracing::error!(%error, "changed the limits, and cannot say how"),
            }
            self.in_force.limits = limits;
        }
        if let Some(certificates) = tls {
            self.set_tls(certificates);
        }
        let wanted = &self.wanted.plugins;
        self.failed.retain(|name, tried| {
            components.get(name) == Some(&tried.hash) && wanted.contains(&tried.plugin)
        });
        let is_wanted = |name: &String| wanted.iter().any(|plugin| plugin.name == *name);
        self.unreadable
            .retain(|name, _| name.is_empty() || is_wanted(name));
    }

    /// The hashes of all components that can be read.
    fn look_at_components(&mut self) -> BTreeMap<String, Hash> {
        let mut hashes = BTreeMap::new();
        let plugins = std::mem::take(&mut self.wanted.plugins);
        for plugin in &plugins {
            match self.look_at(plugin) {
                Ok(hash) => {
                    self.unreadable.remove(&plugin.name);
                    hashes.insert(plugin.name.clone(), hash);
                }
                Err(reason) => self.note_unreadable(plugin, reason),
            }
        }
        self.wanted.plugins = plugins;
        hashes
    }

    fn look_at(&mut self, plugin: &Plugin) -> Result<Hash, String> {
        let path = component(plugin);
        let look = || {
            let stamp = Stamp::of(path)?;
            match self.seen.get(path) {
                Some((seen, hash)) if *seen == stamp => Ok((stamp, *hash)),
                _ => Content::read(path).map(|content| (content.stamp, Hash::of(&content.bytes))),
            }
        };
        let (stamp, hash) =
            look().map_err(|error: std::io::Error| format!("{}: {error}", path.display()))?;
        self.seen.insert(path.to_owned(), (stamp, hash));
        Ok(hash)
    }

    pub(super) fn note_unreadable(&mut self, plugin: &Plugin, reason: String) {
        if self.unreadable.get(&plugin.name) == Some(&reason) {
            return;
        }
        self.tell_failed(&plugin.name, &reason);
        self.apply.0.absent(plugin, &reason);
        self.in_force
            .plugins
            .entry(plugin.name.clone())
            .or_default();
        self.unreadable.insert(plugin.name.clone(), reason);
    }

    /// Whether messages still need a plugin that is no longer wanted, because what is to take its place cannot be loaded.
    fn is_in_use(&self, name: &str) -> bool {
        let attachments = &self.in_force.attachments;
        let is_attached = attachments
            .iter()
            .any(|attachment| attachment.plugin == name);
        let loaded = self.in_force.plugins.get(name).and_then(Option::as_ref);
        let supplied = loaded.and_then(|loaded| loaded.plugin.exchange_type.as_ref());
        let is_awaited = supplied.is_some_and(|supplied| {
            let mut wanted = self.wanted.plugins.iter();
            wanted.any(|plugin| plugin.exchange_type.as_ref() == Some(supplied))
        });
        is_attached || is_awaited
    }

    /// Plugins that attachments in force name, and those that are wanted do not.
    fn detached(&self) -> BTreeSet<String> {
        let (in_force, wanted) = (&self.in_force.attachments, &self.wanted.attachments);
        let names = in_force.iter().map(|attachment| &attachment.plugin);
        let is_wanted = |name: &String| wanted.iter().any(|each| each.plugin == *name);
        names.filter(|name| !is_wanted(name)).cloned().collect()
    }

    /// Whether attachments that are wanted name a plugin, and none that is in force.
    fn is_attached_anew(&self, name: &str) -> bool {
        let (in_force, wanted) = (&self.in_force.attachments, &self.wanted.attachments);
        let names = |attachments: &[Attachment]| attachments.iter().any(|each| each.plugin == name);
        names(wanted) && !names(in_force)
    }

    /// A plugin that is to be attached and is not loaded.
    fn awaited(&self) -> Option<&String> {
        let is_loaded = |name: &str| matches!(self.in_force.plugins.get(name), Some(Some(_)));
        let mut wanted = self.wanted.attachments.iter();
        let awaited = wanted.find(|attachment| !is_loaded(&attachment.plugin));
        awaited.map(|attachment| &attachment.plugin)
    }

    fn attach(&mut self, attach: Attach) {
        match self.awaited().cloned() {
            Some(plugin) if attach == Attach::WhenLoaded => {
                if self.waits_for.as_ref() != Some(&plugin) {
                    tracing::warn!(
                        plugin,
                        "attachments stay as they were until the plugin is loaded"
                    );
                    self.waits_for = Some(plugin);
                }
            }
            _ => {
                self.waits_for = None;
                // What was refused because attachments named it is tried again.
                let detached = self.detached();
                self.failed.retain(|name, _| !detached.contains(name));
                let wanted = &self.wanted.attachments;
                self.apply.0.set_attachments(wanted.clone());
                self.in_force.attachments.clone_from(wanted);
            }
        }
    }

    fn unload(&mut self, name: &str) {
        self.apply.0.unload(name);
        let before = self.in_force.plugins.remove(name);
        self.note_given_up(before.flatten());
        tracing::info!(
            plugin = name,
            "unloaded a plugin that the configuration no longer has"
        );
    }

    fn set_log_level(&mut self, level: String) {
        match self.apply.0.set_log_level(&level) {
            Ok(()) => tracing::info!(level, "changed the log level"),
            Err(error) => tracing::error!(level, "the log level cannot be changed: {error:#}"),
        }
        // Also if it failed, so that it is said once.
        self.in_force.log_level = level;
    }

    fn set_tls(&mut self, certificates: Certificates) {
        match self.apply.0.set_tls(&certificates.tls) {
            Ok(()) => tracing::info!("read the TLS certificates again, for new connections"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(%error, "the TLS certificates cannot be used; those in force stay");
            }
        }
        // Also if it failed: it is tried again when the files change.
        self.in_force.tls = certificates;
    }
}

/// The file of a plugin that is configured: the configuration is refused without.
pub(super) fn component(plugin: &Plugin) -> &Path {
    plugin.path.as_deref().unwrap_or(Path::new(""))
}

impl std::fmt::Debug for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Apply")
    }
}
