//! A queue as JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::management::caller::Caller;
use crate::management::consumers::Consumer;
use crate::management::history::Of;
use crate::management::json::{Object, from_table};
use crate::management::listing::Listing;
use crate::management::snapshot::{ConnectionRef, QueueSnapshot};
use crate::management::stats::{self, Counted, Lengths};

/// A queue. What RabbitMQ has only for some types is there for these only.
#[derive(Serialize, JsonSchema)]
pub(in crate::management) struct Queue {
    /// The virtual host that it is in.
    vhost: String,
    /// Its name.
    name: String,
    /// `classic`, `quorum` or `stream`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The node that it is on.
    node: String,
    /// `running` or `paused`.
    state: &'static str,
    /// Survives a restart.
    durable: bool,
    /// Is deleted with its last consumer.
    auto_delete: bool,
    /// Belongs to one connection.
    exclusive: bool,
    /// What it was declared with.
    arguments: Object,
    /// The policy that applies to it.
    policy: Option<String>,
    /// The operator policy that applies to it.
    operator_policy: Option<String>,
    /// What both come to.
    effective_policy_definition: Object,
    /// How many consumers it has.
    consumers: u64,
    /// The part of the last minutes in which it could have given a message to a consumer at once, from 0 to 1.
    consumer_capacity: f64,
    /// The same, by its older name.
    consumer_utilisation: f64,
    /// The consumer that has it for itself.
    exclusive_consumer_tag: Option<String>,
    /// The consumer that is served, where only one is at a time.
    single_active_consumer_tag: Option<String>,
    /// Since when nothing happened; nothing if it is busy.
    idle_since: Option<String>,
    /// Memory that it takes, in bytes.
    memory: u64,
    /// When its publisher says that the oldest message was made, in seconds since 1970; nothing if that is not said, or not in memory.
    head_message_timestamp: Option<u64>,
    #[serde(flatten)]
    stored: Stored,
    /// Messages that wait for their next attempt.
    messages_delayed: u64,
    /// Messages on their way to the dead-letter exchange.
    messages_dying: u64,
    /// Duplicates that it has dropped.
    messages_deduplicated: u64,
    /// Messages that it gave up, by reason.
    deaths: Deaths,
    #[serde(flatten)]
    lengths: Lengths,
    /// What happened to its messages.
    message_stats: Counted,
    /// The connection that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_pid_details: Option<Owner>,
    #[serde(flatten)]
    replicas: Option<Replicas>,
}

/// A queue with what belongs to it.
#[derive(Serialize, JsonSchema)]
pub(in crate::management) struct QueueWithConsumers {
    #[serde(flatten)]
    pub(super) queue: Queue,
    /// Its consumers.
    pub(super) consumer_details: Vec<Consumer>,
    /// By exchange: not counted, as with RabbitMQ's `rates_mode` `basic`.
    pub(super) incoming: [(); 0],
    /// By channel: not counted, likewise.
    pub(super) deliveries: [(); 0],
}

/// Where its messages are.
#[derive(Serialize, JsonSchema)]
struct Stored {
    /// Messages whose bodies are in memory.
    messages_ram: u64,
    /// Those of them that wait for a consumer.
    messages_ready_ram: u64,
    /// Those of them that were delivered and not acknowledged.
    messages_unacknowledged_ram: u64,
    /// Messages that are only in the store.
    messages_paged_out: u64,
    /// Messages that survive a restart.
    messages_persistent: u64,
    /// All bodies, in bytes.
    message_bytes: u64,
    /// Those of the messages that wait for a consumer.
    message_bytes_ready: u64,
    /// Those of the messages that were delivered and not acknowledged.
    message_bytes_unacknowledged: u64,
    /// Those that are in memory.
    message_bytes_ram: u64,
    /// Those that are only in the store.
    message_bytes_paged_out: u64,
    /// Those that survive a restart.
    message_bytes_persistent: u64,
}

/// Messages that a queue gave up.
#[derive(Serialize, JsonSchema)]
struct Deaths {
    /// Rejected without requeue.
    rejected: u64,
    /// Their time to live was over.
    expired: u64,
    /// The queue was too long.
    maxlen: u64,
    /// Delivered in vain too often.
    delivery_limit: u64,
    /// Published to the dead-letter exchange, or found nobody there.
    dead_lettered: u64,
    /// Not even taken, because the queue was full.
    refused: u64,
}

/// The connection that an exclusive queue or a channel belongs to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectionRef")]
pub(in crate::management) struct Owner {
    name: String,
    peer_host: String,
    peer_port: u16,
}

/// What RabbitMQ has for queues of several nodes, of which there is one.
#[derive(Serialize, JsonSchema)]
struct Replicas {
    leader: String,
    members: [String; 1],
    online: [String; 1],
    /// Files of its own, by node: its messages share those of the store.
    open_files: BTreeMap<String, u64>,
}

impl From<&ConnectionRef> for Owner {
    fn from(connection: &ConnectionRef) -> Self {
        Self {
            name: connection.name.to_string(),
            peer_host: connection.peer.ip().to_string(),
            peer_port: connection.peer.port(),
        }
    }
}

pub(super) fn view(caller: &Caller, queue: &QueueSnapshot, listing: &Listing) -> Queue {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    let tag = |tag: &Option<_>| tag.as_ref().map(ToString::to_string);
    let mut details = caller.details(Of::Queue(queue.id), listing);
    let capacity = capacity(caller, queue);
    Queue {
        vhost: queue.vhost.to_string(),
        name: queue.name.to_string(),
        kind: queue.kind,
        node: caller.about().node.clone(),
        state: state(queue),
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        exclusive: queue.owner.is_some(),
        arguments: from_table(&queue.arguments),
        policy: text(&queue.policies.policy),
        operator_policy: text(&queue.policies.operator_policy),
        effective_policy_definition: from_table(&queue.policies.definition),
        consumers: queue.consumer_count,
        consumer_capacity: capacity,
        consumer_utilisation: capacity,
        exclusive_consumer_tag: tag(&queue.exclusive_consumer),
        single_active_consumer_tag: tag(&queue.single_active_consumer),
        idle_since: queue.idle_since.map(stats::timestamp),
        memory: queue.memory,
        head_message_timestamp: queue.oldest_timestamp,
        stored: stored(queue),
        messages_delayed: queue.delayed_count,
        messages_dying: queue.dying_count,
        messages_deduplicated: queue.deduplicated,
        deaths: Deaths {
            rejected: queue.deaths.rejected,
            expired: queue.deaths.expired,
            maxlen: queue.deaths.dropped,
            delivery_limit: queue.deaths.exhausted,
            dead_lettered: queue.deaths.dead_lettered,
            refused: queue.deaths.refused,
        },
        lengths: stats::lengths(&queue.messages, &mut details),
        message_stats: stats::counted(&queue.message_stats, details),
        owner_pid_details: queue.owner.as_ref().map(Owner::from),
        replicas: (queue.kind != "classic").then(|| replicas(&caller.about().node)),
    }
}

pub(super) fn state(queue: &QueueSnapshot) -> &'static str {
    if queue.paused { "paused" } else { "running" }
}

/// What was sampled, or what is so now for a queue that is younger than the samples.
fn capacity(caller: &Caller, queue: &QueueSnapshot) -> f64 {
    if queue.consumer_count == 0 {
        return 0.0;
    }
    let sampled = caller.history().capacity(queue.id);
    sampled.unwrap_or_else(|| f64::from(u8::from(queue.is_served)))
}

fn stored(queue: &QueueSnapshot) -> Stored {
    let (messages, here) = (&queue.messages, &queue.in_memory);
    Stored {
        messages_ram: here.count,
        messages_ready_ram: here.ready_count,
        messages_unacknowledged_ram: here.count.saturating_sub(here.ready_count),
        messages_paged_out: messages.count().saturating_sub(here.count),
        messages_persistent: messages.persistent_count,
        message_bytes: messages.bytes(),
        message_bytes_ready: messages.ready_bytes,
        message_bytes_unacknowledged: messages.unacked_bytes,
        message_bytes_ram: here.bytes,
        message_bytes_paged_out: messages.bytes().saturating_sub(here.bytes),
        message_bytes_persistent: messages.persistent_bytes,
    }
}

fn replicas(node: &str) -> Replicas {
    Replicas {
        leader: node.to_owned(),
        members: [node.to_owned()],
        online: [node.to_owned()],
        open_files: BTreeMap::from([(node.to_owned(), 0)]),
    }
}
