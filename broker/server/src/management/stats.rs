//! Counters and moments as RabbitMQ writes them.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::history::Details;
use super::snapshot::{MessageCounts, MessageStats};

/// Columns of a queue, a virtual host, or all of them.
pub(super) fn message_counts(counts: &MessageCounts, details: &Details) -> Map<String, Value> {
    let mut columns = columns(json!({
        "messages": counts.count(),
        "messages_ready": counts.ready_count,
        "messages_unacknowledged": counts.unacked_count,
    }));
    details.join(&mut columns);
    columns
}

/// A counter's name, and where it is.
type Counter = (&'static str, fn(&MessageStats) -> u64);

/// What happened to messages.
pub(super) const COUNTERS: [Counter; 12] = [
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
];

/// What happened to messages, and how fast it does.
pub(super) fn message_stats(stats: &MessageStats, details: &Details) -> Value {
    let counters = COUNTERS.iter();
    let mut columns = counters
        .map(|(name, counter)| ((*name).to_owned(), counter(stats).into()))
        .collect();
    details.join(&mut columns);
    Value::Object(columns)
}

/// How many files the process has open. Nothing where the operating system does not tell.
pub(super) fn open_files() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
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

/// The columns of an object, to be put beside others.
pub(super) fn columns(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(columns) => columns,
        _ => Map::new(),
    }
}
