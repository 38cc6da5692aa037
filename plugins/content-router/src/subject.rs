//! What a condition looks at.

use amphora_sdk::exchange::{Message, ValueRef};
use json_pointer::Pointer;

/// A part of a message, by the name of a binding's argument.
#[derive(Debug)]
pub(crate) enum Subject {
    /// `json:/a/b`: a place in the body.
    Json(Pointer),
    /// `header:name`
    Header(String),
    /// `routing-key`
    RoutingKey,
}

impl Subject {
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        if name == "routing-key" {
            return Ok(Self::RoutingKey);
        }
        match name.split_once(':') {
            Some(("json", pointer)) => Ok(Self::Json(Pointer::parse(pointer)?)),
            Some(("header", header)) if !header.is_empty() => Ok(Self::Header(header.to_owned())),
            _ => Err(format!(
                "argument '{name}' is no condition: those are json:/pointer, header:name and routing-key; beside them there are x-match and x-default"
            )),
        }
    }
}

/// What is in a message.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    message: &'a Message<'a>,
    /// None if the body is no JSON, or nobody looks at it.
    json: Option<serde_json::Value>,
}

impl<'a> Content<'a> {
    pub(crate) fn new(message: &'a Message<'a>, reads_body: bool) -> Self {
        let json = reads_body.then(|| serde_json::from_slice(message.body()).ok());
        Self {
            message,
            json: json.flatten(),
        }
    }

    /// The part that is meant, if it is there.
    pub(crate) fn find(&self, subject: &Subject) -> Option<Found<'_>> {
        match subject {
            Subject::RoutingKey => Some(Found::Text(self.message.routing_key())),
            Subject::Header(name) => Some(Found::of_header(self.message.header(name)?)),
            Subject::Json(pointer) => Some(Found::of_json(pointer.find(self.json.as_ref()?)?)),
        }
    }
}

/// A value, wherever it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// AMQP's void and JSON's null.
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
    /// Bytes, arrays, tables and objects, which are there and are compared with nothing.
    Other,
}

impl<'a> Found<'a> {
    fn of_header(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Void => Self::Null,
            ValueRef::Boolean(value) => Self::Boolean(value),
            ValueRef::Signed(number) => Self::Integer(number),
            ValueRef::Unsigned(number) | ValueRef::Timestamp(number) => whole(number),
            ValueRef::Float(number) => Self::Float(number),
            ValueRef::Decimal(scale, number) => {
                Self::Float(f64::from(number) / 10_f64.powi(scale.into()))
            }
            ValueRef::Text(text) => Self::Text(text),
            ValueRef::Bytes(_) | ValueRef::Array(_) | ValueRef::Table(_) => Self::Other,
        }
    }

    fn of_json(value: &'a serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Boolean(*value),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Integer(number),
                (None, Some(number)) => Self::Float(number),
                (None, None) => Self::Other,
            },
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => Self::Other,
        }
    }
}

/// Numbers above those of 64 bits with a sign are compared as floats.
#[expect(
    clippy::cast_precision_loss,
    reason = "nearly equal is near enough up there"
)]
fn whole<'a>(number: u64) -> Found<'a> {
    match i64::try_from(number) {
        Ok(number) => Found::Integer(number),
        Err(_) => Found::Float(number as f64),
    }
}
