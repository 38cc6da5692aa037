//! What clients ask for: the methods `exchange.declare` and `queue.declare`, freed of what concerns only the wire.

use amphora_protocol::wire::method::{exchange, queue};
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
    /// The user who asks.
    pub by: Box<str>,
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
    /// The user who asks.
    pub by: Box<str>,
}

/// Nobody is named as the user until whoever declares names one.
impl From<exchange::Declare> for ExchangeDeclaration {
    fn from(method: exchange::Declare) -> Self {
        Self {
            name: without_line_breaks(method.exchange),
            exchange_type: method.kind,
            passive: method.passive,
            durable: method.durable,
            auto_delete: method.auto_delete,
            internal: method.internal,
            arguments: method.arguments,
            by: Box::default(),
        }
    }
}

/// As with exchanges, and the name may still be empty; then whoever declares has to choose one and to set `server_named`.
impl From<queue::Declare> for QueueDeclaration {
    fn from(method: queue::Declare) -> Self {
        Self {
            name: without_line_breaks(method.queue),
            server_named: false,
            passive: method.passive,
            durable: method.durable,
            exclusive: method.exclusive,
            auto_delete: method.auto_delete,
            arguments: method.arguments,
            by: Box::default(),
        }
    }
}

/// A name of an exchange or queue as it is understood in every method but `basic.publish`: carriage returns and line feeds
/// do not count.
pub fn without_line_breaks<N: AsRef<str> + From<ShortString>>(name: N) -> N {
    if name.as_ref().contains(['\r', '\n']) {
        ShortString::cut(&name.as_ref().replace(['\r', '\n'], "")).into()
    } else {
        name
    }
}
