//! Counters and moments as RabbitMQ writes them.
//!
//! There are no rates (`…_details`): `rates_mode` says `none`, as RabbitMQ does when it collects none.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::snapshot::{MessageCounts, MessageStats};

/// Columns of a queue, a virtual host, or all of them.
pub(super) fn message_counts(counts: &MessageCounts) -> Map<String, Value> {
    columns(json!({
        "messages": counts.count(),
        "messages_ready": counts.ready_count,
        "messages_unacknowledged": counts.unacked_count,
    }))
}

/// What happened to messages.
pub(super) fn message_stats(stats: &MessageStats) -> Value {
    json!({
        "publish": stats.publish,
        "confirm": stats.confirm,
        "return_unroutable": stats.return_unroutable,
        "drop_unroutable": stats.drop_unroutable,
        "deliver": stats.deliver,
        "deliver_no_ack": stats.deliver_no_ack,
        "get": stats.get,
        "get_no_ack": stats.get_no_ack,
        "get_empty": stats.get_empty,
        "deliver_get": stats.deliver_get(),
        "redeliver": stats.redeliver,
        "ack": stats.ack,
    })
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
