//! What the management API knows of the broker: plain values, taken at one moment, made for it alone.

mod clients;
mod delayed;
mod machine;
mod plugins;
mod route;
mod stream;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amphora_core::binding;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{
    ChannelNumber, ConsumerTag, ExchangeName, QueueName, RoutingKey, VhostName,
};

pub use self::clients::{
    ChannelSnapshot, ConnectionRef, ConnectionSnapshot, ConnectionState, ConsumerSnapshot,
    PeerCertificateSnapshot, TlsSnapshot,
};
pub use self::delayed::{DelayedId, DelayedPage, DelayedSnapshot};
pub use self::machine::{AllocatorSnapshot, Distribution, NodeSnapshot, StoreSnapshot};
pub use self::plugins::{
    Bucket, PluginBefore, PluginFailure, PluginLogLine, PluginMetric, PluginSnapshot, PluginSource,
    PluginState, PluginStats, PluginVersion,
};
pub use self::route::{
    RouteAlternate, RouteAnswer, RouteBinding, RouteExchange, RouteMessage, RouteOutcome,
    RouteQueue, RouteReport,
};
pub use self::stream::StreamFigures;

/// The broker as a whole.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// How many of each object there are, over all virtual hosts.
    pub totals: ObjectTotals,
    /// The messages of all queues.
    pub messages: MessageCounts,
    /// What happened to messages since the broker started.
    pub message_stats: MessageStats,
    /// Publishes on channels that want confirms, since the broker started.
    pub confirmable: u64,
    /// How many bytes published messages had, since the broker started.
    pub sizes: Distribution,
    /// Bytes that clients sent and were sent, since the broker started.
    pub octets: (u64, u64),
    /// Messages that queues took since the broker started, each counted.
    pub routed: u64,
    /// Channels that have published.
    pub publishers: u64,
    /// What queues gave up since the broker started.
    pub deaths: Deaths,
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
    /// Read back from the store.
    pub disk_reads: u64,
    /// Written to the store.
    pub disk_writes: u64,
}

/// A virtual host.
#[derive(Clone, Debug)]
pub struct VhostSnapshot {
    /// Its name.
    pub name: VhostName,
    /// What it is for, in its creator's words.
    pub description: String,
    /// Whatever its owner sorts by.
    pub tags: Vec<String>,
    /// The type of queues that are declared without one.
    pub default_queue_type: Option<String>,
    /// It cannot be deleted.
    pub protected_from_deletion: bool,
    /// The firehose is on.
    pub tracing: bool,
    /// The messages of all its queues.
    pub messages: MessageCounts,
    /// What happened to the messages of its queues, those that are gone included.
    pub message_stats: MessageStats,
    /// Bytes that its connections received, those that are gone included.
    pub received_bytes: u64,
    /// Bytes that they sent.
    pub sent_bytes: u64,
}

/// Messages that a queue gave up, by reason, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deaths {
    /// Rejected without requeue.
    pub rejected: u64,
    /// Their time to live was over.
    pub expired: u64,
    /// The queue was too long.
    pub dropped: u64,
    /// Delivered in vain too often.
    pub exhausted: u64,
    /// Published to the dead-letter exchange, or found nobody there.
    pub dead_lettered: u64,
    /// Not even taken, because the queue was full.
    pub refused: u64,
}

/// A delivery that waits for its acknowledgement.
#[derive(Clone, Debug)]
pub struct UnackedSnapshot {
    /// Where the message is in its queue. Never used again in that queue.
    pub position: u64,
    /// The delivery's tag on its channel.
    pub delivery_tag: u64,
    /// The consumer, or nothing for basic.get.
    pub consumer_tag: Option<ConsumerTag>,
    /// The connection that holds it.
    pub connection: ConnectionRef,
    /// The channel there.
    pub channel: ChannelNumber,
    /// Since when, since 1970; up to 100 ms early.
    pub since: Duration,
}

/// What is counted of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueFigures {
    /// The queue's identity. Never used again, also if a queue of the same name is declared.
    pub id: u64,
    /// Messages that wait for a consumer.
    pub ready_count: u64,
    /// Messages that were delivered and not yet acknowledged.
    pub unacked_count: u64,
    /// Whether a message that came now would go to a consumer at once; nothing if there is no consumer.
    pub is_served: Option<bool>,
    /// What happened to its messages.
    pub message_stats: MessageStats,
}

/// Messages of a queue whose bodies are in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InMemory {
    /// How many.
    pub count: u64,
    /// Those of them that wait for a consumer.
    pub ready_count: u64,
    /// Their bodies, in bytes.
    pub bytes: u64,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct QueueSnapshot {
    /// Its identity. Never used again, also if a queue of the same name is declared.
    pub id: u64,
    /// `classic`, `quorum` or `stream`.
    pub kind: &'static str,
    /// Deliveries to consumers have been stopped.
    pub paused: bool,
    /// Messages that wait for their next attempt.
    pub delayed_count: u64,
    /// Messages on their way to the dead-letter exchange.
    pub dying_count: u64,
    /// What the queue gave up.
    pub deaths: Deaths,
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
    /// The user who declared it; empty if that is not known.
    pub declared_by: Box<str>,
    /// Its messages.
    pub messages: MessageCounts,
    /// What of its messages is in memory.
    pub in_memory: InMemory,
    /// A message that came now would go to a consumer at once.
    pub is_served: bool,
    /// When its publisher says that the oldest message was made, in seconds since 1970; nothing if that is not said, or not in memory.
    pub oldest_timestamp: Option<u64>,
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
    /// What only streams have.
    pub stream: Option<StreamFigures>,
    /// Duplicates that it has dropped.
    pub deduplicated: u64,
    /// What happened to its messages.
    pub message_stats: MessageStats,
    /// The policies that apply to it.
    pub policies: AppliedPolicies,
}

/// The policies that apply to a queue or exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedPolicies {
    /// The policy's name.
    pub policy: Option<Arc<str>>,
    /// The operator policy's.
    pub operator_policy: Option<Arc<str>>,
    /// What both come to.
    pub definition: FieldTable,
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
    /// The user who declared it; empty if that is not known.
    pub declared_by: Box<str>,
    /// Messages that came in.
    pub published_in: u64,
    /// Messages that went to queues or exchanges, counted for each.
    pub published_out: u64,
    /// Messages that wait at it for their time.
    pub delayed: u64,
    /// Duplicates that it has dropped.
    pub deduplicated: u64,
    /// The policies that apply to it.
    pub policies: AppliedPolicies,
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

impl From<&binding::Destination> for Destination {
    fn from(destination: &binding::Destination) -> Self {
        match destination {
            binding::Destination::Queue(name) => Self::Queue(name.clone()),
            binding::Destination::Exchange(name) => Self::Exchange(name.clone()),
        }
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
