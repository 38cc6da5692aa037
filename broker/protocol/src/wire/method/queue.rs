//! Class 50: queues (spec 1.7).

use super::class::class;
use crate::wire::table::FieldTable;
use crate::wire::types::{ExchangeName, QueueName, RoutingKey};

class! {
    queue = 50;

    /// Creates a queue, or checks that it is there.
    Declare = 10 "declare" {
        [u16]
        /// Its name; the server makes one if it is empty.
        queue: QueueName,
        /// Only check.
        passive: bool,
        /// It survives a restart.
        durable: bool,
        /// Only this connection uses it, and it goes with the connection.
        exclusive: bool,
        /// It goes with its last consumer.
        auto_delete: bool,
        /// No answer is wanted.
        no_wait: bool,
        /// The queue's own arguments.
        arguments: FieldTable,
    }

    /// The queue is there.
    DeclareOk = 11 "declare-ok" {
        /// Its name.
        queue: QueueName,
        /// How many messages are ready.
        message_count: u32,
        /// How many consumers it has.
        consumer_count: u32,
    }

    /// Binds a queue to an exchange.
    Bind = 20 "bind" {
        [u16]
        /// Where messages go.
        queue: QueueName,
        /// Where they come from.
        exchange: ExchangeName,
        /// What the exchange compares.
        routing_key: RoutingKey,
        /// No answer is wanted.
        no_wait: bool,
        /// What the exchange compares.
        arguments: FieldTable,
    }

    /// The binding is there.
    BindOk = 21 "bind-ok" {}

    /// Removes what is ready.
    Purge = 30 "purge" {
        [u16]
        /// Its name.
        queue: QueueName,
        /// No answer is wanted.
        no_wait: bool,
    }

    /// What was ready is gone.
    PurgeOk = 31 "purge-ok" {
        /// How many messages that were.
        message_count: u32,
    }

    /// Deletes a queue.
    Delete = 40 "delete" {
        [u16]
        /// Its name.
        queue: QueueName,
        /// Only if it has no consumer.
        if_unused: bool,
        /// Only if nothing is ready.
        if_empty: bool,
        /// No answer is wanted.
        no_wait: bool,
    }

    /// The queue is gone.
    DeleteOk = 41 "delete-ok" {
        /// How many messages went with it.
        message_count: u32,
    }

    /// Removes a binding. It has no `no_wait`.
    Unbind = 50 "unbind" {
        [u16]
        /// Where messages went.
        queue: QueueName,
        /// Where they came from.
        exchange: ExchangeName,
        /// As it was bound.
        routing_key: RoutingKey,
        /// As they were bound.
        arguments: FieldTable,
    }

    /// The binding is gone.
    UnbindOk = 51 "unbind-ok" {}
}
