//! Counters and moments as RabbitMQ writes them.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;

use super::history::Details;
use super::snapshot::{MessageCounts, MessageStats};

/// What is counted of the messages of a queue, a virtual host, or all of them.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Lengths {
    /// Messages, ready or not.
    messages: u64,
    /// Messages that wait for a consumer.
    messages_ready: u64,
    /// Messages that were delivered and not acknowledged.
    messages_unacknowledged: u64,
    #[serde(flatten)]
    details: Details,
}

/// Takes from the details what is about lengths.
pub(super) fn lengths(counts: &MessageCounts, details: &mut Details) -> Lengths {
    Lengths {
        messages: counts.count(),
        messages_ready: counts.ready_count,
        messages_unacknowledged: counts.unacked_count,
        details: details.take(&LENGTHS),
    }
}

/// The columns of [`Lengths`].
pub(super) const LENGTHS: [&str; 3] = ["messages", "messages_ready", "messages_unacknowledged"];

/// A counter's name, and where it is.
type Counter = (&'static str, fn(&MessageStats) -> u64);

/// What happened to messages.
pub(super) const COUNTERS: [Counter; 14] = [
    ("publish", |stats| stats.publish),
    ("confirm", |stats| stats.confirm),
    ("return_unroutable", |stats| stats.return_unroutable),
    ("drop_unroutable", |stats| stats.drop_unroutable),
    ("deliver", |stats| stats.deliver),
    ("deliver_no_ack", |stats| stats.deliver_no_ack),
    ("get", |stats| stats.get),
    ("get_no_ack", |stats| stats.get_no_ack),
    ("get_empty", |stats| stats.get_empty),
    ("deliver_get", MessageStats::deliver_get),
    ("redeliver", |stats| stats.redeliver),
    ("ack", |stats| stats.ack),
    ("disk_reads", |stats| stats.disk_reads),
    ("disk_writes", |stats| stats.disk_writes),
];

/// What happened to messages, and how fast it does: counts since the broker started, or since the object came to be.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MessageStats")]
pub(super) struct Counted {
    /// Published.
    publish: u64,
    /// Confirmed to publishers.
    confirm: u64,
    /// Returned to publishers because they were mandatory and reached no queue.
    return_unroutable: u64,
    /// Dropped because they reached no queue.
    drop_unroutable: u64,
    /// Delivered to consumers that acknowledge.
    deliver: u64,
    /// Delivered to consumers that do not acknowledge.
    deliver_no_ack: u64,
    /// Fetched by `basic.get`, to be acknowledged.
    get: u64,
    /// Fetched by `basic.get` without acknowledgement.
    get_no_ack: u64,
    /// `basic.get`s that found nothing.
    get_empty: u64,
    /// Delivered or fetched, by whichever way.
    deliver_get: u64,
    /// Deliveries of messages that had been delivered before.
    redeliver: u64,
    /// Acknowledged.
    ack: u64,
    /// Read back from the store.
    disk_reads: u64,
    /// Written to the store.
    disk_writes: u64,
    #[serde(flatten)]
    details: Details,
}

pub(super) fn counted(stats: &MessageStats, details: Details) -> Counted {
    Counted {
        publish: stats.publish,
        confirm: stats.confirm,
        return_unroutable: stats.return_unroutable,
        drop_unroutable: stats.drop_unroutable,
        deliver: stats.deliver,
        deliver_no_ack: stats.deliver_no_ack,
        get: stats.get,
        get_no_ack: stats.get_no_ack,
        get_empty: stats.get_empty,
        deliver_get: stats.deliver_get(),
        redeliver: stats.redeliver,
        ack: stats.ack,
        disk_reads: stats.disk_reads,
        disk_writes: stats.disk_writes,
        details,
    }
}

/// How many files the process has open. Nothing where the operating system does not tell.
pub(super) fn open_files() -> Option<usize> {
    let folder = "/proc/self/fd";
    // Linux tells it as the folder's size since 6.2. Listing a thousand of them takes milliseconds.
    let size = std::fs::metadata(folder).ok()?.len();
    if size > 0 {
        return usize::try_from(size).ok();
    }
    std::fs::read_dir(folder).ok().map(Iterator::count)
}

/// Milliseconds since 1970.
pub(super) fn millis(moment: SystemTime) -> u64 {
    let since = moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A length of time in milliseconds.
pub(super) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment for people.
pub(super) fn timestamp(moment: SystemTime) -> String {
    humantime::format_rfc3339_millis(moment).to_string()
}
