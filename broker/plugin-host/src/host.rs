//! The host: which plugins there are, and how the rest of the broker reaches them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use amphora_core::binding::Binding;
use amphora_core::definition::ExchangeDefinition;
use amphora_core::hook::{ExchangeHook, HookError, Hooks, OnError, TransformHook};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::VhostName;
use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

use crate::check;
use crate::code_cache::CodeCache;
use crate::engine::engine;
use crate::environment::{Environment, KvEntry};
use crate::error::{HostError, LoadError, NotLoaded};
use crate::exchange::ExchangeType;
use crate::inspect::{self, Inspection};
use crate::load::{self, Loading};
use crate::plugin::{Plugin, World};
use crate::snapshot::{LogLine, Snapshot};
use crate::spec::PluginSpec;
use crate::ticker::Ticker;
use crate::transform::Transform;

/// Runs plugins. A clone is another handle of the same host.
///
/// Calls run on the thread that makes them, each in an instance of that thread's own, and end by their deadline. Methods that run a
/// plugin must not be called with a lock held.
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) world: Arc<World>,
    pub(crate) registry: Arc<RwLock<Registry>>,
}

/// Where a host keeps what it has.
#[derive(Clone, Debug, Default)]
pub struct HostSettings {
    /// The folder for compiled code. It is made if need be, for the broker's user only, and not used if others can write to it.
    pub cache_folder: Option<PathBuf>,
    /// Calls a transform for each message, also if its answers are pure and this one is known: for whoever measures what a call takes.
    pub forgets_answers: bool,
}

/// What a host knows, by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    plugins: BTreeMap<Arc<str>, Arc<Plugin>>,
    exchange_types: HashMap<Arc<str>, Arc<ExchangeType>, RandomState>,
}

impl Host {
    /// A host without plugins. It has one thread, which sleeps while no plugin is called.
    ///
    /// # Errors
    /// The machine refuses what the engine needs.
    pub fn new(
        settings: HostSettings,
        environment: Arc<dyn Environment>,
    ) -> Result<Self, HostError> {
        let engine = engine()?;
        let ticker = Ticker::start(&engine)?;
        let cache = settings.cache_folder;
        let world = World {
            keeps_answers: !settings.forgets_answers,
            watch: ticker.watch(),
            _ticker: ticker,
            cache: cache.and_then(|folder| CodeCache::open(&folder)),
            passing: Mutex::default(),
            engine,
            environment,
        };
        Ok(Self {
            world: Arc::new(world),
            registry: Arc::default(),
        })
    }

    /// Brings a component into force: compiles it, tries it with all exchanges of its type and their bindings, and only then lets it take the place of
    /// what was in force under this name. Messages that are being routed meanwhile are routed wholly by one of the two.
    ///
    /// Takes seconds for a component with a language runtime that was not compiled before.
    ///
    /// # Errors
    /// Says what is wrong. What was in force stays in force.
    pub fn load(&self, spec: PluginSpec, component: &[u8]) -> Result<Snapshot, LoadError> {
        let loading = Loading {
            spec,
            component,
            giver: None,
        };
        let mut loaded = load::load(self, vec![loading]).map_err(|failed| failed.error)?;
        match loaded.pop() {
            Some(snapshot) => Ok(snapshot),
            None => unreachable!("one was to be loaded, and one is"),
        }
    }

    /// As [`Self::load`] for several plugins: all of them come into force, or none. Types of exchange may pass from one of them to another, and from a
    /// plugin that is named as the giver, without a moment in which nobody supplies them, and without a message that is routed by another type's
    /// plugin. A giver is there still afterwards, and supplies nothing. Returns the plugins, by name.
    ///
    /// # Errors
    /// Says which one cannot be loaded, and why. What was in force stays in force.
    pub fn load_together(&self, set: Vec<Loading<'_>>) -> Result<Vec<Snapshot>, NotLoaded> {
        load::load(self, set)
    }

    /// Brings the version back that was in force before, or before the plugin was unloaded. A second call undoes the first.
    ///
    /// # Errors
    /// There is none, or it fails with the exchanges of now. What was in force stays in force.
    pub fn rollback(&self, name: &str) -> Result<Snapshot, LoadError> {
        load::rollback(self, name)
    }

    /// Takes a plugin out of force. Its exchanges and attachments stay and fail until it is loaded again.
    ///
    /// # Errors
    /// There is no such plugin.
    pub fn unload(&self, name: &str) -> Result<Snapshot, LoadError> {
        load::unload(self, name)
    }

    /// Unloads a plugin and forgets it and its earlier version, and its counters, too, unless it is attached somewhere. Its store is not told to
    /// the environment as removed.
    pub fn forget(&self, name: &str) {
        if load::forget(self, name).is_ok() {
            let plugins = &mut self.registry.write().plugins;
            // Attachments have a handle each, and wait for the plugin to come back.
            if plugins
                .get(name)
                .is_some_and(|plugin| Arc::strong_count(plugin) == 1)
            {
                plugins.remove(name);
            }
        }
    }

    /// A transform, for wherever it is attached, also before the plugin is loaded. `on_error` says what the attachment wants; none is
    /// what the plugin's section of the configuration says.
    pub fn transform(&self, plugin: &str, on_error: Option<OnError>) -> Arc<dyn TransformHook> {
        Arc::new(Transform {
            plugin: self.plugin(plugin),
            on_error,
        })
    }

    /// Asks a plugin whether an exchange of its type can have these arguments, in an instance that routes nothing.
    ///
    /// # Errors
    /// [`Fault::Refused`](amphora_core::hook::Fault::Refused) with the plugin's own text, or any other failure.
    pub fn check_exchange(
        &self,
        exchange_type: &str,
        vhost: &str,
        name: &str,
        arguments: &FieldTable,
    ) -> Result<(), HookError> {
        let exchange_type = self.exchange_type(exchange_type);
        check::exchange(&exchange_type, vhost, name, arguments, None)
    }

    /// Asks a plugin whether an exchange of its type can have this binding, in an instance that routes nothing.
    ///
    /// # Errors
    /// As [`Host::check_exchange`].
    pub fn check_binding(
        &self,
        exchange_type: &str,
        vhost: &str,
        name: &str,
        arguments: &FieldTable,
        binding: &Binding,
    ) -> Result<(), HookError> {
        let exchange_type = self.exchange_type(exchange_type);
        check::exchange(&exchange_type, vhost, name, arguments, Some(binding))
    }

    /// What a component is, without bringing it into force.
    ///
    /// # Errors
    /// It could be loaded by nobody.
    pub fn inspect(&self, component: &[u8]) -> Result<Inspection, LoadError> {
        inspect::inspect(&self.world, component)
    }

    /// All plugins that were ever named, by name.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let plugins: Vec<_> = self.registry.read().plugins.values().cloned().collect();
        let snapshots = plugins.iter().map(|plugin| self.snapshot_of(plugin));
        snapshots.collect()
    }

    /// One plugin.
    pub fn snapshot(&self, name: &str) -> Option<Snapshot> {
        let plugin = self.registry.read().plugins.get(name).cloned()?;
        Some(self.snapshot_of(&plugin))
    }

    /// The last lines of a plugin's log, the oldest first: at most 200.
    pub fn log(&self, name: &str) -> Vec<LogLine> {
        let plugin = self.registry.read().plugins.get(name).cloned();
        plugin.map_or_else(Vec::new, |plugin| plugin.shared.log.lines())
    }

    /// Gives a plugin's store what it had before the broker started. The environment is told only of what has outlived its time and goes.
    pub fn restore_kv(&self, plugin: &str, entries: impl IntoIterator<Item = (Bytes, KvEntry)>) {
        let environment = &self.world.environment;
        let kv = &self.plugin(plugin).shared.kv;
        for key in kv.restore(entries, environment.now_ms()) {
            environment.kv_changed(plugin, &key, None);
        }
        if let Some(next) = kv.next_expiry() {
            environment.kv_expires(next);
        }
    }

    /// Drops what has outlived its time in plugins' stores, and tells the environment of it. Calls of a plugin do so, too, for its own store. Returns
    /// when the next entry of all that are left goes, in milliseconds since 1970.
    pub fn expire_kv(&self) -> Option<u64> {
        let plugins: Vec<_> = self.registry.read().plugins.values().cloned().collect();
        let environment = &self.world.environment;
        let now_ms = environment.now_ms();
        let next = plugins.iter().filter_map(|plugin| {
            let tell = |key: &[u8]| environment.kv_changed(&plugin.name, key, None);
            while plugin.shared.kv.expire(now_ms, tell) {}
            plugin.shared.kv.next_expiry()
        });
        next.min()
    }

    /// Takes everything out of a plugin's store, and tells the environment of it. Returns how many entries there were.
    pub fn clear_kv(&self, plugin: &str) -> usize {
        let known = self.registry.read().plugins.get(plugin).cloned();
        let keys = known.map_or_else(Vec::new, |plugin| plugin.shared.kv.clear());
        for key in &keys {
            self.world.environment.kv_changed(plugin, key, None);
        }
        keys.len()
    }

    pub(crate) fn snapshot_of(&self, plugin: &Plugin) -> Snapshot {
        let current = plugin.current.load_full();
        let exchange_type = current.and_then(|version| version.spec.exchange_type.clone());
        let exchanges = exchange_type.map_or(0, |name| self.exchange_type(&name).count());
        plugin.snapshot(exchanges)
    }

    /// The plugin of this name, which may have nothing in force.
    pub(crate) fn plugin(&self, name: &str) -> Arc<Plugin> {
        if let Some(plugin) = self.registry.read().plugins.get(name) {
            return Arc::clone(plugin);
        }
        let mut registry = self.registry.write();
        let plugin = registry
            .plugins
            .entry(name.into())
            .or_insert_with(|| Arc::new(Plugin::new(name, &self.world)));
        Arc::clone(plugin)
    }

    /// The type of this name, which nobody may supply.
    pub(crate) fn exchange_type(&self, name: &str) -> Arc<ExchangeType> {
        if let Some(known) = self.registry.read().exchange_types.get(name) {
            return Arc::clone(known);
        }
        let mut registry = self.registry.write();
        let known = registry
            .exchange_types
            .entry(name.into())
            .or_insert_with(|| Arc::new(ExchangeType::new(name)));
        Arc::clone(known)
    }

    /// A plugin that was named before.
    pub(crate) fn known(&self, name: &str) -> Result<Arc<Plugin>, LoadError> {
        let plugin = self.registry.read().plugins.get(name).cloned();
        plugin.ok_or_else(|| LoadError::Nothing(format!("there is no plugin '{name}'")))
    }
}

impl Hooks for Host {
    fn has_exchange_type(&self, name: &str) -> bool {
        let registry = self.registry.read();
        let exchange_type = registry.exchange_types.get(name);
        exchange_type.is_some_and(|exchange_type| exchange_type.plugin.load().is_some())
    }

    fn exchange(
        &self,
        type_name: &str,
        vhost: &VhostName,
        definition: &ExchangeDefinition,
    ) -> Arc<dyn ExchangeHook> {
        self.exchange_type(type_name).declare(vhost, definition)
    }
}
