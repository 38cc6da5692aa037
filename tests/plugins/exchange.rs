//! An exchange of a plugin's type, as its host is told of it.

use amphora_core::binding::{Binding, BindingArguments, Destination};
use amphora_core::definition::ExchangeDefinition;
use amphora_core::exchange::ExchangeType;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};

/// Its type.
pub(crate) const TYPE: &str = "x-tested";

/// The exchange of this name.
pub(crate) fn exchange(name: &str) -> anyhow::Result<ExchangeDefinition> {
    Ok(ExchangeDefinition {
        name: ExchangeName::new(name)?,
        exchange_type: ExchangeType::Plugin(ShortString::new(TYPE)?),
        durable: false,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::new(),
        declared_by: Box::default(),
    })
}

/// A binding to a queue.
pub(crate) fn binding(key: &str, arguments: FieldTable) -> anyhow::Result<Binding> {
    Ok(Binding {
        source: ExchangeName::new("tested")?,
        destination: Destination::Queue(QueueName::new("q")?),
        routing_key: RoutingKey::new(key)?,
        arguments: BindingArguments::from(arguments),
    })
}

/// A table with these fields.
pub(crate) fn table<const N: usize>(fields: [(&str, FieldValue); N]) -> FieldTable {
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (ShortString::cut(name), value))
        .collect()
}
