//! What is hashed.

use amphora_sdk::exchange::{Message, ValueRef};
use amphora_sdk::{Table, Value};
use xxhash_rust::xxh3::xxh3_64;

const HEADER: &str = "hash-header";
const PROPERTY: &str = "hash-property";

/// The part of a message that decides where it goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    RoutingKey,
    Header(String),
    MessageId,
    CorrelationId,
    Timestamp,
    AppId,
}

impl Source {
    pub(crate) fn of_arguments(arguments: &Table) -> Result<Self, String> {
        match (arguments.get(HEADER), arguments.get(PROPERTY)) {
            (None, None) => Ok(Self::RoutingKey),
            (Some(_), Some(_)) => Err(format!("only one of {HEADER} and {PROPERTY} can be hashed")),
            (Some(Value::Text(name)), None) if !name.is_empty() => Ok(Self::Header(name.clone())),
            (Some(other), None) => Err(format!(
                "{HEADER} is a header's name, not {}",
                other.type_name()
            )),
            (None, Some(property)) => Self::of_property(property),
        }
    }

    fn of_property(property: &Value) -> Result<Self, String> {
        let name = property.as_str().map(|name| name.replace('-', "_"));
        match name.as_deref() {
            Some("message_id") => Ok(Self::MessageId),
            Some("correlation_id") => Ok(Self::CorrelationId),
            Some("timestamp") => Ok(Self::Timestamp),
            Some("app_id") => Ok(Self::AppId),
            _ => Err(format!(
                "{PROPERTY} is message_id, correlation_id, timestamp or app_id, not {}",
                property.as_str().unwrap_or_else(|| property.type_name())
            )),
        }
    }

    /// What is not there is hashed as nothing, so that such messages stay together, too.
    pub(crate) fn hash(&self, message: &Message<'_>) -> u64 {
        let text = |text: Option<&str>| xxh3_64(text.unwrap_or_default().as_bytes());
        match self {
            Self::RoutingKey => text(Some(message.routing_key())),
            Self::Header(name) => hash_value(message.header(name)),
            Self::MessageId => text(message.properties().message_id),
            Self::CorrelationId => text(message.properties().correlation_id),
            Self::AppId => text(message.properties().app_id),
            Self::Timestamp => {
                let seconds = message.properties().timestamp;
                hash_value(seconds.map(ValueRef::Unsigned))
            }
        }
    }
}

/// Whole numbers are hashed as their digits, so that their width makes no difference.
fn hash_value(value: Option<ValueRef<'_>>) -> u64 {
    match value {
        None | Some(ValueRef::Void) => xxh3_64(b""),
        Some(ValueRef::Text(text)) => xxh3_64(text.as_bytes()),
        Some(ValueRef::Bytes(bytes)) => xxh3_64(bytes),
        Some(ValueRef::Signed(number)) => xxh3_64(number.to_string().as_bytes()),
        Some(ValueRef::Unsigned(number)) => xxh3_64(number.to_string().as_bytes()),
        Some(other) => xxh3_64(format!("{:?}", other.to_value()).as_bytes()),
    }
}
