//! Figures of plugins, and those that plugins count themselves.

use std::time::Duration;

use super::broker::{nanos, seconds};
use super::exposition::{Exposition, Kind};
use crate::management::Api;
use crate::management::snapshot::{Bucket, PluginMetric, PluginSnapshot, PluginState};

/// A figure's name, what it is, and where it is found.
type Figure = (&'static str, &'static str, fn(&PluginSnapshot) -> u64);

const COUNTERS: [Figure; 11] = [
    ("calls_total", "Calls of the plugin", |plugin| {
        plugin.stats.calls
    }),
    (
        "messages_total",
        "Messages that the plugin was asked about",
        |plugin| plugin.stats.messages,
    ),
    (
        "cache_hits_total",
        "Messages whose answer was known",
        |plugin| plugin.stats.cache_hits,
    ),
    (
        "failed_messages_total",
        "Messages that the plugin failed for",
        |plugin| plugin.stats.failed_messages,
    ),
    (
        "lost_dead_letters_total",
        "Messages that were to be dead-lettered and had nowhere to go",
        |plugin| plugin.stats.lost_dead_letters,
    ),
    (
        "lost_publishes_total",
        "Messages of the plugin's own that went nowhere",
        |plugin| plugin.stats.lost_publishes,
    ),
    (
        "quarantines_total",
        "How often the plugin was put into quarantine",
        |plugin| plugin.stats.quarantines,
    ),
    (
        "loads_total",
        "Versions of the plugin that came into force",
        |plugin| plugin.stats.loads,
    ),
    (
        "failed_loads_total",
        "Attempts to load the plugin that failed",
        |plugin| plugin.stats.failed_loads,
    ),
    (
        "dropped_log_lines_total",
        "Lines of the plugin's log that were dropped because there were too many",
        |plugin| plugin.log_lines_dropped,
    ),
    (
        "dropped_custom_total",
        "Changes of the plugin's own figures that were dropped because of their names",
        |plugin| plugin.metrics_dropped,
    ),
];

const GAUGES: [Figure; 5] = [
    (
        "memory_bytes",
        "Memory of the plugin's instances",
        |plugin| plugin.memory,
    ),
    ("instances", "Instances of the plugin", |plugin| {
        plugin.instances
    }),
    ("exchanges", "Exchanges of the plugin's type", |plugin| {
        plugin.exchanges
    }),
    ("store_entries", "Entries in the plugin's store", |plugin| {
        plugin.kv_entries
    }),
    (
        "store_bytes",
        "Bytes of keys and values in the plugin's store",
        |plugin| plugin.kv_bytes,
    ),
];

/// A time's name, what it is, and where it is found.
type Time = (&'static str, &'static str, fn(&PluginSnapshot) -> &[Bucket]);

const TIMES: [Time; 2] = [
    (
        "message_seconds",
        "Time for each message that the plugin was asked about",
        |plugin| &plugin.stats.ns_per_message,
    ),
    (
        "call_seconds",
        "Time for each call of the plugin",
        |plugin| &plugin.stats.ns_per_call,
    ),
];

/// Figures of each plugin, under names of our own.
pub(super) fn all(api: &Api, metrics: &mut Exposition) {
    let plugins = api.backend().plugins().all();
    for (kind, figures) in [(Kind::Counter, COUNTERS.as_slice()), (Kind::Gauge, &GAUGES)] {
        for (name, help, figure) in figures {
            let family = metrics.family(name, kind, help);
            for plugin in &plugins {
                family.sample(&[("plugin", &plugin.settings.name)], figure(plugin));
            }
        }
    }
    faults(&plugins, metrics);
    states(&plugins, metrics);
    for (name, help, buckets) in TIMES {
        let family = metrics.family(name, Kind::Histogram, help);
        for plugin in &plugins {
            let labels = [("plugin", plugin.settings.name.as_str())];
            let sum = seconds(plugin.stats.time);
            family.distribution(&labels, buckets(plugin), nanos, sum);
        }
    }
    custom(&plugins, metrics);
}

fn faults(plugins: &[PluginSnapshot], metrics: &mut Exposition) {
    let family = metrics.family(
        "faults_total",
        Kind::Counter,
        "Calls of the plugin that failed, by kind",
    );
    for plugin in plugins {
        for (fault, count) in &plugin.stats.faults {
            let labels = [
                ("plugin", plugin.settings.name.as_str()),
                ("kind", fault.name()),
            ];
            family.sample(&labels, *count);
        }
    }
}

fn states(plugins: &[PluginSnapshot], metrics: &mut Exposition) {
    let family = metrics.family(
        "state",
        Kind::Gauge,
        "is 1 for the state that the plugin is in",
    );
    for plugin in plugins {
        let is_in = |state: &PluginState| match (state, &plugin.state) {
            (PluginState::Quarantined(_), PluginState::Quarantined(_)) => true,
            (one, other) => one == other,
        };
        for state in [
            PluginState::Loaded,
            PluginState::Quarantined(Duration::ZERO),
            PluginState::Failed,
            PluginState::NotLoaded,
        ] {
            let labels = [
                ("plugin", plugin.settings.name.as_str()),
                ("state", state.name()),
            ];
            family.sample(&labels, u8::from(is_in(&state)));
        }
    }
}

/// What plugins count themselves. Two plugins may use one name for different things, so that names are labels.
fn custom(plugins: &[PluginSnapshot], metrics: &mut Exposition) {
    let family = metrics.family(
        "custom_total",
        Kind::Counter,
        "What the plugin counts itself",
    );
    for (labels, metric) in figures(plugins) {
        if let PluginMetric::Counter(count) = metric {
            family.sample(&labels, count);
        }
    }
    let family = metrics.family("custom", Kind::Gauge, "What the plugin measures itself");
    for (labels, metric) in figures(plugins) {
        if let PluginMetric::Gauge(value) = metric {
            family.sample(&labels, value);
        }
    }
}

fn figures(plugins: &[PluginSnapshot]) -> impl Iterator<Item = ([(&str, &str); 2], &PluginMetric)> {
    plugins.iter().flat_map(|plugin| {
        let plugin_name = plugin.settings.name.as_str();
        let metrics = plugin.metrics.iter();
        metrics
            .map(move |(name, metric)| ([("plugin", plugin_name), ("name", name.as_str())], metric))
    })
}
