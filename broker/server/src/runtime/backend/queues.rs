//! Queues and their consumers.

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::definition::QueueDefinition;
use amphora_core::message::Message;
use amphora_core::queue::{ConsumerOptions, Contents, Counters};
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::types::ChannelNumber;
use amphora_protocol::wire::types::QueueName;

use super::topology;
use crate::management::snapshot::{
    ConsumerSnapshot, Deaths, InMemory, MessageCounts, MessageStats, QueueFigures, QueueSnapshot,
    StreamFigures,
};
use crate::runtime::broker::Broker;
use crate::runtime::info::ConnectionInfo;
use crate::runtime::model::Model;
use crate::runtime::vhost::{Handle, VirtualHost};

pub(super) fn queues(broker: &Broker, vhost: &VirtualHost) -> Vec<QueueSnapshot> {
    let connections = by_id(broker);
    entries(vhost)
        .iter()
        .map(|(definition, queue)| snapshot(vhost, definition, queue, &connections))
        .collect()
}

pub(super) fn names(vhost: &VirtualHost) -> Vec<QueueName> {
    let topology = vhost.topology();
    let queues = topology.queues();
    queues.map(|entry| entry.definition.name.clone()).collect()
}

pub(super) fn figures(vhost: &VirtualHost) -> Vec<QueueFigures> {
    let figures = |(definition, queue): &(Arc<QueueDefinition>, Handle)| {
        let state = queue.state.lock();
        QueueFigures {
            id: definition.id.0.into(),
            ready_count: state.model.ready_count(),
            unacked_count: unacked_count(&state.model),
            is_served: (state.model.consumer_count() > 0).then(|| state.model.is_served()),
            message_stats: stats(&state.model.counters()),
        }
    };
    entries(vhost).iter().map(figures).collect()
}

pub(super) fn named(
    broker: &Broker,
    vhost: &VirtualHost,
    names: &[QueueName],
) -> Vec<QueueSnapshot> {
    let connections = by_id(broker);
    let found = names.iter().filter_map(|name| entry(vhost, name));
    found
        .map(|(definition, queue)| snapshot(vhost, &definition, &queue, &connections))
        .collect()
}

pub(super) fn queue(broker: &Broker, vhost: &VirtualHost, name: &str) -> Option<QueueSnapshot> {
    let (definition, queue) = entry(vhost, name)?;
    Some(snapshot(vhost, &definition, &queue, &by_id(broker)))
}

fn entry(vhost: &VirtualHost, name: &str) -> Option<(Arc<QueueDefinition>, Handle)> {
    let topology = vhost.topology();
    let entry = topology.queue(name)?;
    Some((Arc::clone(&entry.definition), Arc::clone(&entry.handle)))
}

/// The queues of a virtual host.
pub(super) fn entries(vhost: &VirtualHost) -> Vec<(Arc<QueueDefinition>, Handle)> {
    let topology = vhost.topology();
    let queues = topology.queues();
    queues
        .map(|entry| (Arc::clone(&entry.definition), Arc::clone(&entry.handle)))
        .collect()
}

/// A queue's messages.
pub(super) fn messages(model: &Model) -> MessageCounts {
    counts(model, &model.contents())
}

/// What consumers of a stream hold is ready for all others, and counts once.
fn unacked_count(model: &Model) -> u64 {
    if model.is_stream() {
        0
    } else {
        model.unacked_count()
    }
}

fn counts(model: &Model, contents: &Contents) -> MessageCounts {
    MessageCounts {
        ready_count: model.ready_count(),
        unacked_count: unacked_count(model),
        ready_bytes: contents.ready_bytes,
        unacked_bytes: contents.unacked_bytes,
        persistent_count: contents.persistent_count,
        persistent_bytes: contents.persistent_bytes,
    }
}

/// What happened to the messages of a queue, or of several.
pub(super) fn stats(counters: &Counters) -> MessageStats {
    MessageStats {
        publish: counters.published,
        deliver: counters.delivered,
        deliver_no_ack: counters.delivered_no_ack,
        get: counters.got,
        get_no_ack: counters.got_no_ack,
        get_empty: counters.got_nothing,
        redeliver: counters.redelivered,
        ack: counters.acked,
        disk_reads: counters.read_back,
        disk_writes: counters.stored,
        ..MessageStats::default()
    }
}

/// What a queue, or several, gave up.
pub(super) fn deaths(counters: &Counters) -> Deaths {
    Deaths {
        rejected: counters.rejected,
        expired: counters.expired,
        dropped: counters.dropped,
        exhausted: counters.exhausted,
        dead_lettered: counters.dead_lettered,
        refused: counters.refused,
    }
}

type Connections = HashMap<u64, Arc<ConnectionInfo>>;

fn by_id(broker: &Broker) -> Connections {
    let connections = broker.connections().into_iter();
    connections
        .map(|connection| (connection.peer.id, connection))
        .collect()
}

fn snapshot(
    vhost: &VirtualHost,
    definition: &QueueDefinition,
    queue: &Handle,
    connections: &Connections,
) -> QueueSnapshot {
    let owner = definition.owner.and_then(|owner| connections.get(&owner.0));
    let owner = owner.map(|connection| connection.reference());
    let state = queue.state.lock();
    let model = &state.model;
    let exclusive = model
        .consumers()
        .find(|consumer| consumer.options.exclusive);
    let (counters, contents) = (model.counters(), model.contents());
    let active = model
        .consumers()
        .find(|consumer| model.has_single_active_consumer() && model.is_active(consumer.key));
    QueueSnapshot {
        id: definition.id.0.into(),
        kind: queue.definition.parsed.queue_type.as_str(),
        paused: model.is_paused(),
        delayed_count: model.delayed_count() as u64,
        dying_count: model.dying_count() as u64,
        deaths: deaths(&counters),
        vhost: vhost.name.clone(),
        name: definition.name.clone(),
        durable: definition.durable,
        auto_delete: definition.auto_delete,
        owner,
        arguments: definition.arguments.clone(),
        declared_by: definition.declared_by.clone(),
        messages: counts(model, &contents),
        in_memory: InMemory {
            count: contents.in_memory_count,
            ready_count: contents.ready_in_memory_count,
            bytes: contents.in_memory_bytes,
        },
        is_served: model.is_served(),
        oldest_timestamp: model.oldest(timestamp).flatten(),
        memory: model.memory() as u64,
        consumer_count: model.consumer_count() as u64,
        exclusive_consumer: exclusive.map(|consumer| consumer.options.tag.clone()),
        single_active_consumer: active.map(|consumer| consumer.options.tag.clone()),
        idle_since: None,
        stream: stream_figures(model),
        deduplicated: queue
            .deduplicator
            .as_ref()
            .map_or(0, |deduplicator| deduplicator.dropped()),
        message_stats: stats(&counters),
        policies: topology::policies(queue.effective().policies.as_ref()),
    }
}

/// What only streams have.
fn stream_figures(model: &Model) -> Option<StreamFigures> {
    let Model::Stream(stream) = model else {
        return None;
    };
    Some(StreamFigures {
        segment_count: stream.segment_count() as u64,
        lag: stream.lag(),
    })
}

/// When the publisher says that the message was made, in seconds since 1970.
fn timestamp(message: Message<'_>) -> Option<u64> {
    let properties = RawProperties::new(message.properties).ok()?;
    properties.timestamp().ok()?
}

pub(super) fn consumers(broker: &Broker, vhost: &VirtualHost) -> Vec<ConsumerSnapshot> {
    let connections = by_id(broker);
    let mut consumers = Vec::new();
    for (_, queue) in entries(vhost) {
        for (id, channel, options, active) in subscriptions(&queue) {
            // One whose connection is just going is left out.
            let Some(connection) = connections.get(&id) else {
                continue;
            };
            consumers.push(ConsumerSnapshot {
                connection: connection.reference(),
                channel,
                user: connection.user(),
                vhost: vhost.name.clone(),
                queue: queue.name.clone(),
                tag: options.tag,
                ack_required: !options.no_ack,
                exclusive: options.exclusive,
                active,
                prefetch_count: u16::try_from(options.prefetch).unwrap_or(u16::MAX),
                arguments: options.arguments,
            });
        }
    }
    consumers
}

fn subscriptions(queue: &Handle) -> Vec<(u64, ChannelNumber, ConsumerOptions, bool)> {
    let state = queue.state.lock();
    let consumers = state.model.consumers();
    consumers
        .map(|consumer| {
            let to = &consumer.connection;
            let active = state.model.is_active(consumer.key);
            (to.peer.id, to.channel, consumer.options.clone(), active)
        })
        .collect()
}

/// What a stream remembers of its consumers.
pub(super) fn stream_offsets(vhost: &VirtualHost, name: &str) -> Option<Vec<(String, u64)>> {
    let queue = vhost.topology().queue(name)?.handle.clone();
    let state = queue.state.lock();
    let tracked = state.model.tracked()?;
    Some(tracked.map(|(tag, next)| (tag.to_owned(), next)).collect())
}
