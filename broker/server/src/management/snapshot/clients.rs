//! Connections, their channels, and their consumers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ChannelNumber, ConsumerTag, QueueName, VhostName};

use super::MessageStats;

/// A connection, as others refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRef {
    /// `127.0.0.1:40000 -> 127.0.0.1:5672`: unique while the connection is open.
    pub name: Arc<str>,
    /// The client's address.
    pub peer: SocketAddr,
}

/// An AMQP connection.
#[derive(Clone, Debug)]
pub struct ConnectionSnapshot {
    /// Name and peer.
    pub connection: ConnectionRef,
    /// The broker's address that the client connected to.
    pub local: SocketAddr,
    /// The user that logged in.
    pub user: Arc<str>,
    /// The virtual host that it opened.
    pub vhost: VhostName,
    /// PLAIN, AMQPLAIN or EXTERNAL.
    pub auth_mechanism: &'static str,
    /// How it is encrypted, if it is.
    pub tls: Option<TlsSnapshot>,
    /// Whether it is let to publish.
    pub state: ConnectionState,
    /// Open channels.
    pub channel_count: u32,
    /// Negotiated in `connection.tune-ok`.
    pub channel_max: u16,
    /// Negotiated in `connection.tune-ok`.
    pub frame_max: u32,
    /// Negotiated in `connection.tune-ok`; zero if there is none.
    pub heartbeat: Duration,
    /// What the client said of itself.
    pub client_properties: Arc<FieldTable>,
    /// When it was accepted.
    pub connected_at: SystemTime,
    /// Bytes received.
    pub received_bytes: u64,
    /// In so many reads.
    pub received_count: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// In so many writes.
    pub sent_count: u64,
    /// Bytes that wait to be sent.
    pub pending_bytes: u64,
}

/// Whether a connection is let to publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionState {
    /// It is.
    #[default]
    Running,
    /// An alarm is on, and the connection has not published since.
    Blocking,
    /// An alarm is on, and nothing is read from the connection.
    Blocked,
    /// It is slowed down to the speed of the queues that it publishes to.
    Flow,
    /// `connection.close` was sent or received.
    Closing,
}

/// How a connection is encrypted.
#[derive(Clone, Debug, Default)]
pub struct TlsSnapshot {
    /// `TLSv1.3`.
    pub protocol: String,
    /// The cipher suite in the words of the standard: `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// How keys were agreed upon: `X25519`.
    pub key_exchange: String,
    /// The client's certificate, if it showed one.
    pub peer: Option<PeerCertificateSnapshot>,
}

/// A client's certificate.
#[derive(Clone, Debug)]
pub struct PeerCertificateSnapshot {
    /// Whose it is, as RFC 4514 writes it.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits: `0A:1B`.
    pub serial_number: String,
    /// From when to when it is valid: `2026-01-01T00:00:00Z - 2027-01-01T00:00:00Z`.
    pub validity: String,
}

/// A channel.
#[derive(Clone, Debug)]
pub struct ChannelSnapshot {
    /// The connection that it is on.
    pub connection: ConnectionRef,
    /// Its number there.
    pub number: ChannelNumber,
    /// The connection's user.
    pub user: Arc<str>,
    /// The connection's virtual host.
    pub vhost: VhostName,
    /// `tx.select` was sent.
    pub transactional: bool,
    /// `confirm.select` was sent.
    pub confirm: bool,
    /// How many consumers it has.
    pub consumer_count: u64,
    /// Deliveries that were not acknowledged yet.
    pub unacked_count: u64,
    /// Publishes that were not confirmed yet.
    pub unconfirmed_count: u64,
    /// Publishes in the open transaction.
    pub uncommitted_count: u64,
    /// Acknowledgements in the open transaction.
    pub uncommitted_ack_count: u64,
    /// The prefetch of consumers to come; 0 is unlimited.
    pub prefetch_count: u16,
    /// The prefetch that all consumers share; 0 is unlimited.
    pub global_prefetch_count: u16,
    /// What happened to its messages.
    pub message_stats: MessageStats,
}

/// A consumer.
#[derive(Clone, Debug)]
pub struct ConsumerSnapshot {
    /// The connection that it is on.
    pub connection: ConnectionRef,
    /// The channel there.
    pub channel: ChannelNumber,
    /// The connection's user.
    pub user: Arc<str>,
    /// The virtual host of its queue.
    pub vhost: VhostName,
    /// Its queue.
    pub queue: QueueName,
    /// Its tag.
    pub tag: ConsumerTag,
    /// Whether it acknowledges what it gets.
    pub ack_required: bool,
    /// Whether it has the queue for itself.
    pub exclusive: bool,
    /// Whether it is served, where only one is at a time.
    pub active: bool,
    /// How many deliveries it may have unacknowledged; 0 is unlimited.
    pub prefetch_count: u16,
    /// What it was made with.
    pub arguments: FieldTable,
}

impl ConnectionRef {
    /// The name of a channel on this connection: `127.0.0.1:40000 -> 127.0.0.1:5672 (1)`.
    pub fn channel_name(&self, number: ChannelNumber) -> String {
        format!("{} ({number})", self.name)
    }
}

impl ConnectionState {
    /// RabbitMQ's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Blocking => "blocking",
            Self::Blocked => "blocked",
            Self::Flow => "flow",
            Self::Closing => "closing",
        }
    }
}
