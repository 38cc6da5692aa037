//! Where a new value comes from.

use amphora_sdk::transform::Message;
use amphora_sdk::{Needs, Table, Value as Field};
use serde_json::Value;

use crate::settings::Fields;

/// What is set.
#[derive(Debug)]
pub(crate) enum Source {
    Constant(Value),
    Header(String),
    RoutingKey,
    Exchange,
    User,
    /// Milliseconds since 1970.
    Time,
}

impl Source {
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, String> {
        let value = fields.take("value").map(Self::Constant);
        let header = fields.text("header")?.map(Self::Header);
        let from = match fields.text("from")?.as_deref() {
            None => None,
            Some("routing-key") => Some(Self::RoutingKey),
            Some("exchange") => Some(Self::Exchange),
            Some("user") => Some(Self::User),
            Some("time") => Some(Self::Time),
            Some(other) => {
                return Err(format!(
                    "'from' is \"routing-key\", \"exchange\", \"user\" or \"time\", not \"{other}\""
                ));
            }
        };
        let mut given = [value, header, from].into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(source), None) => Ok(source),
            _ => Err("one of 'value', 'header' and 'from' says what is set".to_owned()),
        }
    }

    pub(crate) fn add_needs(&self, needs: Needs) -> Needs {
        match self {
            Self::Constant(_) => needs,
            Self::Header(name) => needs.header(name),
            Self::RoutingKey => needs.routing_key(),
            Self::Exchange => needs.exchange(),
            Self::User => needs.user(),
            Self::Time => needs.time(),
        }
    }

    /// None for a header that is not there.
    pub(crate) fn value(&self, message: &Message) -> Option<Value> {
        Some(match self {
            Self::Constant(value) => value.clone(),
            Self::Header(name) => json(message.headers.get(name)?),
            Self::RoutingKey => message.routing_key.as_str().into(),
            Self::Exchange => message.exchange.as_str().into(),
            Self::User => message.user.as_str().into(),
            Self::Time => message.time_ms.into(),
        })
    }
}

/// A header as JSON: bytes as hexadecimal digits, a timestamp as its number of seconds.
fn json(value: &Field) -> Value {
    match value {
        Field::Void => Value::Null,
        Field::Boolean(value) => (*value).into(),
        Field::Signed(number) => (*number).into(),
        Field::Unsigned(number) | Field::Timestamp(number) => (*number).into(),
        Field::Float(number) => (*number).into(),
        Field::Decimal(scale, number) => (f64::from(*number) / 10_f64.powi((*scale).into())).into(),
        Field::Text(text) => text.as_str().into(),
        Field::Bytes(bytes) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            digits.collect::<String>().into()
        }
        Field::Array(values) => values.iter().map(json).collect(),
        Field::Table(table) => object(table),
    }
}

fn object(table: &Table) -> Value {
    let fields = table.iter();
    fields
        .map(|(name, value)| (name.to_owned(), json(value)))
        .collect()
}
