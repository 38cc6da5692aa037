//! A plugin as JSON.

use std::collections::BTreeMap;

use amphora_core::hook::{BodyNeeds, HeaderNeeds, Needs};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::management::caller::Caller;
use crate::management::snapshot::{
    Bucket, PluginBefore, PluginFailure, PluginLogLine, PluginMetric, PluginSnapshot, PluginState,
};
use crate::management::stats;

/// A plugin and how it is doing.
#[derive(Serialize, JsonSchema)]
pub(super) struct Plugin {
    #[serde(flatten)]
    settings: Settings,
    #[serde(flatten)]
    state: State,
    #[serde(flatten)]
    figures: Figures,
}

/// What the operator says of a plugin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginSettings")]
struct Settings {
    name: String,
    /// Where the configuration says that the component is; nothing for one that was uploaded.
    path: Option<String>,
    /// `exchange` or `transform`.
    kind: &'static str,
    /// The type of exchange that it supplies.
    exchange_type: Option<String>,
    /// What it may import.
    grants: Vec<&'static str>,
    /// How long a call may take, in milliseconds.
    deadline_ms: u64,
    /// How much memory an instance may have, in bytes.
    memory_max: u64,
    /// How much it may store, in bytes.
    kv_max: u64,
    /// What is done with messages that it fails for.
    on_error: &'static str,
    dead_letter_exchange: Option<String>,
    dead_letter_routing_key: Option<String>,
    /// What it is told at its start. Only administrators see it: some have a password in there.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<BTreeMap<String, String>>,
}

/// What is in force of a plugin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginStatus")]
struct State {
    /// Where the component came from: `config` or `upload`.
    source: &'static str,
    /// `loaded`, `quarantined`, `failed` or `not_loaded`.
    state: &'static str,
    /// For how long it is not called, in milliseconds.
    quarantine_left_ms: Option<u64>,
    /// The version in force.
    version: Option<String>,
    /// The SHA-256 of the component in force, in hexadecimal digits.
    hash: Option<String>,
    /// Its length in bytes.
    size: Option<u64>,
    /// When it came into force, in milliseconds since 1970.
    loaded_at: Option<u64>,
    /// What it calls itself.
    described_name: Option<String>,
    /// What it sees of messages.
    needs: Option<NeedsView>,
    /// The version that a rollback puts in force.
    previous: Option<Previous>,
    /// Why the last load or call failed that did.
    last_error: Option<Failure>,
}

/// A version that is not in force any more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PreviousPlugin")]
struct Previous {
    version: String,
    /// The SHA-256 of the component, in hexadecimal digits.
    hash: String,
    /// Its length in bytes.
    size: u64,
    /// When it came into force, in milliseconds since 1970.
    loaded_at: u64,
}

/// Why something of a plugin failed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginFailure")]
struct Failure {
    text: String,
    /// Milliseconds since 1970.
    at: u64,
}

/// What a plugin sees of messages, in the words of the contract.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginNeeds")]
struct NeedsView {
    parts: Vec<&'static str>,
    headers: Headers,
    body: Body,
    /// The same message always gets the same answer.
    pure: bool,
}

/// `none`, `all`, or the names of some.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Headers {
    Word(&'static str),
    Named(Vec<String>),
}

/// `none`, `whole`, or its first so many bytes.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Body {
    Word(&'static str),
    Prefix(u64),
}

/// What happened to a plugin since the broker started, over all versions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginFigures")]
struct Figures {
    /// Instances: one for each thread that uses it.
    instances: u64,
    /// Their memory together, in bytes.
    memory: u64,
    /// Exchanges of its type.
    exchanges: u64,
    /// Calls that were answered.
    calls: u64,
    /// Messages in them.
    messages: u64,
    /// Messages in a call.
    batch_size: Histogram,
    /// Nanoseconds for a message.
    ns_per_message: Histogram,
    /// Nanoseconds for a call.
    ns_per_call: Histogram,
    /// Messages that an answer was known for.
    cache_hits: u64,
    /// Failures by kind.
    errors: BTreeMap<&'static str, u64>,
    /// Calls that did not end in time.
    timeouts: u64,
    /// Messages that had no answer because of a failure.
    failed_messages: u64,
    /// Messages that were to be dead-lettered, and nobody says where to.
    lost_dead_letters: u64,
    /// Messages of its own that went nowhere.
    lost_publishes: u64,
    /// How often it was put into quarantine.
    quarantines: u64,
    /// Versions that came into force.
    loads: u64,
    /// Loads that failed.
    failed_loads: u64,
    /// Entries in its store.
    kv_entries: u64,
    /// Keys and values in its store, in bytes.
    kv_bytes: u64,
    /// Lines of its log that were dropped because there were too many.
    log_lines_dropped: u64,
    /// Figures that it gave and may not have.
    metrics_dropped: u64,
    /// Figures that it counts itself.
    metrics: BTreeMap<String, Number>,
}

/// A counter, or a gauge.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Number {
    Counter(u64),
    Gauge(f64),
}

/// A mean, which there is none of nothing, and what it is the mean of.
#[derive(Serialize, JsonSchema)]
struct Histogram {
    mean: Option<u64>,
    histogram: Vec<BucketView>,
}

/// Values that are in this bucket, and in no earlier one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Bucket")]
struct BucketView {
    /// The largest value that is counted here; nothing for those that no other bucket is for.
    at_most: Option<u64>,
    count: u64,
}

/// A line that a plugin logged.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginLogLine")]
pub(super) struct LogLine {
    /// Milliseconds since 1970.
    at: u64,
    /// `error`, `warn`, `info` or `debug`.
    level: &'static str,
    text: String,
}

impl From<PluginMetric> for Number {
    fn from(metric: PluginMetric) -> Self {
        match metric {
            PluginMetric::Counter(count) => Self::Counter(count),
            PluginMetric::Gauge(value) => Self::Gauge(value),
        }
    }
}

pub(super) fn view(caller: &Caller, plugin: &PluginSnapshot) -> Plugin {
    Plugin {
        settings: settings(caller, &plugin.settings),
        state: state(plugin),
        figures: figures(plugin),
    }
}

fn settings(caller: &Caller, plugin: &config::Plugin) -> Settings {
    let is_administrator = caller.identity().is_administrator();
    let grants = plugin.grants.iter().map(|grant| grant.name());
    Settings {
        name: plugin.name.clone(),
        path: plugin.path.as_ref().map(|path| path.display().to_string()),
        kind: match plugin.exchange_type {
            Some(_) => "exchange",
            None => "transform",
        },
        exchange_type: plugin.exchange_type.clone(),
        grants: grants.collect(),
        deadline_ms: stats::whole_millis(plugin.deadline),
        memory_max: plugin.memory.as_bytes(),
        kv_max: plugin.kv_size.as_bytes(),
        on_error: plugin.on_error.name(),
        dead_letter_exchange: plugin.dead_letter_exchange.as_deref().map(str::to_owned),
        dead_letter_routing_key: plugin.dead_letter_routing_key.as_deref().map(str::to_owned),
        config: is_administrator.then(|| plugin.config.clone()),
    }
}

fn state(plugin: &PluginSnapshot) -> State {
    let version = plugin.version.as_ref();
    State {
        source: plugin.source.name(),
        state: plugin.state.name(),
        quarantine_left_ms: match plugin.state {
            PluginState::Quarantined(left) => Some(stats::whole_millis(left)),
            _ => None,
        },
        version: version.map(|version| version.version.clone()),
        hash: version.map(|version| version.hash.clone()),
        size: version.map(|version| version.size),
        loaded_at: version.map(|version| stats::millis(version.loaded_at)),
        described_name: version.map(|version| version.described_name.clone()),
        needs: version.map(|version| needs(&version.needs)),
        previous: plugin.previous.as_ref().map(previous),
        last_error: plugin.last_error.as_ref().map(failure),
    }
}

fn failure(failure: &PluginFailure) -> Failure {
    Failure {
        text: failure.text.clone(),
        at: stats::millis(failure.at),
    }
}

fn previous(version: &PluginBefore) -> Previous {
    Previous {
        version: version.version.clone(),
        hash: version.hash.clone(),
        size: version.size,
        loaded_at: stats::millis(version.loaded_at),
    }
}

fn figures(plugin: &PluginSnapshot) -> Figures {
    let stats = &plugin.stats;
    let faults = stats.faults.iter();
    let metrics = plugin.metrics.iter();
    Figures {
        instances: plugin.instances,
        memory: plugin.memory,
        exchanges: plugin.exchanges,
        calls: stats.calls,
        messages: stats.messages,
        batch_size: histogram(stats.messages.into(), stats.calls, &stats.batch_sizes),
        ns_per_message: histogram(stats.time.as_nanos(), stats.messages, &stats.ns_per_message),
        ns_per_call: histogram(stats.time.as_nanos(), stats.calls, &stats.ns_per_call),
        cache_hits: stats.cache_hits,
        errors: faults
            .map(|(fault, count)| (fault.name(), *count))
            .collect(),
        timeouts: stats.timeouts(),
        failed_messages: stats.failed_messages,
        lost_dead_letters: stats.lost_dead_letters,
        lost_publishes: stats.lost_publishes,
        quarantines: stats.quarantines,
        loads: stats.loads,
        failed_loads: stats.failed_loads,
        kv_entries: plugin.kv_entries,
        kv_bytes: plugin.kv_bytes,
        log_lines_dropped: plugin.log_lines_dropped,
        metrics_dropped: plugin.metrics_dropped,
        metrics: metrics
            .map(|(name, metric)| (name.clone(), Number::from(*metric)))
            .collect(),
    }
}

fn needs(needs: &Needs) -> NeedsView {
    let parts = [
        ("vhost", needs.parts.vhost),
        ("exchange", needs.parts.exchange),
        ("routing-key", needs.parts.routing_key),
        ("user", needs.parts.user),
        ("time", needs.parts.time),
        ("properties", needs.parts.properties),
    ];
    let parts = parts.into_iter().filter(|(_, needed)| *needed);
    NeedsView {
        parts: parts.map(|(name, _)| name).collect(),
        headers: match &needs.headers {
            HeaderNeeds::None => Headers::Word("none"),
            HeaderNeeds::Named(names) => {
                Headers::Named(names.iter().map(ToString::to_string).collect())
            }
            HeaderNeeds::All => Headers::Word("all"),
        },
        body: match needs.body {
            BodyNeeds::None => Body::Word("none"),
            BodyNeeds::Prefix(bytes) => Body::Prefix(bytes.into()),
            BodyNeeds::Whole => Body::Word("whole"),
        },
        pure: needs.pure,
    }
}

fn histogram(sum: u128, count: u64, buckets: &[Bucket]) -> Histogram {
    let mean = sum.checked_div(u128::from(count));
    let buckets = buckets.iter().map(|bucket| BucketView {
        at_most: bucket.at_most,
        count: bucket.count,
    });
    Histogram {
        mean: mean.map(|mean| u64::try_from(mean).unwrap_or(u64::MAX)),
        histogram: buckets.collect(),
    }
}

pub(super) fn view_line(line: &PluginLogLine) -> LogLine {
    LogLine {
        at: stats::millis(line.at),
        level: line.level,
        text: line.text.clone(),
    }
}
