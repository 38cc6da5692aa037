//! What clients ask for: the methods `exchange.declare` and `queue.declare`, freed of what concerns only the wire.

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, ShortString};

/// A connection, for the question who may use an exclusive queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// Who is no connection, as the management API: owns no queue, so every exclusive queue is another's.
    pub const NONE: Self = Self(0);
}

/// `exchange.declare`
#[derive(Clone, Debug)]
pub struct ExchangeDeclaration {
    /// The exchange's name.
    pub name: ExchangeName,
    /// The name of its type.
    pub exchange_type: ShortString,
    /// Only ask whether it exists.
    pub passive: bool,
    /// Outlive a restart.
    pub durable: bool,
    /// Go away with the last binding.
    pub auto_delete: bool,
    /// Take messages from other exchanges only.
    pub internal: bool,
    /// Further arguments, such as `alternate-exchange`.
    pub arguments: FieldTable,
}

/// `queue.declare`
#[derive(Clone, Debug)]
pub struct QueueDeclaration {
    /// The queue's name; not empty, because whoever declares has chosen a name for a server-named queue.
    pub name: QueueName,
    /// The broker chose the name, so that it may begin with the reserved prefix.
    pub server_named: bool,
    /// Only ask whether it exists.
    pub passive: bool,
    /// Outlive a restart. An exclusive queue does not, whatever this says.
    pub durable: bool,
    /// For the asking connection only, and gone with it.
    pub exclusive: bool,
    /// Go away with the last consumer.
    pub auto_delete: bool,
    /// Further arguments; see [`QueueArguments`](crate::queue_arguments::QueueArguments).
    pub arguments: FieldTable,
}
