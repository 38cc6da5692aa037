//! What must be the same after a restart, as keys and values of the store.

mod encoding;

use std::sync::Arc;

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, VhostName};
use bytes::Bytes;

pub use self::encoding::DamagedDefinition;
use crate::binding::{Binding, BindingId};
use crate::exchange::ExchangeType;
use crate::queue_arguments::QueueArguments;
use crate::store::QueueId;
use crate::topology::{ConnectionId, QueueDeclaration};

/// The core's families of definitions. The server numbers its own from [`Family::OPAQUE_MIN`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Family {
    /// Virtual hosts.
    Vhost = 1,
    /// Exchanges.
    Exchange = 2,
    /// Queues.
    Queue = 3,
    /// Bindings.
    Binding = 4,
}

impl Family {
    /// The first family that the core does not look into.
    pub const OPAQUE_MIN: u8 = 16;

    /// What the keys of this family begin with that belong to the virtual host.
    pub fn prefix(self, vhost: &VhostName) -> Bytes {
        self.key(vhost).into()
    }

    fn key(self, vhost: &VhostName) -> Vec<u8> {
        let mut key = vec![self as u8];
        encoding::put_name(vhost, &mut key);
        key
    }
}

/// An exchange, as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeDefinition {
    /// Its name.
    pub name: ExchangeName,
    /// Its type.
    pub exchange_type: ExchangeType,
    /// It outlives a restart.
    pub durable: bool,
    /// It goes away with its last binding.
    pub auto_delete: bool,
    /// It takes messages from other exchanges only.
    pub internal: bool,
    /// Its arguments.
    pub arguments: FieldTable,
    /// The user who declared it; empty if that is not known.
    pub declared_by: Box<str>,
}

/// A queue, as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDefinition {
    /// Its identity in the store.
    pub id: QueueId,
    /// Its name.
    pub name: QueueName,
    /// It outlives a restart. An exclusive queue never does.
    pub durable: bool,
    /// It goes away with its last consumer.
    pub auto_delete: bool,
    /// The connection that it is exclusive to.
    pub owner: Option<ConnectionId>,
    /// Its arguments.
    pub arguments: FieldTable,
    /// What they mean.
    pub parsed: QueueArguments,
    /// The user who declared it; empty if that is not known.
    pub declared_by: Box<str>,
}

impl QueueDefinition {
    /// The queue that a declaration asks for.
    pub fn new(
        id: QueueId,
        declaration: QueueDeclaration,
        parsed: QueueArguments,
        asker: ConnectionId,
    ) -> Self {
        let QueueDeclaration {
            name,
            durable,
            exclusive,
            auto_delete,
            arguments,
            by,
            ..
        } = declaration;
        let owner = exclusive.then_some(asker);
        Self {
            id,
            name,
            durable: durable && !exclusive,
            auto_delete,
            owner,
            arguments,
            parsed,
            declared_by: by,
        }
    }
}

/// One key and value of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// A virtual host.
    Vhost {
        /// Its name.
        vhost: VhostName,
        /// What the server keeps with it: description, tags and the like.
        metadata: FieldTable,
    },
    /// A durable exchange.
    Exchange {
        /// Where it is.
        vhost: VhostName,
        /// The exchange.
        exchange: Arc<ExchangeDefinition>,
    },
    /// A durable queue.
    Queue {
        /// Where it is.
        vhost: VhostName,
        /// The queue. Its owner is not stored: a durable queue has none.
        queue: Arc<QueueDefinition>,
    },
    /// A binding between durable ends.
    Binding {
        /// Where it is.
        vhost: VhostName,
        /// Its number.
        id: BindingId,
        /// The binding.
        binding: Arc<Binding>,
    },
    /// What the core does not look into: users, permissions, policies.
    Opaque {
        /// The key, with the family's byte.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
}
