//! Values that only plugins have.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use amphora_core::hook::OnError;
use amphora_protocol::wire::types::TooLong;
use serde::de::{self, Deserializer, Unexpected};
use serde::{Deserialize, Serializer};
use serde_json::{Map, Value};

/// Reads a duration from `MIN` to `MAX` milliseconds.
pub(in crate::config) fn duration_in<'de, D, const MIN: u64, const MAX: u64>(
    from: D,
) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    let duration = super::duration(from)?;
    let (least, most) = (Duration::from_millis(MIN), Duration::from_millis(MAX));
    if duration < least || duration > most {
        let text = |duration: Duration| {
            humantime::format_duration(duration)
                .to_string()
                .replace(' ', "")
        };
        return Err(de::Error::custom(format_args!(
            "{} is out of range; give a duration from {} to {}",
            text(duration),
            text(least),
            text(most)
        )));
    }
    Ok(duration)
}

/// Reads what happens to a message whose plugin fails.
pub(in crate::config) fn on_error<'de, D: Deserializer<'de>>(from: D) -> Result<OnError, D::Error> {
    let text = String::deserialize(from)?;
    let found = OnError::ALL.iter().find(|(name, _)| *name == text);
    found.map(|(_, on_error)| *on_error).ok_or_else(|| {
        let known = "\"reject\", \"pass\", \"drop\", \"dead-letter\" or \"alternate-exchange\"";
        de::Error::invalid_value(Unexpected::Str(&text), &known)
    })
}

/// Reads what happens to a message whose plugin fails, where it may be left out.
pub(in crate::config) fn some_on_error<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<OnError>, D::Error> {
    on_error(from).map(Some)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(in crate::config) fn on_error_out<S: Serializer>(
    on_error: &OnError,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(on_error.name())
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it so"
)]
pub(in crate::config) fn some_on_error_out<S: Serializer>(
    on_error: &Option<OnError>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match on_error {
        Some(on_error) => on_error_out(on_error, to),
        None => to.serialize_none(),
    }
}

/// Reads a name that AMQP bounds.
pub(in crate::config) fn some_name<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String, Error = TooLong>,
{
    let name = String::deserialize(from)?;
    T::try_from(name).map(Some).map_err(de::Error::custom)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub(in crate::config) fn some_name_out<S: Serializer, T: Display>(
    name: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => to.collect_str(name),
        None => to.serialize_none(),
    }
}

/// Reads a table of anything as texts.
pub(in crate::config) fn texts<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    Map::deserialize(from).map(texts_of)
}

/// Texts as they are, anything else as JSON.
pub(in crate::config) fn texts_of(table: Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let entries = table.into_iter().map(|(key, value)| (key, text(value)));
    entries.collect()
}
