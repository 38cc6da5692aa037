//! What lists of queues are sorted by.

use serde_json::Value;

use crate::management::caller::Caller;
use crate::management::snapshot::QueueSnapshot;
use crate::management::stats;

/// The value of a column that lists are sorted by often, without making all the others.
pub(super) fn key(caller: &Caller, queue: &QueueSnapshot, column: &str) -> Option<Value> {
    let (messages, stats) = (&queue.messages, &queue.message_stats);
    Some(match column {
        "messages" => messages.count().into(),
        "messages_ready" => messages.ready_count.into(),
        "messages_unacknowledged" => messages.unacked_count.into(),
        "message_bytes" => messages.bytes().into(),
        "consumers" => queue.consumer_count.into(),
        "memory" => queue.memory.into(),
        "message_stats.publish" => stats.publish.into(),
        "message_stats.deliver_get" => stats.deliver_get().into(),
        "message_stats.ack" => stats.ack.into(),
        "vhost" => queue.vhost.as_str().into(),
        "type" => queue.kind.into(),
        "state" => super::view::state(queue).into(),
        "durable" => queue.durable.into(),
        "auto_delete" => queue.auto_delete.into(),
        "policy" => queue.policies.policy.as_deref().into(),
        "idle_since" => queue.idle_since.map(stats::timestamp).into(),
        _ => return rate(caller, queue.id, column),
    })
}

fn rate(caller: &Caller, id: u64, column: &str) -> Option<Value> {
    let name = column.strip_suffix("_details.rate")?;
    let name = name.strip_prefix("message_stats.").unwrap_or(name);
    caller.history().queue_rate(id, name).map(Value::from)
}
