//! What the management API asks of single messages.

use amphora_core::store::Position;
use amphora_protocol::wire::table::FieldValue;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey};

use super::{Got, Reply};
use crate::auth::VhostAccess;

/// Messages of a queue or stream, for somebody who looks at them and picks some. A message is known by its position, which is its offset in a
/// stream. Looking changes nothing: no count of deliveries, no mark, no order.
pub trait Browsing: Send + Sync {
    /// Shows messages. Asks for the right to read.
    fn browse<'a>(&'a self, by: &'a VhostAccess, command: Browse) -> Reply<'a, Browsed>;
    /// Publishes messages elsewhere, and takes each out of its queue when it is as durable there as a confirm promises. Returns how many
    /// there were: those that somebody else has taken meanwhile are not. Asks for the rights to read the queue and to write to the exchange.
    ///
    /// The first that reaches no queue or is refused ends it: it and those after it stay.
    fn move_picked<'a>(&'a self, by: &'a VhostAccess, command: MovePicked) -> Reply<'a, u64>;
    /// Takes messages out of a queue, and returns how many there were. Asks for the right to read.
    fn delete_messages<'a>(&'a self, by: &'a VhostAccess, picked: Picked) -> Reply<'a, u64>;
}

/// Looks at messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Browse {
    /// In which queue or stream.
    pub queue: QueueName,
    /// Where to begin in a stream, as the argument `x-stream-offset` of a consumer says it; with the oldest if it is not given. A queue is
    /// shown from its head.
    pub offset: Option<FieldValue>,
    /// At most so many messages.
    pub count: u32,
    /// Stop when the bodies have this many bytes together.
    pub bytes_max: u64,
}

/// What somebody saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Browsed {
    /// In the order in which consumers would get them.
    pub messages: Vec<BrowsedMessage>,
    /// Where a stream goes on; nothing at its end.
    pub next: Option<Position>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct BrowsedMessage {
    /// What it is known by.
    pub position: Position,
    /// When it was published, in milliseconds since the Unix epoch, if that is known.
    pub published_at: Option<u64>,
    /// What is in it.
    pub message: Got,
}

/// Messages that were picked. They are looked for among the first [`REACH`] that are ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    /// In which queue.
    pub queue: QueueName,
    /// Which.
    pub positions: Vec<Position>,
}

/// How deep in a queue messages can be picked.
pub const REACH: usize = 10_000;

/// Moves messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovePicked {
    /// Which.
    pub picked: Picked,
    /// Where they are published.
    pub exchange: ExchangeName,
    /// With which key.
    pub routing_key: RoutingKey,
}
