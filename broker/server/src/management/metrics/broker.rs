//! Figures of the broker as a whole.

use std::time::Duration;

use super::exposition::{Exposition, Kind};
use super::figures::{channel_counters, message_gauges};
use crate::management::Api;
use crate::management::overview::RABBITMQ_VERSION;
use crate::management::snapshot::{MessageCounts, MessageStats, Overview};

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

/// Nanoseconds in seconds.
pub(super) fn nanos(nanos: u64) -> f64 {
    seconds(Duration::from_nanos(nanos))
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
