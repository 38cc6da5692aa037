//! The fake broker's plugins: a component is a text, which is its version, and `broken` is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amphora_core::hook::{BodyNeeds, Fault, HeaderNeeds, Needs, Parts};

use super::FakeBroker;
use super::state::State;
use crate::config::Plugin;
use crate::management::backend::{PluginRefusal, PluginReply, Plugins, PutPlugin};
use crate::management::snapshot::{
    Bucket, PluginBefore, PluginFailure, PluginLogLine, PluginMetric, PluginSnapshot, PluginSource,
    PluginState, PluginStats, PluginVersion,
};

type Outcome = Result<(), PluginRefusal>;

impl FakeBroker {
    /// Configures a plugin, and loads `version` of it.
    pub(crate) fn configure(&self, plugin: Plugin, version: &str) {
        let mut state = self.0.lock();
        let mut snapshot = new(plugin, PluginSource::Config);
        snapshot.version = Some(version_of(version));
        snapshot.state = PluginState::Loaded;
        let name = snapshot.settings.name.clone();
        state.plugins.insert(name, snapshot);
    }

    /// Lets a plugin have worked, and failed until it was put into quarantine.
    pub(crate) fn wear_out(&self, name: &str) {
        let mut state = self.0.lock();
        let Some(plugin) = state.plugins.get_mut(name) else {
            return;
        };
        plugin.state = PluginState::Quarantined(Duration::from_secs(30));
        plugin.last_error = Some(failure("trap in 'route'"));
        plugin.instances = 2;
        plugin.memory = 131_072;
        plugin.stats = PluginStats {
            calls: 10,
            messages: 640,
            time: Duration::from_micros(128),
            batch_sizes: vec![bucket(1, 0), bucket(64, 10)],
            ns_per_message: vec![
                bucket(128, 0),
                bucket(256, 640),
                Bucket {
                    at_most: None,
                    count: 0,
                },
            ],
            ns_per_call: vec![bucket(8192, 4), bucket(16384, 6)],
            cache_hits: 360,
            faults: BTreeMap::from([(Fault::Trap, 3), (Fault::Timeout, 2)]),
            failed_messages: 5,
            lost_dead_letters: 4,
            lost_publishes: 6,
            quarantines: 1,
            loads: 1,
            failed_loads: 0,
        };
        (plugin.kv_entries, plugin.kv_bytes) = (3, 42);
        (plugin.log_lines_dropped, plugin.metrics_dropped) = (7, 1);
        plugin.metrics = BTreeMap::from([
            ("matched".to_owned(), PluginMetric::Counter(600)),
            ("ratio".to_owned(), PluginMetric::Gauge(0.5)),
        ]);
    }
}

impl Plugins for FakeBroker {
    fn all(&self) -> Vec<PluginSnapshot> {
        let state = self.0.lock();
        state.plugins.values().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<PluginSnapshot> {
        self.0.lock().plugins.get(name).cloned()
    }

    fn log(&self, name: &str) -> Vec<PluginLogLine> {
        let line = |level, text: String| PluginLogLine {
            at: moment(),
            level,
            text,
        };
        vec![
            line("info", format!("{name} began")),
            line("warn", "two\nlines".to_owned()),
        ]
    }

    fn put(&self, command: PutPlugin) -> PluginReply<'_> {
        Box::pin(async move { self.0.lock().put_plugin(command) })
    }

    fn load<'a>(&'a self, name: &'a str) -> PluginReply<'a> {
        Box::pin(async move {
            let mut state = self.0.lock();
            let plugin = state.plugins.get_mut(name).ok_or(PluginRefusal::NoPlugin)?;
            let Some(path) = &plugin.settings.path else {
                let text = format!("plugin '{name}' was uploaded and has no path to load it from");
                return Err(PluginRefusal::Conflict(text));
            };
            if path.starts_with("missing") {
                let text = format!("{}: No such file or directory", path.display());
                plugin.last_error = Some(failure(&text));
                return Err(PluginRefusal::Failed(text));
            }
            replace(plugin, version_of("from-file"), PluginSource::Config);
            Ok(())
        })
    }

    fn rollback<'a>(&'a self, name: &'a str) -> PluginReply<'a> {
        Box::pin(async move {
            let mut state = self.0.lock();
            let plugin = state.plugins.get_mut(name).ok_or(PluginRefusal::NoPlugin)?;
            let Some(previous) = plugin.previous.take() else {
                let text = format!("plugin '{name}' has no previous version");
                return Err(PluginRefusal::Conflict(text));
            };
            let version = version_of(&previous.version);
            plugin.previous = plugin.version.replace(version).map(before);
            Ok(())
        })
    }

    fn unload<'a>(&'a self, name: &'a str, force: bool) -> PluginReply<'a> {
        Box::pin(async move { self.0.lock().unload_plugin(name, force) })
    }
}

impl State {
    /// Whether exchanges of this type can be declared.
    pub(super) fn has_exchange_type(&self, kind: &str) -> bool {
        let mut plugins = self.plugins.values();
        kind == "direct"
            || plugins.any(|plugin| plugin.settings.exchange_type.as_deref() == Some(kind))
    }

    fn put_plugin(&mut self, command: PutPlugin) -> Outcome {
        let text = String::from_utf8_lossy(&command.component);
        let known = self.plugins.get_mut(&command.name);
        if text.starts_with("broken") {
            let text = "this is no WebAssembly component: it does not begin like one";
            if let Some(known) = known {
                known.last_error = Some(failure(text));
            }
            return Err(PluginRefusal::Unusable(text.to_owned()));
        }
        let plugin = match (known, command.settings) {
            (Some(plugin), None) => plugin,
            (Some(plugin), Some(settings)) => {
                plugin.settings = settings;
                plugin
            }
            (None, Some(settings)) => {
                let plugin = new(settings, PluginSource::Upload);
                self.plugins.entry(command.name).or_insert(plugin)
            }
            (None, None) => return Err(PluginRefusal::NoPlugin),
        };
        replace(plugin, version_of(&text), PluginSource::Upload);
        Ok(())
    }

    fn unload_plugin(&mut self, name: &str, force: bool) -> Outcome {
        let plugin = self.plugins.get_mut(name).ok_or(PluginRefusal::NoPlugin)?;
        let kind = plugin.settings.exchange_type.as_deref();
        let mut exchanges = self.exchanges.values();
        if let Some(exchange) = exchanges.find(|exchange| Some(&*exchange.kind) == kind)
            && !force
        {
            let text = format!("exchange '{}' in vhost '/' has its type", exchange.name);
            return Err(PluginRefusal::Conflict(text));
        }
        plugin.version = None;
        plugin.state = PluginState::NotLoaded;
        if plugin.settings.path.is_none() {
            self.plugins.remove(name);
        }
        Ok(())
    }
}

fn new(settings: Plugin, source: PluginSource) -> PluginSnapshot {
    PluginSnapshot {
        settings,
        source,
        state: PluginState::NotLoaded,
        version: None,
        previous: None,
        last_error: None,
        instances: 0,
        memory: 0,
        exchanges: 0,
        stats: PluginStats::default(),
        kv_entries: 0,
        kv_bytes: 0,
        log_lines_dropped: 0,
        metrics_dropped: 0,
        metrics: BTreeMap::new(),
    }
}

fn replace(plugin: &mut PluginSnapshot, version: PluginVersion, source: PluginSource) {
    plugin.previous = plugin.version.replace(version).map(before);
    plugin.source = source;
    plugin.state = PluginState::Loaded;
    plugin.last_error = None;
    plugin.stats.loads += 1;
}

fn before(version: PluginVersion) -> PluginBefore {
    PluginBefore {
        version: version.version,
        hash: version.hash,
        size: version.size,
        loaded_at: version.loaded_at,
    }
}

fn version_of(text: &str) -> PluginVersion {
    PluginVersion {
        described_name: "test".to_owned(),
        version: text.to_owned(),
        hash: format!("hash-of-{text}"),
        size: text.len() as u64,
        loaded_at: moment(),
        needs: Arc::new(Needs {
            parts: Parts {
                routing_key: true,
                ..Parts::default()
            },
            headers: HeaderNeeds::Named(vec!["region".to_owned()]),
            body: BodyNeeds::Prefix(64),
            pure: true,
        }),
    }
}

fn failure(text: &str) -> PluginFailure {
    PluginFailure {
        text: text.to_owned(),
        at: moment(),
    }
}

fn bucket(at_most: u64, count: u64) -> Bucket {
    Bucket {
        at_most: Some(at_most),
        count,
    }
}

fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}
