//! Counts over the whole broker, and the state of the machine that it runs on.

use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::queue::Counters;

use super::queues;
use crate::management::snapshot::{
    Churn, MessageCounts, MessageStats, NodeSnapshot, ObjectTotals, Overview, StoreSnapshot,
    VhostSnapshot,
};
use crate::runtime::alarms::disk_free;
use crate::runtime::broker::Broker;
use crate::runtime::vhost::VirtualHost;

pub(super) fn overview(broker: &Broker) -> Overview {
    let mut totals = ObjectTotals {
        connections: broker.connection_count() as u64,
        channels: broker.channel_count().into(),
        ..ObjectTotals::default()
    };
    let mut messages = MessageCounts::default();
    let mut counted = Counters::default();
    let mut churn = churn(broker);
    // Those that are gone before those that are there: one that closes meanwhile is counted late rather than twice.
    let mut octets = (0, 0);
    for vhost in broker.vhosts() {
        totals.exchanges += vhost.topology().exchanges().len() as u64;
        churn.queues_declared += read(&vhost.totals.declared);
        churn.queues_created += read(&vhost.totals.created);
        churn.queues_deleted += read(&vhost.totals.deleted);
        octets.0 += read(&vhost.moved.received);
        octets.1 += read(&vhost.moved.sent);
        counted += *vhost.totals.buried.lock();
        for (_, queue) in queues::entries(&vhost) {
            let queue = queue.state.lock();
            totals.queues += 1;
            totals.consumers += queue.model.consumer_count() as u64;
            add(&mut messages, queues::messages(&queue.model));
            counted += queue.model.counters();
        }
    }
    for connection in broker.connections() {
        octets.0 += connection.received.bytes.get();
        octets.1 += connection.peer.written.bytes.get();
    }
    let counters = &broker.counters;
    Overview {
        totals,
        messages,
        message_stats: MessageStats {
            publish: read(&counters.published),
            confirm: broker.confirmed(),
            return_unroutable: read(&counters.returned),
            drop_unroutable: read(&counters.dropped),
            ack: read(&counters.acked),
            ..queues::stats(&counted)
        },
        confirmable: read(&counters.confirmable),
        sizes: counters.sizes.snapshot(),
        octets,
        routed: counted.published,
        publishers: publishers(broker),
        deaths: queues::deaths(&counted),
        churn,
    }
}

/// Channels that have published.
fn publishers(broker: &Broker) -> u64 {
    let connections = broker.connections();
    let channels = connections.iter().map(|connection| {
        let channels = connection.details().channels;
        let published = channels.values().filter(|info| info.published.get() > 0);
        published.count() as u64
    });
    channels.sum()
}

fn churn(broker: &Broker) -> Churn {
    let counters = &broker.counters;
    Churn {
        connections_opened: read(&counters.connections_opened),
        connections_closed: read(&counters.connections_closed),
        channels_opened: read(&counters.channels_opened),
        channels_closed: read(&counters.channels_closed),
        ..Churn::default()
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub(super) fn vhosts(broker: &Broker) -> Vec<VhostSnapshot> {
    // Before the connections: one that closes meanwhile is counted late rather than twice.
    let mut snapshots: Vec<_> = broker.vhosts().iter().map(|known| vhost(known)).collect();
    for connection in broker.connections() {
        let name = connection.details().vhost;
        if let Some(snapshot) = snapshots.iter_mut().find(|known| known.name == name) {
            snapshot.received_bytes += connection.received.bytes.get();
            snapshot.sent_bytes += connection.peer.written.bytes.get();
        }
    }
    snapshots
}

fn vhost(vhost: &VirtualHost) -> VhostSnapshot {
    let mut messages = MessageCounts::default();
    let mut counted = *vhost.totals.buried.lock();
    for (_, queue) in queues::entries(vhost) {
        let queue = queue.state.lock();
        add(&mut messages, queues::messages(&queue.model));
        counted += queue.model.counters();
    }
    let metadata = vhost.metadata.read().clone();
    VhostSnapshot {
        name: vhost.name.clone(),
        description: metadata.description,
        tags: metadata.tags,
        default_queue_type: metadata.default_queue_type,
        protected_from_deletion: metadata.protected_from_deletion,
        tracing: vhost.tap.is_on(),
        messages,
        message_stats: queues::stats(&counted),
        received_bytes: read(&vhost.moved.received),
        sent_bytes: read(&vhost.moved.sent),
    }
}

pub(super) fn node(broker: &Broker) -> NodeSnapshot {
    let alarms = &broker.alarms;
    let shortage = alarms.shortage();
    NodeSnapshot {
        uptime: broker.started.elapsed(),
        memory_used: crate::runtime::memory::used()
            .unwrap_or_else(|| broker.committer.memory() as u64),
        memory_mark: alarms.memory_mark(),
        memory_alarm: shortage.memory,
        disk_free: disk_free(&broker.data_dir).unwrap_or(0),
        disk_free_limit: alarms.disk_mark(),
        disk_alarm: broker.committer.is_failing() || shortage.disk,
        sockets_used: broker.connection_count() as u64,
        memory_of_messages: broker.committer.memory() as u64,
        allocator: crate::runtime::memory::allocator(),
    }
}

pub(super) fn store(broker: &Broker) -> StoreSnapshot {
    let committer = &broker.committer;
    committer.counters.snapshot(committer.uncommitted())
}

fn add(sum: &mut MessageCounts, counts: MessageCounts) {
    sum.ready_count += counts.ready_count;
    sum.unacked_count += counts.unacked_count;
    sum.ready_bytes += counts.ready_bytes;
    sum.unacked_bytes += counts.unacked_bytes;
    sum.persistent_count += counts.persistent_count;
    sum.persistent_bytes += counts.persistent_bytes;
}
