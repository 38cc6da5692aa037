//! What an operation changed, for whoever must store it or tell others of it.

use std::sync::Arc;

use amphora_protocol::wire::types::VhostName;

use crate::binding::{Binding, BindingId};
use crate::definition::{Definition, ExchangeDefinition, QueueDefinition};
use crate::store::Write;

/// One thing that came or went.
#[derive(Clone, Debug)]
pub enum Change {
    /// The exchange was created.
    ExchangeCreated(Arc<ExchangeDefinition>),
    /// The exchange was deleted. Its bindings were deleted before, each by its own change.
    ExchangeDeleted(Arc<ExchangeDefinition>),
    /// The queue was created.
    QueueCreated(Arc<QueueDefinition>),
    /// The queue was deleted. Its bindings were deleted before, each by its own change.
    QueueDeleted(Arc<QueueDefinition>),
    /// The binding was created.
    BindingCreated {
        /// Its number.
        id: BindingId,
        /// The binding.
        binding: Arc<Binding>,
        /// Both ends outlive a restart, so it does, too.
        durable: bool,
    },
    /// The binding was deleted.
    BindingDeleted {
        /// Its number.
        id: BindingId,
        /// The binding.
        binding: Arc<Binding>,
        /// It would have outlived a restart.
        durable: bool,
    },
}

/// What one operation changed, in the order in which it did. Nothing if what was asked for was so already.
#[derive(Clone, Debug, Default)]
#[must_use = "durable changes must be stored"]
pub struct Changes(pub Vec<Change>);

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What must be stored for the virtual host to be the same after a restart, in order.
    pub fn writes(&self, vhost: &VhostName) -> impl Iterator<Item = Write> {
        self.0.iter().filter_map(|change| change.write(vhost))
    }
}

impl Change {
    fn write(&self, vhost: &VhostName) -> Option<Write> {
        let vhost = vhost.clone();
        let (definition, deleted) = match self {
            Self::ExchangeCreated(exchange) | Self::ExchangeDeleted(exchange)
                if exchange.durable =>
            {
                let definition = Definition::Exchange {
                    vhost,
                    exchange: Arc::clone(exchange),
                };
                (definition, matches!(self, Self::ExchangeDeleted(_)))
            }
            Self::QueueCreated(queue) | Self::QueueDeleted(queue) if queue.durable => {
                let definition = Definition::Queue {
                    vhost,
                    queue: Arc::clone(queue),
                };
                (definition, matches!(self, Self::QueueDeleted(_)))
            }
            Self::BindingCreated {
                id,
                binding,
                durable: true,
            }
            | Self::BindingDeleted {
                id,
                binding,
                durable: true,
            } => {
                let definition = Definition::Binding {
                    vhost,
                    id: *id,
                    binding: Arc::clone(binding),
                };
                (definition, matches!(self, Self::BindingDeleted { .. }))
            }
            _ => return None,
        };
        let key = definition.key();
        Some(if deleted {
            Write::DeleteDefinition { key }
        } else {
            let value = definition.value();
            Write::PutDefinition { key, value }
        })
    }
}
