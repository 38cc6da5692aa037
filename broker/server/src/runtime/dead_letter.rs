//! What is written on a message that goes to a dead-letter exchange: where it died, why, and how often.

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;

use super::batch::{Owned, target};
use super::ingress::names;
use super::plugins::DeadLetter;
use super::special::syntax;

const X_DEATH: &str = "x-death";

/// A message's end in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death<'a> {
    /// The queue; empty if the message did not come so far.
    pub(super) queue: &'a str,
    /// The reason, in RabbitMQ's words.
    pub(super) reason: &'a str,
    /// The plugin that gave it up, and its reason in its own words.
    pub(super) plugin: Option<(&'a str, &'a str)>,
    /// Seconds since 1970.
    pub(super) time: u64,
}

/// A message on its way to a dead-letter exchange.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) message: Owned,
    /// Queues in which it has died, since anybody rejected it last: it must not go round in a circle that nobody turns.
    pub(super) been_in: Vec<String>,
}

/// The message as it goes to the dead-letter exchange: with RabbitMQ's headers, and the plugin and its reason, if it was one, in
/// `x-plugin` and `x-plugin-reason`. It does not expire again.
///
/// # Errors
/// Its properties are damaged.
pub(super) fn letter(
    message: &Owned,
    to: &DeadLetter,
    death: &Death<'_>,
) -> Result<Letter, Exception> {
    let (exchange, key) = names(&message.target)?;
    let raw = RawProperties::new(&message.properties).map_err(syntax)?;
    let mut properties = raw.decode().map_err(syntax)?;
    let original_expiration = properties.expiration.take();
    let mut headers = properties.headers.take().unwrap_or_default();
    note(&mut headers, exchange, key, original_expiration, death);
    if to.routing_key.is_some() {
        // They go to that key and to no other.
        headers.remove("CC");
        headers.remove("BCC");
    }
    if let Some((plugin, text)) = death.plugin {
        set(&mut headers, "x-plugin", plugin.into());
        set(&mut headers, "x-plugin-reason", text.into());
    }
    let been_in = been_in(&headers);
    let properties = BasicProperties {
        headers: Some(headers),
        ..properties
    };
    let key = to.routing_key.as_ref().map_or(key, |key| key);
    let message = Owned {
        target: target(&to.exchange, key),
        properties: properties.to_bytes(),
        body: message.body.clone(),
    };
    Ok(Letter { message, been_in })
}

/// The queues of the latest deaths, back to the one for which somebody rejected the message.
fn been_in(headers: &FieldTable) -> Vec<String> {
    let deaths = headers.get(X_DEATH).and_then(FieldValue::as_array);
    let deaths = deaths.unwrap_or_default().iter();
    let deaths = deaths.filter_map(FieldValue::as_table);
    let text = |death: &FieldTable, name: &str| {
        let value = death.get(name).and_then(FieldValue::as_str);
        value.unwrap_or_default().to_owned()
    };
    deaths
        .take_while(|death| text(death, "reason") != "rejected")
        .map(|death| text(death, "queue"))
        .collect()
}

/// Puts the death first in the list of deaths, counted together with earlier ones in the same queue for the same reason.
fn note(
    headers: &mut FieldTable,
    exchange: &str,
    key: &str,
    expiration: Option<ShortString>,
    death: &Death<'_>,
) {
    let deaths = headers.get(X_DEATH).and_then(FieldValue::as_array);
    let mut deaths = deaths.unwrap_or_default().to_vec();
    let is_same = |earlier: &FieldValue| {
        earlier.as_table().is_some_and(|earlier| {
            let text = |name| earlier.get(name).and_then(FieldValue::as_str);
            text("queue") == Some(death.queue) && text("reason") == Some(death.reason)
        })
    };
    let entry = if let Some(earlier) = deaths.iter().position(is_same) {
        counted_again(deaths.remove(earlier))
    } else {
        let mut keys = vec![key.into()];
        if let Some(FieldValue::Array(copies)) = headers.get("CC") {
            let texts = copies.iter().filter(|key| key.as_str().is_some());
            keys.extend(texts.cloned());
        }
        first_death(exchange, keys, expiration, death)
    };
    let is_first = deaths.is_empty() && headers.get("x-first-death-reason").is_none();
    deaths.insert(0, entry);
    set(headers, X_DEATH, FieldValue::Array(deaths));
    let which: &[&str] = if is_first {
        &["first", "last"]
    } else {
        &["last"]
    };
    for which in which {
        for (what, value) in [
            ("exchange", exchange),
            ("queue", death.queue),
            ("reason", death.reason),
        ] {
            set(headers, &format!("x-{which}-death-{what}"), value.into());
        }
    }
}

fn first_death(
    exchange: &str,
    keys: Vec<FieldValue>,
    expiration: Option<ShortString>,
    death: &Death<'_>,
) -> FieldValue {
    let mut entry = FieldTable::new();
    set(&mut entry, "count", FieldValue::I64(1));
    set(&mut entry, "reason", death.reason.into());
    set(&mut entry, "queue", death.queue.into());
    set(&mut entry, "time", FieldValue::Timestamp(death.time));
    set(&mut entry, "exchange", exchange.into());
    set(&mut entry, "routing-keys", FieldValue::Array(keys));
    if let Some(expiration) = expiration {
        set(
            &mut entry,
            "original-expiration",
            expiration.as_str().into(),
        );
    }
    FieldValue::Table(entry)
}

fn counted_again(entry: FieldValue) -> FieldValue {
    match entry {
        FieldValue::Table(mut entry) => {
            let count = entry.get("count").and_then(FieldValue::as_integer);
            let count = count.unwrap_or(0).saturating_add(1);
            set(&mut entry, "count", FieldValue::I64(count));
            FieldValue::Table(entry)
        }
        other => other,
    }
}

fn set(table: &mut FieldTable, name: &str, value: FieldValue) {
    table.insert(ShortString::cut(name), value);
}
