//! Why a binding matches a message, or does not, in words: for each type of exchange what its rule says.

use std::sync::Arc;

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::table::FieldTable;

use super::consistent_hash::ConsistentHash;
use super::headers::Rule;
use super::topic::words;
use super::{ExchangeType, MessageHeaders};
use crate::binding::Binding;
use crate::definition::ExchangeDefinition;
use crate::route::Why;
use crate::topology::reply_text::Plain;

/// What is asked of one binding.
pub(crate) struct Question<'a> {
    pub(crate) exchange: &'a ExchangeDefinition,
    pub(crate) binding: &'a Arc<Binding>,
    pub(crate) routing_keys: &'a [&'a str],
    pub(crate) headers: &'a dyn MessageHeaders,
    /// The exchange leads to the binding's destination, by this binding or by another one.
    pub(crate) is_destination: bool,
    /// The plugin names the binding; nothing if there is none, or it was not asked.
    pub(crate) named: Option<bool>,
}

/// The answer.
///
/// # Errors
/// The headers are needed and damaged.
pub(crate) fn explain(question: &Question<'_>) -> Result<Why, Exception> {
    let Question {
        exchange,
        binding,
        routing_keys,
        headers,
        is_destination,
        named,
    } = question;
    let (matches, text) = match exchange.routing_type() {
        ExchangeType::Direct | ExchangeType::DelayedMessage => {
            direct(exchange, &binding.routing_key, routing_keys)
        }
        ExchangeType::Fanout | ExchangeType::RecentHistory => (
            true,
            "every binding of an exchange of this type matches".to_owned(),
        ),
        ExchangeType::Topic => topic(&binding.routing_key, routing_keys),
        ExchangeType::Headers => Rule::new(&binding.arguments).why(headers.table()?),
        ExchangeType::ConsistentHash => {
            let hashed = ConsistentHash::new(&exchange.arguments).hashed();
            (
                *is_destination,
                format!("the hash of {hashed} falls to {}", falls(*is_destination)),
            )
        }
        ExchangeType::ModulusHash => (
            *is_destination,
            format!(
                "the hash of the routing key falls to {}",
                falls(*is_destination)
            ),
        ),
        ExchangeType::Random | ExchangeType::LocalRandom => (
            true,
            "one binding is drawn by lot for each message".to_owned(),
        ),
        ExchangeType::Plugin(name) => match named {
            Some(true) => (true, format!("the plugin of type '{name}' names it")),
            Some(false) => (
                false,
                format!("the plugin of type '{name}' does not name it"),
            ),
            None => (false, format!("the plugin of type '{name}' has no answer")),
        },
    };
    Ok(Why { matches, text })
}

fn falls(here: bool) -> &'static str {
    if here {
        "this destination"
    } else {
        "another destination"
    }
}

fn direct(exchange: &ExchangeDefinition, key: &str, routing_keys: &[&str]) -> (bool, String) {
    let matches = routing_keys.contains(&key);
    let text = match (exchange.name.is_empty(), matches) {
        (true, _) => "every queue is bound to the default exchange by its name".to_owned(),
        (false, true) => format!("its binding key is the routing key '{key}'"),
        (false, false) => format!("its binding key '{key}' is not {}", one_of(routing_keys)),
    };
    (matches, text)
}

fn topic(key: &str, routing_keys: &[&str]) -> (bool, String) {
    if let Some(matched) = routing_keys
        .iter()
        .find(|routing_key| topic_matches(key, routing_key))
    {
        return (true, format!("'{key}' matches the routing key '{matched}'"));
    }
    let text = match routing_keys {
        [routing_key] => topic_mismatch(key, routing_key),
        _ => format!("'{key}' does not match {}", one_of(routing_keys)),
    };
    (false, text)
}

/// Whether a binding key matches a routing key: each prefix of the one with each of the other, so that no number of `#` takes long.
fn topic_matches(key: &str, routing_key: &str) -> bool {
    let routing_key: Vec<&str> = words(routing_key).collect();
    // Which beginnings of the routing key the words so far match, by their length.
    let mut matched = vec![false; routing_key.len() + 1];
    if let Some(empty) = matched.first_mut() {
        *empty = true;
    }
    for word in words(key) {
        if word == "#" {
            let first = matched.iter().position(|matched| *matched);
            let from = first.unwrap_or(matched.len());
            matched
                .iter_mut()
                .skip(from)
                .for_each(|place| *place = true);
            continue;
        }
        let longer = matched.iter().zip(&routing_key);
        let longer = longer.map(|(matched, next)| *matched && (word == "*" || word == *next));
        matched = std::iter::once(false).chain(longer).collect();
    }
    matched.last() == Some(&true)
}

/// In what a binding key differs from a routing key that it does not match.
fn topic_mismatch(key: &str, routing_key: &str) -> String {
    let (wanted, found): (Vec<&str>, Vec<&str>) =
        (words(key).collect(), words(routing_key).collect());
    let general = format!("'{key}' does not match the routing key '{routing_key}'");
    if wanted.contains(&"#") {
        return general;
    }
    if wanted.len() != found.len() {
        return format!(
            "{general}: it has {} words, and the routing key {}",
            wanted.len(),
            found.len()
        );
    }
    let mut words = wanted.iter().zip(&found).enumerate();
    match words.find(|(_, (wanted, found))| **wanted != "*" && wanted != found) {
        Some((place, (wanted, found))) => {
            format!(
                "{general}: word {} is '{found}' and not '{wanted}'",
                place + 1
            )
        }
        None => general,
    }
}

fn one_of(routing_keys: &[&str]) -> String {
    match routing_keys {
        [routing_key] => format!("the routing key '{routing_key}'"),
        _ => format!("one of the routing keys '{}'", routing_keys.join("', '")),
    }
}

impl Rule {
    /// Whether headers are as the rule asks, and why.
    fn why(&self, headers: &FieldTable) -> (bool, String) {
        let conditions = &self.conditions;
        let states: Vec<(bool, String)> = conditions
            .iter()
            .map(|condition| {
                let (name, wanted) = (condition.name.as_str(), &condition.value);
                // Of a name that occurs several times the last counts.
                let mut found = headers.iter().filter(|(other, _)| other.as_str() == name);
                match (found.next_back().map(|(_, value)| value), wanted) {
                    (Some(_), None) => (true, format!("header '{name}' is there")),
                    (Some(value), Some(wanted)) if super::same_value(value, wanted) => {
                        (true, format!("header '{name}' is {}", Plain(wanted)))
                    }
                    (Some(value), Some(wanted)) => (
                        false,
                        format!(
                            "header '{name}' is {} ({}) and has to be {} ({})",
                            Plain(value),
                            value.type_name(),
                            Plain(wanted),
                            wanted.type_name()
                        ),
                    ),
                    (None, _) => (false, format!("header '{name}' is missing")),
                }
            })
            .collect();
        if states.is_empty() {
            return if self.any {
                (
                    false,
                    "x-match is any, and it asks for no header".to_owned(),
                )
            } else {
                (true, "it asks for no header, and so matches all".to_owned())
            };
        }
        let matches = if self.any {
            states.iter().any(|(holds, _)| *holds)
        } else {
            states.iter().all(|(holds, _)| *holds)
        };
        let texts = states.into_iter().filter(|(holds, _)| *holds == matches);
        let texts: Vec<String> = texts.map(|(_, text)| text).collect();
        (matches, texts.join("; "))
    }
}
