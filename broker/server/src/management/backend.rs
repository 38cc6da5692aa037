//! What the management API asks of the broker.
//!
//! Reading gives snapshots. Changing goes the way that AMQP methods go, as the user that asks: permissions are checked by the broker,
//! not by the API, and a refusal is the exception that an AMQP client would get.

mod administration;
mod browsing;
mod delayed;
mod plugins;

use std::pin::Pin;

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, VhostName};
use bytes::Bytes;

pub use self::administration::{
    Administration, AdministrationRefusal, AdministrationReply, LIMITS, NewCredential,
    OPERATOR_POLICY, POLICY, Parameter, PermissionPatterns, Place, Put, PutUser, PutVhost,
    VHOST_LIMITS,
};
pub use self::browsing::{Browse, Browsed, BrowsedMessage, Browsing, MovePicked, Picked, REACH};
pub use self::delayed::DelayedMessages;
pub use self::plugins::{PluginRefusal, PluginReply, Plugins, PutPlugin};
use super::snapshot::{
    BindingSnapshot, ChannelSnapshot, ConnectionSnapshot, ConsumerSnapshot, Destination,
    ExchangeSnapshot, NodeSnapshot, Overview, QueueFigures, QueueSnapshot, RouteReport,
    StoreSnapshot, UnackedSnapshot, VhostSnapshot,
};
use crate::auth::{Identity, VhostAccess};
use crate::config::{ByteSize, Limits, MemoryMark};
use crate::management::Stirring;

/// What a command comes back with: its result, once that is as durable as the broker promises, or the exception it met.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Exception>> + Send + 'a>>;

/// The broker as the management API sees it.
///
/// Reading methods return at once; they may take each lock in turn, briefly, and never wait for a disk.
/// A virtual host, queue or exchange that is not there gives an empty list or nothing.
pub trait Backend: Send + Sync + 'static {
    /// Counts over the whole broker.
    fn overview(&self) -> Overview;
    /// Told whenever something may change that these methods count.
    fn stirring(&self) -> &Stirring;
    /// The state of the one node.
    fn node(&self) -> NodeSnapshot;
    /// What commits to the store cost.
    fn store(&self) -> StoreSnapshot;
    /// The names of all virtual hosts. Asked for with every request, and so cheaper than [`Backend::vhosts`].
    fn vhost_names(&self) -> Vec<VhostName>;
    /// All virtual hosts, with what is in them counted.
    fn vhosts(&self) -> Vec<VhostSnapshot>;
    /// All exchanges of a virtual host, the default exchange included.
    fn exchanges(&self, vhost: &str) -> Vec<ExchangeSnapshot>;
    /// One exchange; the default exchange has the empty name.
    fn exchange(&self, vhost: &str, name: &str) -> Option<ExchangeSnapshot>;
    /// All queues of a virtual host.
    fn queues(&self, vhost: &str) -> Vec<QueueSnapshot>;
    /// The names of all queues of a virtual host. Cheaper than [`Backend::queues`].
    fn queue_names(&self, vhost: &str) -> Vec<QueueName>;
    /// These queues of a virtual host, without those that are gone.
    fn queues_named(&self, vhost: &str, names: &[QueueName]) -> Vec<QueueSnapshot>;
    /// What is counted of all queues of a virtual host. Cheaper than [`Backend::queues`].
    fn queue_figures(&self, vhost: &str) -> Vec<QueueFigures>;
    /// One queue.
    fn queue(&self, vhost: &str, name: &str) -> Option<QueueSnapshot>;
    /// The bindings of a virtual host that pass the filter, the implicit ones of the default exchange included.
    fn bindings(&self, vhost: &str, filter: &BindingFilter) -> Vec<BindingSnapshot>;
    /// All AMQP connections that are open, of all virtual hosts.
    fn connections(&self) -> Vec<ConnectionSnapshot>;
    /// All open channels, of all virtual hosts.
    fn channels(&self) -> Vec<ChannelSnapshot>;
    /// All consumers of a virtual host.
    fn consumers(&self, vhost: &str) -> Vec<ConsumerSnapshot>;

    /// What consumers, and channels by basic.get, hold of a queue; `None` if there is no such queue.
    fn unacked(&self, vhost: &str, queue: &str) -> Option<Vec<UnackedSnapshot>>;

    /// The consumers that a stream remembers, by tag, and the offset that each gets next; `None` if there is no such stream.
    fn stream_offsets(&self, vhost: &str, queue: &str) -> Option<Vec<(String, u64)>>;

    /// As `exchange.declare`.
    fn declare_exchange<'a>(
        &'a self,
        by: &'a VhostAccess,
        command: DeclareExchange,
    ) -> Reply<'a, ()>;
    /// As `exchange.delete`; one that is not there is no error.
    fn delete_exchange<'a>(&'a self, by: &'a VhostAccess, command: DeleteExchange)
    -> Reply<'a, ()>;
    /// As `queue.declare`, without an owner.
    fn declare_queue<'a>(&'a self, by: &'a VhostAccess, command: DeclareQueue) -> Reply<'a, ()>;
    /// As `queue.delete`; one that is not there is no error.
    fn delete_queue<'a>(&'a self, by: &'a VhostAccess, command: DeleteQueue) -> Reply<'a, ()>;
    /// As `queue.purge`. Returns how many messages there were.
    fn purge_queue<'a>(&'a self, by: &'a VhostAccess, queue: QueueName) -> Reply<'a, u64>;
    /// Stops deliveries to the queue's consumers, or lets them go on. Asks for the right to configure the queue.
    fn pause_queue<'a>(
        &'a self,
        by: &'a VhostAccess,
        queue: QueueName,
        paused: bool,
    ) -> Reply<'a, ()>;
    /// As `queue.bind` or `exchange.bind`.
    fn bind<'a>(&'a self, by: &'a VhostAccess, command: Bind) -> Reply<'a, ()>;
    /// As `queue.unbind` or `exchange.unbind`; a binding that is not there is no error.
    fn unbind<'a>(&'a self, by: &'a VhostAccess, command: Bind) -> Reply<'a, ()>;
    /// As a mandatory `basic.publish` whose confirm is waited for.
    fn publish<'a>(&'a self, by: &'a VhostAccess, command: Publish) -> Reply<'a, Published>;
    /// What would become of a [`Backend::publish`], without anything coming of it.
    fn route<'a>(&'a self, by: &'a VhostAccess, command: Publish) -> Reply<'a, RouteReport>;
    /// As `basic.get`, several times, and then an `ack`, `reject` or `nack` of all.
    fn get<'a>(&'a self, by: &'a VhostAccess, command: Get) -> Reply<'a, Vec<Got>>;

    /// Publishes messages of a queue again and takes each out of it when it is durable where it went: a crash may double some, and loses none.
    fn move_messages<'a>(&'a self, by: &'a VhostAccess, command: MoveMessages) -> Reply<'a, Moved>;

    /// What is in force of the settings that can be changed.
    fn settings(&self) -> Settings;
    /// Puts settings in force until the configuration says something else.
    ///
    /// # Errors
    /// One of them makes no sense; nothing is changed.
    fn change_settings(&self, by: &Identity, change: &ChangeSettings) -> Result<(), String>;

    /// Users, virtual hosts, policies, limits and other parameters.
    fn administration(&self) -> &dyn Administration;

    /// The plugins: exchange types and transforms that components supply.
    fn plugins(&self) -> &dyn Plugins;
    /// Turns the firehose of a virtual host on or off; false if there is none of that name.
    fn trace(&self, vhost: &str, on: bool) -> bool;
    /// The messages that wait for their time.
    fn delayed(&self) -> &dyn DelayedMessages;
    /// Single messages, to be looked at and picked.
    fn browsing(&self) -> &dyn Browsing;

    /// Closes a connection with 320 and this text. `false` if there is none with this name.
    fn close_connection(&self, name: &str, reason: &str) -> bool;
}

/// Which bindings are asked for. What is not set passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingFilter {
    /// Only those of this source.
    pub source: Option<ExchangeName>,
    /// Only those to this destination.
    pub destination: Option<Destination>,
}

/// Creates an exchange, or checks that it is the same.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclareExchange {
    /// Its name.
    pub name: ExchangeName,
    /// Its type.
    pub kind: String,
    /// Survives a restart.
    pub durable: bool,
    /// Is deleted with its last binding.
    pub auto_delete: bool,
    /// Only other exchanges may publish to it.
    pub internal: bool,
    /// For its type to interpret.
    pub arguments: FieldTable,
}

/// Deletes an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteExchange {
    /// Its name.
    pub name: ExchangeName,
    /// Refuse if it is the source of a binding.
    pub if_unused: bool,
}

/// Creates a queue, or checks that it is the same.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclareQueue {
    /// Its name; empty for one that the broker chooses.
    pub name: QueueName,
    /// Survives a restart.
    pub durable: bool,
    /// Is deleted with its last consumer.
    pub auto_delete: bool,
    /// Its limits, and whatever else queues understand.
    pub arguments: FieldTable,
}

/// Deletes a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteQueue {
    /// Its name.
    pub name: QueueName,
    /// Refuse if it has consumers.
    pub if_unused: bool,
    /// Refuse if it has messages that are ready.
    pub if_empty: bool,
}

/// Makes or removes a binding.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    /// Where messages come from.
    pub source: ExchangeName,
    /// Where they go.
    pub destination: Destination,
    /// What their routing key is compared to.
    pub routing_key: RoutingKey,
    /// For the source's type to interpret; part of the binding's identity.
    pub arguments: FieldTable,
}

/// Publishes one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// To which exchange.
    pub exchange: ExchangeName,
    /// With which routing key.
    pub routing_key: RoutingKey,
    /// With which properties.
    pub properties: BasicProperties,
    /// The message.
    pub body: Bytes,
}

/// What became of a [`Publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is in at least one queue, as durably as a confirm promises.
    Routed,
    /// It reached no queue.
    Unroutable,
    /// A queue refused it: a publisher would have got `basic.nack`.
    Refused,
}

/// Takes messages out of a queue, or looks at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get {
    /// Which queue.
    pub queue: QueueName,
    /// At most so many messages.
    pub count: u32,
    /// Stop when the bodies have this many bytes together, so that the answer stays bounded.
    pub bytes_max: u64,
    /// What happens to them afterwards.
    pub settlement: Settlement,
}

/// What happens to messages that were fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// They are gone: `basic.ack`.
    Ack,
    /// They are back in their place: `basic.nack` or `basic.reject` with `requeue`.
    Requeue,
    /// They are gone, to the dead-letter exchange if there is one: `basic.reject` without `requeue`.
    Discard,
}

/// A message that was fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Got {
    /// The exchange it was published to.
    pub exchange: ExchangeName,
    /// The routing key it was published with.
    pub routing_key: RoutingKey,
    /// It had been delivered before.
    pub redelivered: bool,
    /// Messages that were ready behind it.
    pub ready_count: u64,
    /// Its properties.
    pub properties: BasicProperties,
    /// The message.
    pub body: Bytes,
}

/// Moves messages out of a queue, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveMessages {
    /// Which queue.
    pub queue: QueueName,
    /// To which exchange; nothing for the one that each message died after, as its `x-death` says.
    pub exchange: Option<ExchangeName>,
    /// With which routing key; nothing for each message's own, or the one that it had there.
    pub routing_key: Option<RoutingKey>,
    /// At most so many messages, of those that are ready now.
    pub count: u64,
}

/// What became of a [`MoveMessages`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// So many messages are elsewhere now.
    pub count: u64,
    /// Why the next one stayed.
    pub stopped: Option<String>,
}

/// Settings that can be changed while the broker runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// What is logged, as the configuration has it.
    pub log_level: String,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
    /// Bytes of memory above which publishers are blocked.
    pub memory_mark: u64,
    /// Bytes of the disk below which publishers are blocked.
    pub disk_free_limit: u64,
}

/// Changes some of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSettings {
    /// What is logged.
    pub log_level: Option<String>,
    /// Memory above which publishers are blocked.
    pub memory_mark: Option<MemoryMark>,
    /// What has to be free on the disk.
    pub disk_free_limit: Option<ByteSize>,
}
