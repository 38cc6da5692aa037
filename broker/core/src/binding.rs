//! Bindings: what ties a queue or an exchange to an exchange (AMQP 0-9-1, 2.1.4).

use amphora_protocol::wire::method::{exchange, queue};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey};

use crate::topology::without_line_breaks;

/// A binding's number in its virtual host: rises with every binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindingId(pub u64);

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// `queue.bind`
    Queue(QueueName),
    /// `exchange.bind`
    Exchange(ExchangeName),
}

impl Destination {
    /// The name, whatever it names.
    pub fn name(&self) -> &str {
        match self {
            Self::Queue(name) => name.as_str(),
            Self::Exchange(name) => name.as_str(),
        }
    }

    /// `queue` or `exchange`, as texts and listings have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Exchange(_) => "exchange",
        }
    }
}

/// A binding. Its identity is all of it: the same ends may be bound several times with different keys or arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The exchange that messages come from.
    pub source: ExchangeName,
    /// The queue or exchange that they go to.
    pub destination: Destination,
    /// The binding key. Headers and fanout exchanges do not look at it.
    pub routing_key: RoutingKey,
    /// The arguments, which headers exchanges look at.
    pub arguments: BindingArguments,
}

impl Binding {
    fn between(
        source: ExchangeName,
        destination: Destination,
        routing_key: RoutingKey,
        arguments: FieldTable,
    ) -> Self {
        Self {
            source: without_line_breaks(source),
            destination,
            routing_key,
            arguments: arguments.into(),
        }
    }

    /// What tells bindings of the same two ends apart in the paths of the HTTP API: the routing key, percent-encoded,
    /// then `~` and a hash of the arguments if there are any; `~` alone if there is neither.
    pub fn properties_key(&self) -> String {
        let key = percent_encoded(&self.routing_key);
        if !self.arguments.is_empty() {
            let hash = fnv1a(self.arguments.table());
            return format!("{key}~{hash:016x}");
        }
        if key.is_empty() { "~".to_owned() } else { key }
    }
}

impl From<queue::Bind> for Binding {
    fn from(method: queue::Bind) -> Self {
        let queue::Bind {
            queue,
            exchange,
            routing_key,
            arguments,
            ..
        } = method;
        Self::between(
            exchange,
            Destination::Queue(without_line_breaks(queue)),
            routing_key,
            arguments,
        )
    }
}

impl From<queue::Unbind> for Binding {
    fn from(method: queue::Unbind) -> Self {
        let queue::Unbind {
            queue,
            exchange,
            routing_key,
            arguments,
        } = method;
        Self::between(
            exchange,
            Destination::Queue(without_line_breaks(queue)),
            routing_key,
            arguments,
        )
    }
}

impl From<exchange::Bind> for Binding {
    fn from(method: exchange::Bind) -> Self {
        let exchange::Bind {
            destination,
            source,
            routing_key,
            arguments,
            ..
        } = method;
        Self::between(
            source,
            Destination::Exchange(without_line_breaks(destination)),
            routing_key,
            arguments,
        )
    }
}

impl From<exchange::Unbind> for Binding {
    fn from(method: exchange::Unbind) -> Self {
        let exchange::Unbind {
            destination,
            source,
            routing_key,
            arguments,
            ..
        } = method;
        Self::between(
            source,
            Destination::Exchange(without_line_breaks(destination)),
            routing_key,
            arguments,
        )
    }
}

/// A binding's arguments, in the order of their names: the order in which a client sent them makes no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BindingArguments(FieldTable);

impl BindingArguments {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The arguments, by name.
    pub fn table(&self) -> &FieldTable {
        &self.0
    }

    /// The value of one argument.
    pub fn find(&self, name: &str) -> Option<&FieldValue> {
        self.0.get(name)
    }
}

impl From<FieldTable> for BindingArguments {
    fn from(table: FieldTable) -> Self {
        let mut fields: Vec<_> = table.into_iter().collect();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(fields.into_iter().collect())
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                encoded.push(byte.into());
            }
            b' ' => encoded.push('+'),
            _ => encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    encoded
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// A hash that is the same in every process and version, because users keep the paths that it is part of.
fn fnv1a(table: &FieldTable) -> u64 {
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
