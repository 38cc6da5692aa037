//! Figures of the broker as a whole.

use std::convert::identity;
use std::time::Duration;

use super::exposition::{Exposition, Kind};
use super::figures::{channel_counters, disk_counters, message_gauges};
use super::logins::{By, logins};
use crate::management::Api;
use crate::management::snapshot::{Deaths, MessageCounts, MessageStats, Overview};
use crate::management::stats;

const AMQP: (&str, &str) = ("protocol", "amqp091");

/// Everything that is one figure, or one for each kind.
pub(super) fn all(api: &Api, metrics: &mut Exposition) {
    without_totals(api, metrics);
    let overview = api.backend().overview();
    messages(&overview.messages, metrics);
    happened(&overview, metrics);
    logins(api, By::All, metrics);
}

/// As [`all`], without what objects have figures for themselves.
pub(super) fn without_totals(api: &Api, metrics: &mut Exposition) {
    of_node(api, metrics);
    let overview = api.backend().overview();
    counted(&overview, metrics);
    global(&overview, metrics);
}

fn of_node(api: &Api, metrics: &mut Exposition) {
    let node = api.backend().node();
    let gauges: [(&str, &str, u64); 9] = [
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
            "alarms_file_descriptor_limit",
            "is 1 if no more files can be opened: never, connections wait then",
            0,
        ),
        (
            "unreachable_cluster_peers_count",
            "Other nodes that cannot be reached: there are none",
            0,
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
    files(metrics);
    metrics.single(
        "erlang_uptime_seconds",
        Kind::Gauge,
        "Since the broker was started",
        seconds(node.uptime),
    );
}

fn files(metrics: &mut Exposition) {
    if let Some(open) = stats::open_files() {
        let help = "Files that are open";
        metrics.single("process_open_fds", Kind::Gauge, help, open);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(most) = limit.current {
        let help = "Files that can be open";
        metrics.single("process_max_fds", Kind::Gauge, help, most);
        let help = "Sockets of clients that can be open: sockets are files";
        metrics.single("process_max_tcp_sockets", Kind::Gauge, help, most);
    }
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
            "received_confirm_total",
            "Total number of messages received from publishers that want confirms",
            overview.confirmable,
        ),
        (
            "routed_total",
            "Total number of messages routed to queues or streams, each counted",
            overview.routed,
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
    for (name, help, value) in [
        (
            "global_consumers",
            "Current number of consumers",
            overview.totals.consumers,
        ),
        (
            "global_publishers",
            "Current number of channels that have published",
            overview.publishers,
        ),
    ] {
        metrics
            .family(name, Kind::Gauge, help)
            .sample(&[AMQP], value);
    }
    let help = "Size of messages received from publishers";
    metrics
        .family("message_size_bytes", Kind::Histogram, help)
        .distribution(
            &[AMQP],
            &overview.sizes.buckets,
            identity,
            overview.sizes.sum,
        );
    global_by_type(stats, metrics);
    dead_lettered(&overview.deaths, metrics);
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

/// Messages that queues gave up, by reason, whether they have a dead-letter exchange or not.
fn dead_lettered(deaths: &Deaths, metrics: &mut Exposition) {
    for (reason, help, value) in [
        (
            "confirmed",
            "Total number of dead letters that were published, or found nobody there",
            deaths.dead_lettered,
        ),
        (
            "delivery_limit",
            "Total number of messages given up because they were delivered in vain too often",
            deaths.exhausted,
        ),
        (
            "expired",
            "Total number of messages given up because their time was over",
            deaths.expired,
        ),
        (
            "maxlen",
            "Total number of messages given up because a queue was too long",
            deaths.dropped,
        ),
        (
            "rejected",
            "Total number of messages that consumers rejected",
            deaths.rejected,
        ),
    ] {
        let name = format!("global_messages_dead_lettered_{reason}_total");
        let labels = [("queue_type", "rabbit_classic_queue")];
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

fn happened(overview: &Overview, metrics: &mut Exposition) {
    let stats = &overview.message_stats;
    let counters = channel_counters(stats).into_iter();
    for (name, help, value) in counters.chain(disk_counters(stats)) {
        metrics.single(name, Kind::Counter, help, value);
    }
    let (totals, (received, sent)) = (&overview.totals, overview.octets);
    for (name, kind, help, value) in [
        (
            "channel_consumers",
            Kind::Gauge,
            "Consumers on channels",
            totals.consumers,
        ),
        (
            "queue_consumers",
            Kind::Gauge,
            "Consumers on queues",
            totals.consumers,
        ),
        (
            "connection_channels",
            Kind::Gauge,
            "Channels on connections",
            totals.channels,
        ),
        (
            "channel_messages_unacked",
            Kind::Gauge,
            "Delivered but not yet acknowledged messages",
            overview.messages.unacked_count,
        ),
        (
            "queue_messages_published_total",
            Kind::Counter,
            "Total number of messages published to queues",
            overview.routed,
        ),
        (
            "connection_incoming_bytes_total",
            Kind::Counter,
            "Total number of bytes received on connections",
            received,
        ),
        (
            "connection_outgoing_bytes_total",
            Kind::Counter,
            "Total number of bytes sent on connections",
            sent,
        ),
    ] {
        metrics.single(name, kind, help, value);
    }
}

/// Nanoseconds in seconds.
pub(super) fn nanos(nanos: u64) -> f64 {
    seconds(Duration::from_nanos(nanos))
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
