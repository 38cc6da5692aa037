//! What the management API knows of the broker: plain values, taken at one moment, made for it alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{
    ChannelNumber, ConsumerTag, ExchangeName, QueueName, RoutingKey, VhostName,
};

/// The broker as a whole.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// How many of each object there are, over all virtual hosts.
    pub totals: ObjectTotals,
    /// The messages of all queues.
    pub messages: MessageCounts,
    /// What happened to messages since the broker started.
    pub message_stats: MessageStats,
    /// What was opened, closed, created and deleted since the broker started.
    pub churn: Churn,
}

/// How many of each object there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectTotals {
    /// Open connections.
    pub connections: u64,
    /// Open channels.
    pub channels: u64,
    /// Consumers.
    pub consumers: u64,
    /// Exchanges, the predeclared ones included.
    pub exchanges: u64,
    /// Queues.
    pub queues: u64,
}

/// What was opened, closed, created and deleted since the broker started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Churn {
    /// Connections that were opened.
    pub connections_opened: u64,
    /// Connections that were closed.
    pub connections_closed: u64,
    /// Channels that were opened.
    pub channels_opened: u64,
    /// Channels that were closed.
    pub channels_closed: u64,
    /// Queue declarations, those of existing queues included.
    pub queues_declared: u64,
    /// Queues that were created.
    pub queues_created: u64,
    /// Queues that were deleted.
    pub queues_deleted: u64,
}

/// The messages that are in a queue, or in several.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageCounts {
    /// Messages that wait for a consumer.
    pub ready_count: u64,
    /// Messages that were delivered and not yet acknowledged.
    pub unacked_count: u64,
    /// The bodies of the ready messages, in bytes.
    pub ready_bytes: u64,
    /// The bodies of the unacknowledged messages, in bytes.
    pub unacked_bytes: u64,
    /// Messages, ready or not, that were published as persistent.
    pub persistent_count: u64,
    /// Their bodies, in bytes.
    pub persistent_bytes: u64,
}

/// What happened to messages since the broker, channel, exchange or queue came to be. What does not apply stays 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageStats {
    /// Published.
    pub publish: u64,
    /// Confirmed to publishers.
    pub confirm: u64,
    /// Returned to publishers because they were mandatory and reached no queue.
    pub return_unroutable: u64,
    /// Dropped because they reached no queue.
    pub drop_unroutable: u64,
    /// Delivered to consumers that acknowledge.
    pub deliver: u64,
    /// Delivered to consumers that do not acknowledge.
    pub deliver_no_ack: u64,
    /// Fetched by `basic.get`, to be acknowledged.
    pub get: u64,
    /// Fetched by `basic.get` without acknowledgement.
    pub get_no_ack: u64,
    /// `basic.get`s that found nothing.
    pub get_empty: u64,
    /// Deliveries of messages that had been delivered before.
    pub redeliver: u64,
    /// Acknowledged.
    pub ack: u64,
}

/// The one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeSnapshot {
    /// Since the broker was started.
    pub uptime: Duration,
    /// Memory in use, in bytes.
    pub memory_used: u64,
    /// With more than this in use, publishers are blocked.
    pub memory_mark: u64,
    /// Whether they are.
    pub memory_alarm: bool,
    /// Bytes free on the data directory's disk.
    pub disk_free: u64,
    /// With less than this free, publishers are blocked.
    pub disk_free_limit: u64,
    /// Whether they are.
    pub disk_alarm: bool,
    /// Open sockets of clients.
    pub sockets_used: u64,
}

/// A virtual host.
#[derive(Clone, Debug)]
pub struct VhostSnapshot {
    /// Its name.
    pub name: VhostName,
    /// What it is for, in its creator's words.
    pub description: String,
    /// The messages of all its queues.
    pub messages: MessageCounts,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct QueueSnapshot {
    /// The virtual host that it is in.
    pub vhost: VhostName,
    /// Its name.
    pub name: QueueName,
    /// Survives a restart.
    pub durable: bool,
    /// Is deleted with its last consumer.
    pub auto_delete: bool,
    /// The connection that it belongs to, if it is exclusive.
    pub owner: Option<ConnectionRef>,
    /// What it was declared with.
    pub arguments: FieldTable,
    /// Its messages.
    pub messages: MessageCounts,
    /// Messages whose bodies are in memory.
    pub in_memory_count: u64,
    /// Memory that the queue takes, in bytes.
    pub memory: u64,
    /// How many consumers it has.
    pub consumer_count: u64,
    /// The consumer that has the queue for itself.
    pub exclusive_consumer: Option<ConsumerTag>,
    /// The consumer that is served, where only one is at a time.
    pub single_active_consumer: Option<ConsumerTag>,
    /// Since when nothing happened; nothing if it is busy.
    pub idle_since: Option<SystemTime>,
    /// What happened to its messages.
    pub message_stats: MessageStats,
}

/// An exchange.
#[derive(Clone, Debug)]
pub struct ExchangeSnapshot {
    /// The virtual host that it is in.
    pub vhost: VhostName,
    /// Its name; empty for the default exchange.
    pub name: ExchangeName,
    /// Its type: `direct`, `topic`, …
    pub kind: String,
    /// Survives a restart.
    pub durable: bool,
    /// Is deleted with its last binding.
    pub auto_delete: bool,
    /// Only other exchanges may publish to it.
    pub internal: bool,
    /// What it was declared with.
    pub arguments: FieldTable,
    /// Messages that came in.
    pub published_in: u64,
    /// Messages that went to queues or exchanges, counted for each.
    pub published_out: u64,
}

/// A binding, be it declared or the implicit one of the default exchange to each queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingSnapshot {
    /// The virtual host that it is in.
    pub vhost: VhostName,
    /// Where messages come from.
    pub source: ExchangeName,
    /// Where they go.
    pub destination: Destination,
    /// What their routing key is compared to.
    pub routing_key: RoutingKey,
    /// What it was bound with.
    pub arguments: FieldTable,
}

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To a queue.
    Queue(QueueName),
    /// To another exchange.
    Exchange(ExchangeName),
}

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
    pub client_properties: FieldTable,
    /// When it was accepted.
    pub connected_at: SystemTime,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
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
    /// The subject of the client's certificate, if it showed one.
    pub peer_subject: Option<String>,
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

impl MessageCounts {
    /// Ready and unacknowledged messages together.
    pub fn count(&self) -> u64 {
        self.ready_count + self.unacked_count
    }

    /// Their bodies together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.ready_bytes + self.unacked_bytes
    }
}

impl MessageStats {
    /// Everything that went out, by whichever way.
    pub fn deliver_get(&self) -> u64 {
        self.deliver + self.deliver_no_ack + self.get + self.get_no_ack
    }
}

impl Destination {
    /// The queue's or exchange's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Queue(name) => name,
            Self::Exchange(name) => name,
        }
    }

    /// `queue` or `exchange`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Exchange(_) => "exchange",
        }
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
