//! Connections and their channels.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use amphora_protocol::wire::types::ChannelNumber;

use crate::management::snapshot::{
    ChannelSnapshot, ConnectionSnapshot, ConnectionState, MessageStats, UnackedSnapshot,
};
use crate::runtime::broker::Broker;
use crate::runtime::info::{ChannelInfo, ConnectionInfo, Details};
use crate::runtime::outbox::ChannelOut;
use crate::runtime::vhost::VirtualHost;

/// Those that are in a virtual host: a client that is still logging in is none of a listing's business.
pub(super) fn connections(broker: &Broker) -> Vec<ConnectionSnapshot> {
    let connections = broker.connections();
    let alarm = broker.alarm().is_some();
    connections
        .iter()
        .filter_map(|connection| snapshot(connection, alarm))
        .collect()
}

fn state(connection: &ConnectionInfo, alarm: bool) -> ConnectionState {
    let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    if is(&connection.closing) {
        ConnectionState::Closing
    } else if is(&connection.blocked) {
        ConnectionState::Blocked
    } else if alarm {
        ConnectionState::Blocking
    } else if is(&connection.slowed) {
        ConnectionState::Flow
    } else {
        ConnectionState::Running
    }
}

fn snapshot(connection: &ConnectionInfo, alarm: bool) -> Option<ConnectionSnapshot> {
    let details = connection.details();
    let tuned = details.tuned?;
    let peer = &connection.peer;
    Some(ConnectionSnapshot {
        connection: connection.reference(),
        local: connection.server,
        user: details.user,
        vhost: details.vhost,
        auth_mechanism: details.mechanism,
        tls: connection.tls.clone(),
        state: state(connection, alarm),
        channel_count: u32::try_from(details.channels.len()).unwrap_or(u32::MAX),
        channel_max: tuned.channel_max,
        frame_max: tuned.frame_max,
        heartbeat: tuned.heartbeat,
        client_properties: details.properties,
        connected_at: connection.connected_at,
        received_bytes: connection.received.bytes.get(),
        received_count: connection.received.calls.get(),
        sent_bytes: peer.written.bytes.get(),
        sent_count: peer.written.calls.get(),
        pending_bytes: peer.outbox_size() as u64,
    })
}

pub(super) fn channels(broker: &Broker) -> Vec<ChannelSnapshot> {
    let mut channels = Vec::new();
    for connection in broker.connections() {
        let details = connection.details();
        let outbox = connection.peer.outbox.lock();
        for (number, out) in outbox.open_channels() {
            if let Some(info) = details.channels.get(&number.0) {
                channels.push(channel(&connection, &details, number, info, out));
            }
        }
    }
    channels
}

fn channel(
    connection: &ConnectionInfo,
    details: &Details,
    number: ChannelNumber,
    info: &ChannelInfo,
    out: &ChannelOut,
) -> ChannelSnapshot {
    let prefetch = |limit: u64| u16::try_from(limit).unwrap_or(u16::MAX);
    ChannelSnapshot {
        connection: connection.reference(),
        number,
        user: details.user.clone(),
        vhost: details.vhost.clone(),
        transactional: info.transactional.load(Ordering::Relaxed),
        confirm: info.confirm.load(Ordering::Relaxed),
        consumer_count: info.consumers.get(),
        unacked_count: out.unacked.len() as u64,
        unconfirmed_count: out.confirms.unconfirmed(),
        uncommitted_count: info.uncommitted.get(),
        uncommitted_ack_count: info.uncommitted_acks.get(),
        prefetch_count: prefetch(info.prefetch.get()),
        global_prefetch_count: prefetch(info.window.get()),
        message_stats: MessageStats {
            publish: info.published.get(),
            confirm: out.confirms.confirmed(),
            return_unroutable: info.returned.get(),
            drop_unroutable: info.dropped.get(),
            deliver: out.traffic.delivered,
            deliver_no_ack: out.traffic.delivered_no_ack,
            get: out.traffic.got,
            get_no_ack: out.traffic.got_no_ack,
            get_empty: out.traffic.got_nothing,
            redeliver: out.traffic.redelivered,
            ack: out.traffic.acked,
            ..MessageStats::default()
        },
    }
}

/// What connections hold of a queue. Costs a look at everything that is outstanding on all of them.
pub(super) fn unacked(
    broker: &Broker,
    vhost: &VirtualHost,
    name: &str,
) -> Option<Vec<UnackedSnapshot>> {
    let queue = Arc::clone(&vhost.topology().queue(name)?.handle);
    let mut tags = HashMap::new();
    for consumer in queue.state.lock().model.consumers() {
        tags.insert(consumer.key, consumer.options.tag.clone());
    }
    let mut all = Vec::new();
    for connection in broker.connections() {
        let outbox = connection.peer.outbox.lock();
        for (number, out) in outbox.open_channels() {
            let mine = out
                .unacked
                .outstanding()
                .filter(|held| Arc::ptr_eq(held.queue, &queue));
            all.extend(mine.map(|held| UnackedSnapshot {
                position: held.position,
                delivery_tag: held.tag,
                consumer_tag: held.consumer.and_then(|key| tags.get(&key).cloned()),
                connection: connection.reference(),
                channel: number,
                since: Duration::from_millis(held.since),
            }));
        }
    }
    Some(all)
}
