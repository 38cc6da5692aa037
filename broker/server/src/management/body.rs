//! The body of a request: a JSON object whose fields are asked for one by one.

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::TooLong;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};

use super::json;
use super::refused::Refused;

/// The fields of a request's body. An empty body has none.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Refuses a body that lacks one of these fields.
    pub(super) fn require(&self, names: &[&str]) -> Result<(), Refused> {
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !self.0.contains_key(**name))
            .map(|name| format!("{{key_missing,{name}}}"))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Refused::bad_request(format!("[{}]", missing.join(","))))
        }
    }

    /// A boolean, or its name as a string; `false` if it is absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refused> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(other) => Err(mismatch(name, "true or false", other)),
        }
    }

    /// A string, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refused> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(mismatch(name, "a string", other)),
        }
    }

    /// A string that names something in AMQP; the empty name if it is absent.
    pub(super) fn name<T>(&self, name: &str) -> Result<T, Refused>
    where
        T: Default + for<'a> TryFrom<&'a str, Error = TooLong>,
    {
        let Some(text) = self.text(name)? else {
            return Ok(T::default());
        };
        T::try_from(text).map_err(|error| Refused::bad_request(format!("{name}: {error}")))
    }

    /// A count, or its digits as a string, if it is there.
    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, Refused> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        number
            .map(Some)
            .ok_or_else(|| mismatch(name, "a whole number", value))
    }

    /// A field table; the empty one if it is absent. RabbitMQ writes the empty one as a list.
    pub(super) fn table(&self, name: &str) -> Result<FieldTable, Refused> {
        match self.0.get(name) {
            None => Ok(FieldTable::new()),
            Some(Value::Array(list)) if list.is_empty() => Ok(FieldTable::new()),
            Some(Value::Object(object)) => json::to_table(object)
                .map_err(|error| Refused::bad_request(format!("{name}: {error}"))),
            Some(other) => Err(mismatch(name, "an object", other)),
        }
    }

    /// Whatever it is, if it is there.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Texts: an array of them, or one with commas in between; nothing if it is absent.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refused> {
        let value = self.0.get(name);
        let wrong = |found| mismatch(name, "an array of strings", found);
        value
            .map(|value| texts(value).ok_or_else(|| wrong(value)))
            .transpose()
    }

    /// All of it.
    pub(super) fn into_object(self) -> Map<String, Value> {
        self.0
    }

    /// An object; the empty one if it is absent, or an empty list.
    pub(super) fn object(&self, name: &str) -> Result<Map<String, Value>, Refused> {
        match self.0.get(name) {
            None => Ok(Map::new()),
            Some(Value::Array(list)) if list.is_empty() => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object.clone()),
            Some(other) => Err(mismatch(name, "an object", other)),
        }
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Refused;

    /// Whatever type the request declares: half of RabbitMQ's clients declare none.
    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| Refused::bad_request(error.body_text()))?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|_| Refused::bad_request("not_json"))
    }
}

/// An array of texts, or one with commas in between.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => {
            let parts = text.split(',').map(str::trim);
            let parts = parts.filter(|part| !part.is_empty());
            Some(parts.map(str::to_owned).collect())
        }
        Value::Array(list) => {
            let texts = list.iter().map(|value| value.as_str().map(str::to_owned));
            texts.collect()
        }
        _ => None,
    }
}

fn mismatch(name: &str, wanted: &str, found: &Value) -> Refused {
    Refused::bad_request(format!("{name}: expected {wanted}, found {found}"))
}
