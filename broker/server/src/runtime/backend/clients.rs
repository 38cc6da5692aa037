//! Connections and their channels.

use std::sync::atomic::Ordering;

use amphora_protocol::wire::types::ChannelNumber;

use crate::management::snapshot::{
    ChannelSnapshot, ConnectionSnapshot, ConnectionState, MessageStats,
};
use crate::runtime::broker::Broker;
use crate::runtime::info::{ChannelInfo, ConnectionInfo, Details};
use crate::runtime::outbox::ChannelOut;

/// Those that are in a virtual host: a client that is still logging in is none of a listing's business.
pub(super) fn connections(broker: &Broker) -> Vec<ConnectionSnapshot> {
    let connections = broker.connections();
    connections
        .iter()
        .filter_map(|connection| snapshot(connection))
        .collect()
}

fn snapshot(connection: &ConnectionInfo) -> Option<ConnectionSnapshot> {
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
        state: if connection.blocked.load(Ordering::Relaxed) {
            ConnectionState::Blocked
        } else {
            ConnectionState::Running
        },
        channel_count: u32::try_from(details.channels.len()).unwrap_or(u32::MAX),
        channel_max: tuned.channel_max,
        frame_max: tuned.frame_max,
        heartbeat: tuned.heartbeat,
        client_properties: details.properties,
        connected_at: connection.connected_at,
        received_bytes: connection.received_bytes.load(Ordering::Relaxed),
        sent_bytes: peer.sent_bytes.load(Ordering::Relaxed),
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
    let prefetch = |limit: u32| u16::try_from(limit).unwrap_or(u16::MAX);
    ChannelSnapshot {
        connection: connection.reference(),
        number,
        user: details.user.clone(),
        vhost: details.vhost.clone(),
        transactional: info.transactional.load(Ordering::Relaxed),
        confirm: info.confirm.load(Ordering::Relaxed),
        consumer_count: info.consumers.load(Ordering::Relaxed).into(),
        unacked_count: out.unacked.len() as u64,
        unconfirmed_count: out.confirms.unconfirmed(),
        uncommitted_count: 0,
        uncommitted_ack_count: 0,
        prefetch_count: prefetch(info.prefetch.load(Ordering::Relaxed)),
        global_prefetch_count: prefetch(info.window.load(Ordering::Relaxed)),
        message_stats: MessageStats {
            publish: info.published.load(Ordering::Relaxed),
            ..MessageStats::default()
        },
    }
}
