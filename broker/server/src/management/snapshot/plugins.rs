//! Plugins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amphora_core::hook::{Fault, Needs};

use crate::config::Plugin;

/// A plugin and how it is doing.
#[derive(Clone, Debug)]
pub struct PluginSnapshot {
    /// What the operator says of it: by the configuration if it has a path, else with the upload.
    pub settings: Plugin,
    /// Where the component in force, or the last one that was tried, came from.
    pub source: PluginSource,
    /// Whether it is called.
    pub state: PluginState,
    /// The version in force.
    pub version: Option<PluginVersion>,
    /// The version that a rollback puts in force.
    pub previous: Option<PluginBefore>,
    /// Why the last load or call failed that did.
    pub last_error: Option<PluginFailure>,
    /// Instances: one for each thread that uses the plugin.
    pub instances: u64,
    /// Their memory together, in bytes.
    pub memory: u64,
    /// Exchanges of its type.
    pub exchanges: u64,
    /// What happened since the broker started, over all versions.
    pub stats: PluginStats,
    /// Entries in its store.
    pub kv_entries: u64,
    /// Keys and values in its store, in bytes.
    pub kv_bytes: u64,
    /// Lines of its log that were dropped because there were too many.
    pub log_lines_dropped: u64,
    /// Figures that it gave and may not have.
    pub metrics_dropped: u64,
    /// Figures that it counts itself.
    pub metrics: BTreeMap<String, PluginMetric>,
}

/// Where a component came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginSource {
    /// From the path that the configuration has.
    Config,
    /// By the management API.
    Upload,
}

/// Whether a plugin is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// It is.
    Loaded,
    /// It failed too often, and is called again in so long.
    Quarantined(Duration),
    /// No version is in force, because the last load failed.
    Failed,
    /// No version is in force.
    NotLoaded,
}

/// One version of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginVersion {
    /// What it calls itself.
    pub described_name: String,
    /// Its own version, in its own form.
    pub version: String,
    /// The SHA-256 of the component, in hexadecimal digits.
    pub hash: String,
    /// The component's length in bytes.
    pub size: u64,
    /// When it came into force.
    pub loaded_at: SystemTime,
    /// What it sees of messages.
    pub needs: Arc<Needs>,
}

/// A version that was in force before.
#[derive(Clone, Debug)]
pub struct PluginBefore {
    /// Its own version, in its own form.
    pub version: String,
    /// The SHA-256 of the component, in hexadecimal digits.
    pub hash: String,
    /// The component's length in bytes.
    pub size: u64,
    /// When it came into force.
    pub loaded_at: SystemTime,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFailure {
    /// In words.
    pub text: String,
    /// When.
    pub at: SystemTime,
}

/// What happened to a plugin.
#[derive(Clone, Debug, Default)]
pub struct PluginStats {
    /// Calls that were answered.
    pub calls: u64,
    /// Messages in them.
    pub messages: u64,
    /// Time in them.
    pub time: Duration,
    /// Calls by the number of messages in them.
    pub batch_sizes: Vec<Bucket>,
    /// Messages by the nanoseconds that each took.
    pub ns_per_message: Vec<Bucket>,
    /// Calls by the nanoseconds that each took.
    pub ns_per_call: Vec<Bucket>,
    /// Messages that an answer was known for.
    pub cache_hits: u64,
    /// Failures by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Messages that had no answer because of a failure.
    pub failed_messages: u64,
    /// Messages that were to be dead-lettered, and nobody says where to.
    pub lost_dead_letters: u64,
    /// Messages of its own that went nowhere: the broker could not follow, an exchange refused them, or no queue was bound for them.
    pub lost_publishes: u64,
    /// Times that the plugin was put into quarantine.
    pub quarantines: u64,
    /// Versions that came into force.
    pub loads: u64,
    /// Loads that failed.
    pub failed_loads: u64,
}

/// One part of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The largest value that is counted here; none for those that no other bucket is for.
    pub at_most: Option<u64>,
    /// How many values are in this bucket, and in no earlier one.
    pub count: u64,
}

/// A figure that a plugin counts itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PluginMetric {
    /// It only rises.
    Counter(u64),
    /// It is set.
    Gauge(f64),
}

/// A line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLogLine {
    /// When.
    pub at: SystemTime,
    /// `error`, `warn`, `info` or `debug`.
    pub level: &'static str,
    /// What it says.
    pub text: String,
}

impl PluginState {
    /// The name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Quarantined(_) => "quarantined",
            Self::Failed => "failed",
            Self::NotLoaded => "not_loaded",
        }
    }
}

impl PluginSource {
    /// The name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Upload => "upload",
        }
    }
}

impl PluginStats {
    /// How many calls did not end in time.
    pub fn timeouts(&self) -> u64 {
        self.faults
            .get(&Fault::Timeout)
            .copied()
            .unwrap_or_default()
    }
}
