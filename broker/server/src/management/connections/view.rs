//! Connections and channels as JSON.

use amphora_protocol::wire::table::FieldValue;
use schemars::JsonSchema;
use serde::Serialize;

use crate::management::caller::Caller;
use crate::management::consumers::Consumer;
use crate::management::history::{Details, Of};
use crate::management::json::{Object, from_table};
use crate::management::listing::Listing;
use crate::management::queues::Owner;
use crate::management::snapshot::{ChannelSnapshot, ConnectionRef, ConnectionSnapshot};
use crate::management::stats::{self, Counted};

/// An AMQP connection.
#[derive(Serialize, JsonSchema)]
pub(super) struct Connection {
    /// `127.0.0.1:40000 -> 127.0.0.1:5672`: unique while it is open.
    name: String,
    /// The name that the client gave it.
    user_provided_name: Option<String>,
    /// The node that it is with.
    node: String,
    /// `network`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `AMQP 0-9-1`.
    protocol: &'static str,
    /// The user that logged in.
    user: String,
    /// The same user.
    user_who_performed_action: String,
    /// The virtual host that it opened.
    vhost: String,
    /// `running`, `blocking` or `blocked` for an alarm, `flow` or `closing`.
    state: &'static str,
    /// The broker's address that the client connected to.
    host: String,
    /// The port there.
    port: u16,
    /// The client's address.
    peer_host: String,
    /// The port there.
    peer_port: u16,
    /// PLAIN, AMQPLAIN or EXTERNAL.
    auth_mechanism: &'static str,
    #[serde(flatten)]
    tls: Tls,
    /// Open channels.
    channels: u32,
    /// How many it may have.
    channel_max: u16,
    /// The largest frame, in bytes.
    frame_max: u32,
    /// The heartbeat, in seconds; 0 is none.
    timeout: u64,
    /// What the client said of itself.
    client_properties: Object,
    /// When it was accepted, in milliseconds since 1970.
    connected_at: u64,
    /// Bytes received.
    recv_oct: u64,
    /// In so many reads.
    recv_cnt: u64,
    /// Bytes sent.
    send_oct: u64,
    /// In so many writes.
    send_cnt: u64,
    /// Bytes that wait to be sent.
    send_pend: u64,
    #[serde(flatten)]
    details: Details,
}

/// How a connection is encrypted, if it is.
#[derive(Serialize, JsonSchema)]
struct Tls {
    /// It is.
    ssl: bool,
    /// `TLSv1.3`.
    ssl_protocol: Option<String>,
    /// How keys were agreed upon: `X25519`.
    ssl_key_exchange: Option<String>,
    /// The cipher suite in the words of the standard: `TLS13_AES_256_GCM_SHA384`.
    ssl_cipher: Option<String>,
    /// The hash that the cipher suite ends with.
    ssl_hash: Option<String>,
    /// Whose the client's certificate is, if it showed one.
    peer_cert_subject: Option<String>,
    /// Who signed it.
    peer_cert_issuer: Option<String>,
    /// Its serial number, in hexadecimal digits.
    peer_cert_serial_number: Option<String>,
    /// From when to when it is valid.
    peer_cert_validity: Option<String>,
}

/// A channel.
#[derive(Serialize, JsonSchema)]
pub(super) struct Channel {
    /// The connection's name and, in parentheses, the channel's number.
    name: String,
    /// Its number there.
    number: u16,
    /// The node that it is with.
    node: String,
    /// The connection that it is on.
    connection_details: Owner,
    /// The connection's user.
    user: String,
    /// The same user.
    user_who_performed_action: String,
    /// The connection's virtual host.
    vhost: String,
    /// `running`.
    state: &'static str,
    /// `tx.select` was sent.
    transactional: bool,
    /// `confirm.select` was sent.
    confirm: bool,
    /// How many consumers it has.
    consumer_count: u64,
    /// Deliveries that were not acknowledged yet.
    messages_unacknowledged: u64,
    /// Publishes that were not confirmed yet.
    messages_unconfirmed: u64,
    /// Publishes in the open transaction.
    messages_uncommitted: u64,
    /// Acknowledgements in the open transaction.
    acks_uncommitted: u64,
    /// The prefetch of consumers to come; 0 is unlimited.
    prefetch_count: u16,
    /// The prefetch that all consumers share; 0 is unlimited.
    global_prefetch_count: u16,
    /// What happened to its messages.
    message_stats: Counted,
}

/// A channel with what belongs to it.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChannelWithConsumers {
    #[serde(flatten)]
    pub(super) channel: Channel,
    /// Its consumers.
    pub(super) consumer_details: Vec<Consumer>,
    /// By exchange: not counted, as with RabbitMQ's `rates_mode` `basic`.
    pub(super) publishes: [(); 0],
    /// By queue: not counted, likewise.
    pub(super) deliveries: [(); 0],
}

pub(super) fn view(
    caller: &Caller,
    connection: &ConnectionSnapshot,
    listing: &Listing,
) -> Connection {
    let ConnectionRef { name, peer } = &connection.connection;
    let given = connection.client_properties.get("connection_name");
    Connection {
        name: name.to_string(),
        user_provided_name: given.and_then(FieldValue::as_str).map(str::to_owned),
        node: caller.about().node.clone(),
        kind: "network",
        protocol: "AMQP 0-9-1",
        user: connection.user.to_string(),
        user_who_performed_action: connection.user.to_string(),
        vhost: connection.vhost.to_string(),
        state: connection.state.as_str(),
        host: connection.local.ip().to_string(),
        port: connection.local.port(),
        peer_host: peer.ip().to_string(),
        peer_port: peer.port(),
        auth_mechanism: connection.auth_mechanism,
        tls: tls(connection),
        channels: connection.channel_count,
        channel_max: connection.channel_max,
        frame_max: connection.frame_max,
        timeout: connection.heartbeat.as_secs(),
        client_properties: from_table(&connection.client_properties),
        connected_at: stats::millis(connection.connected_at),
        recv_oct: connection.received_bytes,
        recv_cnt: connection.received_count,
        send_oct: connection.sent_bytes,
        send_cnt: connection.sent_count,
        send_pend: connection.pending_bytes,
        details: caller.details(Of::Connection(name), listing),
    }
}

fn tls(connection: &ConnectionSnapshot) -> Tls {
    let tls = connection.tls.as_ref();
    let peer = tls.and_then(|tls| tls.peer.as_ref());
    let hash = |cipher: &str| cipher.rsplit_once('_').map(|(_, hash)| hash.to_owned());
    Tls {
        ssl: tls.is_some(),
        ssl_protocol: tls.map(|tls| tls.protocol.clone()),
        ssl_key_exchange: tls.map(|tls| tls.key_exchange.clone()),
        ssl_cipher: tls.map(|tls| tls.cipher.clone()),
        ssl_hash: tls.and_then(|tls| hash(&tls.cipher)),
        peer_cert_subject: peer.map(|peer| peer.subject.clone()),
        peer_cert_issuer: peer.map(|peer| peer.issuer.clone()),
        peer_cert_serial_number: peer.map(|peer| peer.serial_number.clone()),
        peer_cert_validity: peer.map(|peer| peer.validity.clone()),
    }
}

pub(super) fn view_channel(
    caller: &Caller,
    channel: &ChannelSnapshot,
    listing: &Listing,
) -> Channel {
    let of = Of::Channel(&channel.connection.name, channel.number);
    let mut details = caller.details(of, listing);
    details.take(&stats::LENGTHS);
    Channel {
        name: channel.connection.channel_name(channel.number),
        number: channel.number.0,
        node: caller.about().node.clone(),
        connection_details: Owner::from(&channel.connection),
        user: channel.user.to_string(),
        user_who_performed_action: channel.user.to_string(),
        vhost: channel.vhost.to_string(),
        state: "running",
        transactional: channel.transactional,
        confirm: channel.confirm,
        consumer_count: channel.consumer_count,
        messages_unacknowledged: channel.unacked_count,
        messages_unconfirmed: channel.unconfirmed_count,
        messages_uncommitted: channel.uncommitted_count,
        acks_uncommitted: channel.uncommitted_ack_count,
        prefetch_count: channel.prefetch_count,
        global_prefetch_count: channel.global_prefetch_count,
        message_stats: stats::counted(&channel.message_stats, details),
    }
}
