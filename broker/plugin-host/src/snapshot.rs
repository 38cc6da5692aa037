//! A plugin as the management API, the CLI and the metrics see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amphora_core::hook::{Fault, Needs, OnError};

use crate::counters::CounterSnapshot;
use crate::spec::Grant;

/// A plugin and how it is doing.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The name under which the operator knows it.
    pub name: String,
    /// What is in force now.
    pub state: PluginState,
    /// The version in force; none if there is none.
    pub version: Option<VersionSnapshot>,
    /// The version that [`Host::rollback`](crate::Host::rollback) would bring back.
    pub previous: Option<VersionSnapshot>,
    /// Why the last attempt to load or the last call failed, until a load succeeds.
    pub last_error: Option<LastError>,
    /// What was counted since the host began, over all versions.
    pub counters: CounterSnapshot,
    /// Bytes of linear memory of all instances, and of a transform's answers that are kept.
    pub memory: u64,
    /// Instances: one for each thread that uses the plugin.
    pub instances: u64,
    /// Exchanges of its type.
    pub exchanges: u64,
    /// Entries in its store.
    pub kv_entries: u64,
    /// Bytes of keys and values in its store.
    pub kv_bytes: u64,
    /// Lines of its log that were dropped because there were too many.
    pub log_dropped: u64,
    /// Figures that it may not have: too many names, or bad ones.
    pub metrics_dropped: u64,
    /// Figures that it counts itself.
    pub metrics: BTreeMap<String, Metric>,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// In words.
    pub text: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Whether a plugin is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PluginState {
    /// It is called.
    Loaded,
    /// It failed too often, and is called again in so long.
    Quarantined(Duration),
    /// There is none, and the last attempt to load one failed.
    Failed,
    /// There is none.
    NotLoaded,
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

/// What a component is, and what the operator lets it do.
#[derive(Clone, Debug)]
pub struct VersionSnapshot {
    /// What it calls itself.
    pub described_name: String,
    /// Its own version, in its own form.
    pub version: String,
    /// The component's hash, in hexadecimal digits.
    pub sha256: String,
    /// The component's length in bytes.
    pub size: u64,
    /// When it came into force, in milliseconds since 1970.
    pub loaded_ms: u64,
    /// What it can be used for.
    pub kinds: Kinds,
    /// The type of exchange that it supplies.
    pub exchange_type: Option<String>,
    /// What it sees of messages.
    pub needs: Arc<Needs>,
    /// What it may import.
    pub grants: BTreeSet<Grant>,
    /// How long one call may run.
    pub deadline: Duration,
    /// Bytes of memory that one instance may have.
    pub memory_max: u64,
    /// What happens to a message that it has no answer for.
    pub on_error: OnError,
}

/// What a component can be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// It routes packed batches.
    pub exchange_packed: bool,
    /// It routes batches of records.
    pub exchange_typed: bool,
    /// It transforms messages.
    pub transform: bool,
}

impl Kinds {
    /// Whether it supplies a type of exchange.
    pub fn exchange(self) -> bool {
        self.exchange_packed || self.exchange_typed
    }
}

/// A figure that a plugin counts itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// It only rises.
    Counter(u64),
    /// It is set.
    Gauge(f64),
}

/// A line of a plugin's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it came, in milliseconds since 1970.
    pub time_ms: u64,
    /// How bad it is.
    pub level: LogLevel,
    /// The text, at most 4 KiB.
    pub text: String,
}

/// How bad a line of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// Something that only the plugin's author wants to know.
    Debug,
}

impl LogLevel {
    /// The name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// The counts of failures by kind.
pub type FaultCounts = BTreeMap<Fault, u64>;
