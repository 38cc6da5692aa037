//! Figures by name: what is in queues, and what happened to messages.

use crate::management::snapshot::{MessageCounts, MessageStats};

/// A figure's name, what it is, and its value.
pub(super) type Figure = (&'static str, &'static str, u64);

type Figures<const N: usize> = [Figure; N];

/// How many of [`message_gauges`] RabbitMQ counts among the coarse ones.
pub(super) const COARSE: usize = 3;

/// What is in a queue, or in all.
pub(super) fn message_gauges(counts: &MessageCounts) -> Figures<8> {
    [
        (
            "queue_messages_ready",
            "Messages ready to be delivered to consumers",
            counts.ready_count,
        ),
        (
            "queue_messages_unacked",
            "Messages delivered to consumers but not yet acknowledged",
            counts.unacked_count,
        ),
        (
            "queue_messages",
            "Sum of ready and unacknowledged messages - total queue depth",
            counts.count(),
        ),
        (
            "queue_messages_persistent",
            "Persistent messages",
            counts.persistent_count,
        ),
        (
            "queue_messages_persistent_bytes",
            "Size in bytes of persistent messages",
            counts.persistent_bytes,
        ),
        (
            "queue_messages_bytes",
            "Size in bytes of ready and unacknowledged messages",
            counts.bytes(),
        ),
        (
            "queue_messages_ready_bytes",
            "Size in bytes of ready messages",
            counts.ready_bytes,
        ),
        (
            "queue_messages_unacked_bytes",
            "Size in bytes of all unacknowledged messages",
            counts.unacked_bytes,
        ),
    ]
}

/// What happened on a channel, or on all.
pub(super) fn channel_counters(stats: &MessageStats) -> Figures<11> {
    [
        (
            "channel_messages_published_total",
            "Total number of messages published into an exchange on a channel",
            stats.publish,
        ),
        (
            "channel_messages_confirmed_total",
            "Total number of messages confirmed",
            stats.confirm,
        ),
        (
            "channel_messages_unroutable_returned_total",
            "Total number of messages published as mandatory into an exchange and returned as unroutable",
            stats.return_unroutable,
        ),
        (
            "channel_messages_unroutable_dropped_total",
            "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
            stats.drop_unroutable,
        ),
        (
            "channel_get_ack_total",
            "Total number of messages fetched with basic.get in manual acknowledgement mode",
            stats.get,
        ),
        (
            "channel_get_total",
            "Total number of messages fetched with basic.get in automatic acknowledgement mode",
            stats.get_no_ack,
        ),
        (
            "channel_messages_delivered_ack_total",
            "Total number of messages delivered to consumers in manual acknowledgement mode",
            stats.deliver,
        ),
        (
            "channel_messages_delivered_total",
            "Total number of messages delivered to consumers in automatic acknowledgement mode",
            stats.deliver_no_ack,
        ),
        (
            "channel_messages_redelivered_total",
            "Total number of messages redelivered to consumers",
            stats.redeliver,
        ),
        (
            "channel_messages_acked_total",
            "Total number of messages acknowledged by consumers",
            stats.ack,
        ),
        (
            "channel_get_empty_total",
            "Total number of times basic.get operations fetched no message",
            stats.get_empty,
        ),
    ]
}

/// What went to the store and came back.
pub(super) fn disk_counters(stats: &MessageStats) -> Figures<2> {
    [
        (
            "queue_disk_reads_total",
            "Total number of messages read back from the store",
            stats.disk_reads,
        ),
        (
            "queue_disk_writes_total",
            "Total number of messages written to the store",
            stats.disk_writes,
        ),
    ]
}

/// What happened to the messages of a queue.
pub(super) fn queue_counters(stats: &MessageStats) -> Figures<7> {
    [
        (
            "queue_get_ack_total",
            "Total number of messages fetched from a queue with basic.get in manual acknowledgement mode",
            stats.get,
        ),
        (
            "queue_get_total",
            "Total number of messages fetched from a queue with basic.get in automatic acknowledgement mode",
            stats.get_no_ack,
        ),
        (
            "queue_messages_delivered_ack_total",
            "Total number of messages delivered from a queue to consumers in manual acknowledgement mode",
            stats.deliver,
        ),
        (
            "queue_messages_delivered_total",
            "Total number of messages delivered from a queue to consumers in automatic acknowledgement mode",
            stats.deliver_no_ack,
        ),
        (
            "queue_messages_redelivered_total",
            "Total number of messages redelivered from a queue to consumers",
            stats.redeliver,
        ),
        (
            "queue_messages_acked_total",
            "Total number of messages acknowledged by consumers on a queue",
            stats.ack,
        ),
        (
            "queue_get_empty_total",
            "Total number of times basic.get operations fetched no message on a queue",
            stats.get_empty,
        ),
    ]
}
