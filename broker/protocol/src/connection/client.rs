//! What a client says about itself.

use std::sync::Arc;

use crate::wire::table::{FieldTable, FieldValue};

/// What a client said about itself in `connection.start-ok`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientProperties {
    /// All that it said.
    pub table: Arc<FieldTable>,
    /// The name that the application gave to this connection.
    pub connection_name: Option<String>,
    /// It understands `basic.cancel` from the server.
    pub consumer_cancel_notify: bool,
    /// It understands `connection.blocked`.
    pub connection_blocked: bool,
    /// It understands `connection.close` as the answer to a failed login.
    pub authentication_failure_close: bool,
    /// It understands `basic.nack` from the server.
    pub basic_nack: bool,
    /// It knows about publisher confirms.
    pub publisher_confirms: bool,
    /// It knows about bindings between exchanges.
    pub exchange_exchange_bindings: bool,
}

impl ClientProperties {
    pub(super) fn new(table: FieldTable) -> Self {
        let capabilities = table.get("capabilities").and_then(FieldValue::as_table);
        let can = |name| {
            capabilities
                .and_then(|known| known.get(name))
                .and_then(FieldValue::as_bool)
                == Some(true)
        };
        Self {
            connection_name: table
                .get("connection_name")
                .and_then(FieldValue::as_str)
                .map(str::to_owned),
            consumer_cancel_notify: can("consumer_cancel_notify"),
            connection_blocked: can("connection.blocked"),
            authentication_failure_close: can("authentication_failure_close"),
            basic_nack: can("basic.nack"),
            publisher_confirms: can("publisher_confirms"),
            exchange_exchange_bindings: can("exchange_exchange_bindings"),
            table: Arc::new(table),
        }
    }
}
