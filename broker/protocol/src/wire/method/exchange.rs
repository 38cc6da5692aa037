//! Class 40: exchanges (spec 1.6). Bindings between them are RabbitMQ's extension.

use super::class::class;
use crate::wire::table::FieldTable;
use crate::wire::types::{ExchangeName, RoutingKey, ShortString};

class! {
    exchange = 40;

    /// Creates an exchange, or checks that it is there.
    Declare = 10 "declare" {
        [u16]
        /// Its name.
        exchange: ExchangeName,
        /// Its type's name; `type` in the standard.
        kind: ShortString,
        /// Only check.
        passive: bool,
        /// It survives a restart.
        durable: bool,
        /// It goes with its last binding.
        auto_delete: bool,
        /// Clients cannot publish to it.
        internal: bool,
        /// No answer is wanted.
        no_wait: bool,
        /// The type's own arguments.
        arguments: FieldTable,
    }

    /// The exchange is there.
    DeclareOk = 11 "declare-ok" {}

    /// Deletes an exchange.
    Delete = 20 "delete" {
        [u16]
        /// Its name.
        exchange: ExchangeName,
        /// Only if nothing is bound to it.
        if_unused: bool,
        /// No answer is wanted.
        no_wait: bool,
    }

    /// The exchange is gone.
    DeleteOk = 21 "delete-ok" {}

    /// Binds an exchange to an exchange.
    Bind = 30 "bind" {
        [u16]
        /// Where messages go.
        destination: ExchangeName,
        /// Where they come from.
        source: ExchangeName,
        /// What the source compares.
        routing_key: RoutingKey,
        /// No answer is wanted.
        no_wait: bool,
        /// What the source compares.
        arguments: FieldTable,
    }

    /// The binding is there.
    BindOk = 31 "bind-ok" {}

    /// Removes a binding.
    Unbind = 40 "unbind" {
        [u16]
        /// Where messages went.
        destination: ExchangeName,
        /// Where they came from.
        source: ExchangeName,
        /// As it was bound.
        routing_key: RoutingKey,
        /// No answer is wanted.
        no_wait: bool,
        /// As they were bound.
        arguments: FieldTable,
    }

    /// The binding is gone. Its number breaks the rule of one above the request's.
    UnbindOk = 51 "unbind-ok" {}
}
