//! Figures of each queue, connection, channel, exchange and virtual host.

use std::iter;

use regex::Regex;

use super::exposition::{Exposition, Kind};
use super::figures::{
    COARSE, Figure, channel_counters, disk_counters, message_gauges, queue_counters,
};
use super::logins::{By, logins};
use crate::management::Api;
use crate::management::backend::BindingFilter;
use crate::management::snapshot::{ChannelSnapshot, ConnectionSnapshot, QueueSnapshot};

/// A figure's name, what it is, and where it is found.
type SomeFigure = (
    &'static str,
    &'static str,
    fn(&QueueSnapshot) -> Option<u64>,
);

/// Which figures are asked for.
#[derive(Debug)]
pub(super) enum Families {
    All,
    /// RabbitMQ's names of families; unknown ones have no figures.
    Named(Vec<String>),
}

/// Which objects are asked for.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) families: Families,
    /// All, if there are none.
    pub(super) vhosts: Vec<String>,
    /// Only queues with such a name.
    pub(super) queue: Option<Regex>,
}

impl Objects {
    pub(super) fn write(&self, api: &Api, metrics: &mut Exposition) {
        let of_queues = [
            "queue_coarse_metrics",
            "queue_metrics",
            "queue_consumer_count",
            "queue_delivery_metrics",
        ];
        if of_queues.into_iter().any(|family| self.wants(family)) {
            self.queues(api, metrics);
        }
        if self.wants("connection_coarse_metrics") || self.wants("connection_metrics") {
            self.connections(api, metrics);
        }
        if self.wants("channel_metrics") {
            self.channels(api, metrics);
        }
        if self.wants("auth_attempt_metrics") {
            logins(api, By::Protocol, metrics);
        }
        if matches!(self.families, Families::Named(_)) {
            self.names(api, metrics);
        }
    }

    fn wants(&self, family: &str) -> bool {
        match &self.families {
            Families::All => true,
            Families::Named(names) => names.iter().any(|name| name == family),
        }
    }

    fn covers_vhost(&self, vhost: &str) -> bool {
        self.vhosts.is_empty() || self.vhosts.iter().any(|wanted| wanted == vhost)
    }

    fn covers_queue(&self, queue: &QueueSnapshot) -> bool {
        let pattern = self.queue.as_ref();
        pattern.is_none_or(|pattern| pattern.is_match(&queue.name))
    }

    fn queues(&self, api: &Api, metrics: &mut Exposition) {
        let backend = api.backend();
        let mut queues = Vec::new();
        for vhost in backend.vhost_names() {
            if self.covers_vhost(&vhost) {
                queues.extend(backend.queues(&vhost));
            }
        }
        queues.retain(|queue| self.covers_queue(queue));
        if self.wants("queue_metrics") {
            some_queues(&queues, metrics);
        }
        let mut write = |kind, figures: &dyn Fn(&QueueSnapshot) -> Vec<_>| {
            table(metrics, kind, &queues, figures, |queue| {
                [
                    ("vhost", queue.vhost.to_string()),
                    ("queue", queue.name.to_string()),
                ]
            });
        };
        if self.wants("queue_coarse_metrics") {
            write(Kind::Gauge, &|queue| {
                message_gauges(&queue.messages)[..COARSE].to_vec()
            });
        }
        if self.wants("queue_metrics") {
            write(Kind::Gauge, &gauges);
            write(Kind::Counter, &|queue| {
                let published = (
                    "queue_messages_published_total",
                    "Total number of messages published to the queue",
                    queue.message_stats.publish,
                );
                let disk = disk_counters(&queue.message_stats);
                iter::once(published).chain(disk).collect()
            });
        }
        if self.wants("queue_metrics") || self.wants("queue_consumer_count") {
            write(Kind::Gauge, &|queue| {
                let help = "Consumers on the queue";
                vec![("queue_consumers", help, queue.consumer_count)]
            });
        }
        if self.wants("queue_delivery_metrics") {
            write(Kind::Counter, &|queue| {
                queue_counters(&queue.message_stats).to_vec()
            });
        }
    }

    fn connections(&self, api: &Api, metrics: &mut Exposition) {
        let mut connections = api.backend().connections();
        connections.retain(|connection| self.covers_vhost(&connection.vhost));
        let label = |connection: &ConnectionSnapshot| {
            [
                ("connection", connection.connection.name.to_string()),
                ("vhost", connection.vhost.to_string()),
            ]
        };
        let counters = |connection: &ConnectionSnapshot| {
            vec![
                (
                    "connection_incoming_bytes_total",
                    "Total number of bytes received on the connection",
                    connection.received_bytes,
                ),
                (
                    "connection_incoming_packets_total",
                    "Total number of reads that brought them",
                    connection.received_count,
                ),
                (
                    "connection_outgoing_packets_total",
                    "Total number of writes to the connection",
                    connection.sent_count,
                ),
                (
                    "connection_outgoing_bytes_total",
                    "Total number of bytes sent on the connection",
                    connection.sent_bytes,
                ),
            ]
        };
        table(metrics, Kind::Counter, &connections, &counters, label);
        let gauges = |connection: &ConnectionSnapshot| {
            vec![(
                "connection_channels",
                "Channels on the connection",
                u64::from(connection.channel_count),
            )]
        };
        table(metrics, Kind::Gauge, &connections, &gauges, label);
    }

    fn channels(&self, api: &Api, metrics: &mut Exposition) {
        let mut channels = api.backend().channels();
        channels.retain(|channel| self.covers_vhost(&channel.vhost));
        let label = |channel: &ChannelSnapshot| {
            [
                ("channel", channel.connection.channel_name(channel.number)),
                ("vhost", channel.vhost.to_string()),
            ]
        };
        let counters =
            |channel: &ChannelSnapshot| channel_counters(&channel.message_stats).to_vec();
        table(metrics, Kind::Counter, &channels, &counters, label);
        let gauges = |channel: &ChannelSnapshot| {
            vec![
                (
                    "channel_consumers",
                    "Consumers on the channel",
                    channel.consumer_count,
                ),
                (
                    "channel_messages_unacked",
                    "Delivered but not yet acknowledged messages",
                    channel.unacked_count,
                ),
                (
                    "channel_messages_unconfirmed",
                    "Published but not yet confirmed messages",
                    channel.unconfirmed_count,
                ),
                (
                    "channel_messages_uncommitted",
                    "Messages received in a transaction but not yet committed",
                    channel.uncommitted_count,
                ),
                (
                    "channel_acks_uncommitted",
                    "Acknowledgements in a transaction not yet committed",
                    channel.uncommitted_ack_count,
                ),
                (
                    "consumer_prefetch",
                    "Prefetch of each consumer to come",
                    channel.prefetch_count.into(),
                ),
                (
                    "channel_prefetch",
                    "Prefetch that all consumers of the channel share",
                    channel.global_prefetch_count.into(),
                ),
            ]
        };
        table(metrics, Kind::Gauge, &channels, &gauges, label);
    }

    /// What exists, as figures that are 1: other figures are joined with them.
    fn names(&self, api: &Api, metrics: &mut Exposition) {
        let backend = api.backend();
        let mut vhosts = backend.vhost_names();
        vhosts.retain(|vhost| self.covers_vhost(vhost));
        if self.wants("vhost_status") {
            let family = metrics.family(
                "vhost_status",
                Kind::Gauge,
                "Whether a virtual host is running",
            );
            for vhost in &vhosts {
                family.sample(&[("vhost", vhost)], 1);
            }
        }
        if self.wants("exchange_names") {
            let help = "Enumerates exchanges without any additional info";
            let family = metrics.family("exchange_name", Kind::Gauge, help);
            for vhost in &vhosts {
                for exchange in backend.exchanges(vhost) {
                    let labels = [
                        ("vhost", vhost.as_str()),
                        ("exchange", &exchange.name),
                        ("type", &exchange.kind),
                    ];
                    family.sample(&labels, 1);
                }
            }
        }
        if self.wants("exchange_bindings") {
            let help = "Number of bindings for an exchange";
            let family = metrics.family("exchange_bindings", Kind::Gauge, help);
            for vhost in &vhosts {
                for exchange in backend.exchanges(vhost) {
                    let filter = BindingFilter {
                        source: Some(exchange.name.clone()),
                        destination: None,
                    };
                    let count = backend.bindings(vhost, &filter).len();
                    let labels = [
                        ("vhost", vhost.as_str()),
                        ("exchange", &exchange.name),
                        ("type", &exchange.kind),
                    ];
                    family.sample(&labels, count);
                }
            }
        }
    }
}

/// What a queue holds, beside the coarse figures.
fn gauges(queue: &QueueSnapshot) -> Vec<Figure> {
    let mut gauges = message_gauges(&queue.messages)[COARSE..].to_vec();
    gauges.extend([
        (
            "queue_messages_ram",
            "Messages whose bodies are in memory",
            queue.in_memory.count,
        ),
        (
            "queue_messages_ready_ram",
            "Ready messages whose bodies are in memory",
            queue.in_memory.ready_count,
        ),
        (
            "queue_messages_ram_bytes",
            "Size in bytes of the bodies that are in memory",
            queue.in_memory.bytes,
        ),
        (
            "queue_process_memory_bytes",
            "Memory in bytes used by the queue",
            queue.memory,
        ),
    ]);
    gauges
}

/// Figures that not every queue has, and what queues are.
fn some_queues(queues: &[QueueSnapshot], metrics: &mut Exposition) {
    let figures: [SomeFigure; 3] = [
        (
            "queue_head_message_timestamp",
            "When the publisher says that the oldest message was made, in seconds since 1970",
            |queue| queue.oldest_timestamp,
        ),
        ("stream_segments", "Segments of the stream", |queue| {
            queue.stream.map(|stream| stream.segment_count)
        }),
        (
            "stream_consumer_max_offset_lag",
            "Messages that the consumer furthest behind has yet to look at",
            |queue| queue.stream?.lag,
        ),
    ];
    for (name, help, of) in figures {
        let family = metrics.family(name, Kind::Gauge, help);
        for queue in queues {
            if let Some(value) = of(queue) {
                family.sample(&[("vhost", &queue.vhost), ("queue", &queue.name)], value);
            }
        }
    }
    let help = "A figure that is 1, whose labels say what a queue is";
    let family = metrics.family("queue_info", Kind::Gauge, help);
    for queue in queues {
        let queue_type = format!("rabbit_{}_queue", queue.kind);
        let labels = [
            ("vhost", queue.vhost.as_str()),
            ("queue", &queue.name),
            ("queue_type", &queue_type),
            ("membership", "leader"),
        ];
        family.sample(&labels, 1);
    }
}

/// The same figures of many objects: each figure is a family.
fn table<T, const N: usize>(
    metrics: &mut Exposition,
    kind: Kind,
    objects: &[T],
    figures: &dyn Fn(&T) -> Vec<Figure>,
    labels: impl Fn(&T) -> [(&'static str, String); N],
) {
    let labels: Vec<_> = objects.iter().map(labels).collect();
    let rows: Vec<_> = objects.iter().map(figures).collect();
    let Some(first) = rows.first() else {
        return;
    };
    for (column, (name, help, _)) in first.iter().enumerate() {
        let family = metrics.family(name, kind, help);
        for (labels, row) in labels.iter().zip(&rows) {
            let labels = labels
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            if let Some((_, _, value)) = row.get(column) {
                family.sample(&labels, value);
            }
        }
    }
}
