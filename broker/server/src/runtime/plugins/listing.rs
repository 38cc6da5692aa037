//! Plugins as the management API sees them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amphora_core::exchange::ExchangeType;
use amphora_plugin_host::{
    CounterSnapshot, Metric, PluginState as State, Snapshot, VersionSnapshot,
};

use super::Plugins;
use super::registry::{Kept, Known};
use crate::management::snapshot::{
    Bucket, PluginBefore, PluginFailure, PluginLogLine, PluginMetric, PluginSnapshot, PluginState,
    PluginStats, PluginVersion,
};

impl Plugins {
    pub(super) fn listed(&self) -> Vec<PluginSnapshot> {
        let known: Vec<Known> = self.registry.read().all().cloned().collect();
        known
            .into_iter()
            .map(|known| self.snapshot(known))
            .collect()
    }

    pub(super) fn listed_one(&self, name: &str) -> Option<PluginSnapshot> {
        let known = self.registry.read().find(name).cloned();
        known.map(|known| self.snapshot(known))
    }

    /// The plugin that is to supply a type of exchange.
    pub(in crate::runtime) fn supplier(&self, exchange_type: &str) -> Option<String> {
        let registry = self.registry.read();
        let supplier = registry.named(exchange_type)?;
        (supplier.exchange_type.as_deref() == Some(exchange_type)).then(|| supplier.name.clone())
    }

    pub(super) fn log_lines(&self, name: &str) -> Vec<PluginLogLine> {
        let lines = self.host.log(name).into_iter();
        lines
            .map(|line| PluginLogLine {
                at: at(line.time_ms),
                level: line.level.name(),
                text: line.text,
            })
            .collect()
    }

    fn snapshot(&self, known: Known) -> PluginSnapshot {
        let (settings, source) = (known.settings().clone(), known.source());
        // As a rollback looks for it.
        let upload = known.upload.filter(|_| known.wanted.path.is_none());
        let kept = upload.and_then(|upload| upload.previous).map(before);
        let hosted = self.host.snapshot(&settings.name);
        let mut stats = hosted
            .as_ref()
            .map(|hosted| counted(&hosted.counters))
            .unwrap_or_default();
        if let Some(exchange_type) = &settings.exchange_type {
            stats.cache_hits += self.answered_unasked(exchange_type);
        }
        stats.lost_dead_letters = self.losses.of(&settings.name);
        stats.lost_publishes = self.surroundings.lost(&settings.name);
        let mut snapshot = PluginSnapshot {
            settings,
            source,
            state: PluginState::NotLoaded,
            version: None,
            previous: None,
            last_error: known.failure,
            instances: 0,
            memory: 0,
            exchanges: 0,
            stats,
            kv_entries: 0,
            kv_bytes: 0,
            log_lines_dropped: 0,
            metrics_dropped: 0,
            metrics: std::collections::BTreeMap::new(),
        };
        if let Some(hosted) = hosted {
            describe(&mut snapshot, hosted);
        }
        if let Some(kept) = kept {
            snapshot.previous = kept;
        }
        if snapshot.state == PluginState::NotLoaded && snapshot.last_error.is_some() {
            snapshot.state = PluginState::Failed;
        }
        snapshot
    }

    /// The messages that all exchanges of the type have received and their plugin was not asked about, because the answer was known.
    fn answered_unasked(&self, exchange_type: &str) -> u64 {
        let Some(broker) = self.surroundings.broker() else {
            return 0;
        };
        let mut unasked = 0;
        for vhost in broker.vhosts() {
            let topology = vhost.topology();
            let exchanges = topology.exchanges().filter(|exchange| {
                matches!(&exchange.exchange_type, ExchangeType::Plugin(name) if **name == *exchange_type)
            });
            let names = exchanges.map(|exchange| &exchange.name);
            unasked += vhost.exchanges.unasked(exchange_type, names);
        }
        unasked
    }
}

fn describe(snapshot: &mut PluginSnapshot, hosted: Snapshot) {
    snapshot.state = match hosted.state {
        State::Loaded => PluginState::Loaded,
        State::Quarantined(left) => PluginState::Quarantined(left),
        State::Failed => PluginState::Failed,
        State::NotLoaded => PluginState::NotLoaded,
    };
    snapshot.version = hosted.version.map(version);
    snapshot.previous = hosted.previous.map(|before| PluginBefore {
        version: before.version,
        hash: before.sha256,
        size: before.size,
        loaded_at: at(before.loaded_ms),
    });
    let told = hosted.last_error.map(|error| PluginFailure {
        text: error.text,
        at: at(error.at_ms),
    });
    // The host knows of calls, and the registry of files, too.
    let both = [told, snapshot.last_error.take()].into_iter().flatten();
    snapshot.last_error = both.max_by_key(|failure| failure.at);
    snapshot.instances = hosted.instances;
    snapshot.memory = hosted.memory;
    snapshot.exchanges = hosted.exchanges;
    snapshot.kv_entries = hosted.kv_entries;
    snapshot.kv_bytes = hosted.kv_bytes;
    snapshot.log_lines_dropped = hosted.log_dropped;
    snapshot.metrics_dropped = hosted.metrics_dropped;
    let metrics = hosted.metrics.into_iter();
    snapshot.metrics = metrics
        .map(|(name, metric)| {
            let metric = match metric {
                Metric::Counter(value) => PluginMetric::Counter(value),
                Metric::Gauge(value) => PluginMetric::Gauge(value),
            };
            (name, metric)
        })
        .collect();
}

fn version(version: VersionSnapshot) -> PluginVersion {
    PluginVersion {
        described_name: version.described_name,
        version: version.version,
        hash: version.sha256,
        size: version.size,
        loaded_at: at(version.loaded_ms),
        needs: version.needs,
    }
}

fn before(kept: Kept) -> Option<PluginBefore> {
    let release = kept.release?;
    Some(PluginBefore {
        version: release.version,
        hash: kept.sha256,
        size: release.size,
        loaded_at: at(release.loaded_ms),
    })
}

fn counted(counters: &CounterSnapshot) -> PluginStats {
    PluginStats {
        calls: counters.calls,
        messages: counters.messages,
        time: counters.time,
        batch_sizes: buckets(&counters.batch_sizes, 0, false),
        ns_per_message: buckets(&counters.nanoseconds_per_message, 7, true),
        ns_per_call: buckets(&counters.nanoseconds_per_call, 7, true),
        // Those of a type of exchange are its exchanges' to know; see `snapshot`.
        cache_hits: counters.kept_answers,
        faults: counters.faults.clone(),
        failed_messages: counters.failed_messages,
        lost_dead_letters: 0,
        lost_publishes: 0,
        quarantines: counters.quarantines,
        loads: counters.loads,
        failed_loads: counters.failed_loads,
    }
}

/// Bucket `i` has what is at most 2^(first + i); the last may be for all the rest.
fn buckets(counts: &[u64], first: u32, open_end: bool) -> Vec<Bucket> {
    let last = counts.len() - 1;
    let bounds = (first..).map(|power| 1_u64 << power).enumerate();
    let buckets = counts.iter().zip(bounds);
    buckets
        .map(|(&count, (index, bound))| Bucket {
            at_most: (!open_end || index < last).then_some(bound),
            count,
        })
        .collect()
}

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}
