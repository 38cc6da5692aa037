//! Exchanges and queues of the fake broker as the API sees them.

use std::hash::BuildHasher;
use std::time::SystemTime;

use super::state::Queue;
use super::vhost;
use crate::management::backend::DeclareExchange;
use crate::management::snapshot::{
    AppliedPolicies, Deaths, ExchangeSnapshot, InMemory, MessageCounts, MessageStats, QueueFigures,
    QueueSnapshot,
};

pub(super) fn exchange_snapshot(declared: &DeclareExchange) -> ExchangeSnapshot {
    ExchangeSnapshot {
        vhost: vhost(),
        name: declared.name.clone(),
        kind: declared.kind.clone(),
        durable: declared.durable,
        auto_delete: declared.auto_delete,
        internal: declared.internal,
        arguments: declared.arguments.clone(),
        declared_by: "guest".into(),
        published_in: 0,
        published_out: 0,
        delayed: 0,
        deduplicated: 0,
        policies: AppliedPolicies::default(),
    }
}

pub(super) fn queue_figures(queue: &Queue) -> QueueFigures {
    let snapshot = queue_snapshot(queue);
    QueueFigures {
        id: snapshot.id,
        ready_count: snapshot.messages.ready_count,
        unacked_count: snapshot.messages.unacked_count,
        is_served: None,
        message_stats: snapshot.message_stats,
    }
}

pub(super) fn queue_snapshot(queue: &Queue) -> QueueSnapshot {
    QueueSnapshot {
        id: id(&queue.declared.name),
        vhost: vhost(),
        name: queue.declared.name.clone(),
        durable: queue.declared.durable,
        auto_delete: queue.declared.auto_delete,
        owner: None,
        arguments: queue.declared.arguments.clone(),
        declared_by: "guest".into(),
        messages: MessageCounts {
            ready_count: queue.ready.len() as u64,
            ready_bytes: queue
                .ready
                .iter()
                .map(|message| message.body.len() as u64)
                .sum(),
            ..MessageCounts::default()
        },
        kind: "classic",
        paused: queue.paused,
        delayed_count: 0,
        dying_count: 0,
        deaths: Deaths::default(),
        in_memory: InMemory {
            count: queue.ready.len() as u64,
            ready_count: queue.ready.len() as u64,
            bytes: 0,
        },
        is_served: false,
        oldest_timestamp: None,
        memory: 0,
        consumer_count: 0,
        exclusive_consumer: None,
        single_active_consumer: None,
        stream: None,
        idle_since: Some(SystemTime::UNIX_EPOCH),
        deduplicated: 0,
        message_stats: MessageStats::default(),
        policies: AppliedPolicies::default(),
    }
}

/// Queues of a test are told apart by their names.
fn id(name: &str) -> u64 {
    foldhash::fast::FixedState::default().hash_one(name)
}
