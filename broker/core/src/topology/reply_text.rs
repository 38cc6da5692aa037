//! What replies say about the things of a virtual host, in RabbitMQ's words: client libraries and their tests compare them.

use std::fmt;

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::{FieldTable, FieldValue};

use super::Topology;

impl<Q> Topology<Q> {
    /// `queue 'q' in vhost '/'`
    pub fn queue_text(&self, name: &str) -> String {
        format!("queue '{name}' in vhost '{}'", self.vhost.as_str())
    }

    /// `exchange 'x' in vhost '/'`
    pub fn exchange_text(&self, name: &str) -> String {
        format!("exchange '{name}' in vhost '{}'", self.vhost.as_str())
    }

    pub(super) fn no_queue(&self, name: &str) -> ChannelException {
        ChannelException::not_found(format!("no {}", self.queue_text(name)))
    }

    pub(crate) fn no_exchange(&self, name: &str) -> ChannelException {
        ChannelException::not_found(format!("no {}", self.exchange_text(name)))
    }

    pub(super) fn locked_queue(&self, name: &str) -> ChannelException {
        ChannelException::resource_locked(format!(
            "cannot obtain exclusive access to locked {}. It could be originally declared on another connection or the \
             exclusive property value does not match that of the original declaration.",
            self.queue_text(name)
        ))
    }
}

pub(super) fn default_exchange() -> ChannelException {
    ChannelException::access_refused("operation not permitted on the default exchange")
}

/// Refuses a declaration whose flag differs from what exists.
pub(super) fn check_same_flag(
    of: &str,
    flag: &str,
    current: bool,
    received: bool,
) -> Result<(), ChannelException> {
    if current == received {
        return Ok(());
    }
    Err(inequivalent(
        of,
        flag,
        &format!("'{received}'"),
        &format!("'{current}'"),
    ))
}

/// Refuses a declaration whose argument differs from what exists. Integers of all widths are one class, floats another.
pub(super) fn check_same_argument(
    of: &str,
    name: &str,
    current: &FieldTable,
    received: &FieldTable,
) -> Result<(), ChannelException> {
    let (current, received) = (current.get(name), received.get(name));
    let (current, received) = match (current, received) {
        (None, None) => return Ok(()),
        (Some(current), Some(received)) if is_equivalent(current, received) => return Ok(()),
        (Some(current), Some(received)) => (
            format!("'{}'", Plain(current)),
            format!("'{}'", Plain(received)),
        ),
        (current, received) => (value_and_type(current), value_and_type(received)),
    };
    Err(inequivalent(of, name, &received, &current))
}

/// Whether two arguments are of one class and equal.
fn is_equivalent(a: &FieldValue, b: &FieldValue) -> bool {
    let float = |value: &FieldValue| match *value {
        FieldValue::F32(float) => Some(f64::from(float)),
        FieldValue::F64(float) => Some(float),
        _ => None,
    };
    match (a.as_integer(), b.as_integer(), float(a), float(b)) {
        (Some(a), Some(b), ..) => a == b,
        #[expect(clippy::float_cmp, reason = "equivalent arguments are exactly equal")]
        (_, _, Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

pub(crate) fn inequivalent(
    of: &str,
    name: &str,
    received: &str,
    current: &str,
) -> ChannelException {
    let text =
        format!("inequivalent arg '{name}' for {of}: received {received} but current is {current}");
    ChannelException::precondition_failed(text)
}

fn value_and_type(value: Option<&FieldValue>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) => format!(
            "the value '{}' of type '{}'",
            Plain(value),
            value.type_name()
        ),
    }
}

/// A value as an Erlang term, which is how RabbitMQ prints what it has no better words for.
pub(crate) struct Term<'a>(pub(crate) &'a FieldValue);

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FieldValue::LongString(bytes) | FieldValue::ByteArray(bytes) => {
                write!(f, "<<\"{}\">>", String::from_utf8_lossy(bytes))
            }
            FieldValue::Array(values) => {
                f.write_str("[")?;
                for (place, value) in values.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma}{{{},{}}}", value.type_name(), Term(value))?;
                }
                f.write_str("]")
            }
            FieldValue::Table(table) => {
                f.write_str("[")?;
                for (place, (name, value)) in table.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(
                        f,
                        "{comma}{{<<\"{}\">>,{},{}}}",
                        name.as_str(),
                        value.type_name(),
                        Term(value)
                    )?;
                }
                f.write_str("]")
            }
            other => write!(f, "{}", Plain(other)),
        }
    }
}

/// A value as it stands between quotes: strings bare, anything else as a term.
pub(crate) struct Plain<'a>(pub(crate) &'a FieldValue);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FieldValue::Bool(value) => write!(f, "{value}"),
            FieldValue::I8(value) => write!(f, "{value}"),
            FieldValue::U8(value) => write!(f, "{value}"),
            FieldValue::I16(value) => write!(f, "{value}"),
            FieldValue::U16(value) => write!(f, "{value}"),
            FieldValue::I32(value) => write!(f, "{value}"),
            FieldValue::U32(value) => write!(f, "{value}"),
            FieldValue::I64(value) | FieldValue::LongLong(value) => write!(f, "{value}"),
            FieldValue::Timestamp(value) => write!(f, "{value}"),
            FieldValue::F32(value) => write!(f, "{value:?}"),
            FieldValue::F64(value) => write!(f, "{value:?}"),
            FieldValue::Decimal(value) => write!(f, "{{{},{}}}", value.scale, value.value),
            FieldValue::Void => f.write_str("undefined"),
            FieldValue::LongString(bytes) | FieldValue::ByteArray(bytes) => {
                f.write_str(&String::from_utf8_lossy(bytes))
            }
            FieldValue::Array(_) | FieldValue::Table(_) => write!(f, "{}", Term(self.0)),
        }
    }
}
