//! Figures of the broker as a whole, and of its plugins.

use std::time::Duration;

use super::exposition::{Exposition, Kind};
use super::figures::{channel_counters, message_gauges};
use crate::management::Api;
use crate::management::overview::RABBITMQ_VERSION;
use crate::management::snapshot::{Bucket, MessageCounts, MessageStats, Overview, PluginSnapshot};

const AMQP: (&str, &str) = ("protocol", "amqp091");

/// Everything that is one figure, or one for each kind.
pub(super) fn all(api: &Api, metrics: &mut Exposition) {
    without_totals(api, metrics);
    let overview = api.backend().overview();
    messages(&overview.messages, metrics);
    happened(&overview.message_stats, metrics);
}

/// As [`all`], without what objects have figures for themselves.
pub(super) fn without_totals(api: &Api, metrics: &mut Exposition) {
    let node = &api.about().node;
    let info = [
        ("rabbitmq_version", RABBITMQ_VERSION),
        ("product_name", "Amphora"),
        ("product_version", env!("CARGO_PKG_VERSION")),
    ];
    metrics
        .family("build_info", Kind::Gauge, "Versions")
        .sample(&info, 1);
    let identity = [
        ("rabbitmq_node", node.as_str()),
        ("rabbitmq_cluster", node),
        ("rabbitmq_cluster_permanent_id", node),
    ];
    metrics
        .family("identity_info", Kind::Gauge, "The node and its cluster")
        .sample(&identity, 1);
    of_node(api, metrics);
    let overview = api.backend().overview();
    counted(&overview, metrics);
    global(&overview, metrics);
}

fn of_node(api: &Api, metrics: &mut Exposition) {
    let node = api.backend().node();
    let gauges: [(&str, &str, u64); 7] = [
        (
            "alarms_memory_used_watermark",
            "is 1 if the memory mark is passed",
            node.memory_alarm.into(),
        ),
        (
            "alarms_free_disk_space_watermark",
            "is 1 if too little of the disk is free",
            node.disk_alarm.into(),
        ),
        (
            "process_resident_memory_bytes",
            "Memory used in bytes",
            node.memory_used,
        ),
        (
            "resident_memory_limit_bytes",
            "Memory mark in bytes",
            node.memory_mark,
        ),
        (
            "disk_space_available_bytes",
            "Disk space available in bytes",
            node.disk_free,
        ),
        (
            "disk_space_available_limit_bytes",
            "Least disk space that must be free, in bytes",
            node.disk_free_limit,
        ),
        (
            "process_open_tcp_sockets",
            "Open sockets of clients",
            node.sockets_used,
        ),
    ];
    for (name, help, value) in gauges {
        metrics.single(name, Kind::Gauge, help, value);
    }
    metrics.single(
        "erlang_uptime_seconds",
        Kind::Gauge,
        "Since the broker was started",
        seconds(node.uptime),
    );
}

fn counted(overview: &Overview, metrics: &mut Exposition) {
    let (totals, churn) = (&overview.totals, &overview.churn);
    for (name, help, value) in [
        (
            "connections",
            "Connections currently open",
            totals.connections,
        ),
        ("channels", "Channels currently open", totals.channels),
        (
            "consumers",
            "Consumers currently connected",
            totals.consumers,
        ),
        ("queues", "Queues available", totals.queues),
        ("exchanges", "Exchanges available", totals.exchanges),
    ] {
        metrics.single(name, Kind::Gauge, help, value);
    }
    for (name, help, value) in [
        (
            "connections_opened_total",
            "Total number of connections opened",
            churn.connections_opened,
        ),
        (
            "connections_closed_total",
            "Total number of connections closed or terminated",
            churn.connections_closed,
        ),
        (
            "channels_opened_total",
            "Total number of channels opened",
            churn.channels_opened,
        ),
        (
            "channels_closed_total",
            "Total number of channels closed",
            churn.channels_closed,
        ),
        (
            "queues_declared_total",
            "Total number of queues declared",
            churn.queues_declared,
        ),
        (
            "queues_created_total",
            "Total number of queues created",
            churn.queues_created,
        ),
        (
            "queues_deleted_total",
            "Total number of queues deleted",
            churn.queues_deleted,
        ),
    ] {
        metrics.single(name, Kind::Counter, help, value);
    }
}

/// Figures that RabbitMQ keeps by protocol, some of them also by the type of queue.
fn global(overview: &Overview, metrics: &mut Exposition) {
    let stats = &overview.message_stats;
    for (name, help, value) in [
        (
            "received_total",
            "Total number of messages received from publishers",
            stats.publish,
        ),
        (
            "confirmed_total",
            "Total number of messages confirmed to publishers",
            stats.confirm,
        ),
        (
            "unroutable_dropped_total",
            "Total number of messages published to no queue and dropped",
            stats.drop_unroutable,
        ),
        (
            "unroutable_returned_total",
            "Total number of messages published to no queue and returned",
            stats.return_unroutable,
        ),
    ] {
        let name = format!("global_messages_{name}");
        metrics
            .family(&name, Kind::Counter, help)
            .sample(&[AMQP], value);
    }
    metrics
        .family(
            "global_consumers",
            Kind::Gauge,
            "Current number of consumers",
        )
        .sample(&[AMQP], overview.totals.consumers);
    global_by_type(stats, metrics);
}

/// What RabbitMQ keeps by the type of queue, too.
fn global_by_type(stats: &MessageStats, metrics: &mut Exposition) {
    for (name, help, value) in [
        (
            "acknowledged_total",
            "Total number of messages acknowledged by consumers",
            stats.ack,
        ),
        (
            "delivered_total",
            "Total number of messages delivered to consumers",
            stats.deliver_get(),
        ),
        (
            "delivered_consume_auto_ack_total",
            "Total number of messages delivered to consumers without acknowledgement",
            stats.deliver_no_ack,
        ),
        (
            "delivered_consume_manual_ack_total",
            "Total number of messages delivered to consumers that acknowledge",
            stats.deliver,
        ),
        (
            "delivered_get_auto_ack_total",
            "Total number of messages fetched without acknowledgement",
            stats.get_no_ack,
        ),
        (
            "delivered_get_manual_ack_total",
            "Total number of messages fetched, to be acknowledged",
            stats.get,
        ),
        (
            "get_empty_total",
            "Total number of fetches that found nothing",
            stats.get_empty,
        ),
        (
            "redelivered_total",
            "Total number of messages delivered again",
            stats.redeliver,
        ),
    ] {
        let name = format!("global_messages_{name}");
        let labels = [AMQP, ("queue_type", "rabbit_classic_queue")];
        metrics
            .family(&name, Kind::Counter, help)
            .sample(&labels, value);
    }
}

fn messages(counts: &MessageCounts, metrics: &mut Exposition) {
    for (name, help, value) in message_gauges(counts) {
        metrics.single(name, Kind::Gauge, help, value);
    }
}

fn happened(stats: &MessageStats, metrics: &mut Exposition) {
    for (name, help, value) in channel_counters(stats) {
        metrics.single(name, Kind::Counter, help, value);
    }
}

/// A figure's name, what it is, and where it is found.
type Figure = (&'static str, &'static str, fn(&PluginSnapshot) -> u64);

/// Figures of each plugin, under names of our own.
pub(super) fn plugins(api: &Api, metrics: &mut Exposition) {
    let plugins = api.backend().plugins().all();
    let counters: [Figure; 5] = [
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
            "quarantines_total",
            "How often the plugin was put into quarantine",
            |plugin| plugin.stats.quarantines,
        ),
    ];
    for (name, help, figure) in counters {
        let family = metrics.family(name, Kind::Counter, help);
        for plugin in &plugins {
            family.sample(&[("plugin", &plugin.settings.name)], figure(plugin));
        }
    }
    let family = metrics.family(
        "memory_bytes",
        Kind::Gauge,
        "Memory of the plugin's instances",
    );
    for plugin in &plugins {
        family.sample(&[("plugin", &plugin.settings.name)], plugin.memory);
    }
    let family = metrics.family(
        "message_seconds",
        Kind::Histogram,
        "Time for each message that the plugin was asked about",
    );
    for plugin in &plugins {
        let stats = &plugin.stats;
        histogram(
            family,
            &plugin.settings.name,
            &stats.ns_per_message,
            stats.time,
        );
    }
}

fn histogram(family: &mut Exposition, plugin: &str, buckets: &[Bucket], sum: Duration) {
    let mut count = 0;
    for bucket in buckets {
        count += bucket.count;
        if let Some(nanos) = bucket.at_most {
            let bound = seconds(Duration::from_nanos(nanos)).to_string();
            family.sample_of("_bucket", &[("plugin", plugin), ("le", &bound)], count);
        }
    }
    family.sample_of("_bucket", &[("plugin", plugin), ("le", "+Inf")], count);
    family.sample_of("_sum", &[("plugin", plugin)], seconds(sum));
    family.sample_of("_count", &[("plugin", plugin)], count);
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
