//! What a transform is expected to say, held against what it says.

use amphora_core::hook::{Replacement, Verdict};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::RoutingKey;
use bytes::Bytes;

use super::value::same;
use super::{CaseMessage, Expected};

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedVerdict {
    /// It goes on as it is.
    Pass,
    /// These go on instead, in this order.
    Replace(Vec<ExpectedReplacement>),
    /// It goes nowhere.
    Drop,
    /// It is rejected for a reason that contains this.
    Reject(String),
    /// It goes to the dead-letter exchange for a reason that contains this.
    DeadLetter(String),
    /// It goes on later by so many milliseconds.
    Delay(u64),
}

/// A message that goes on in the place of another. What is none or empty is not compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedReplacement {
    /// Its routing key.
    pub routing_key: Option<RoutingKey>,
    /// Headers that it has, with their values.
    pub headers: FieldTable,
    /// Headers that it does not have.
    pub absent: Vec<String>,
    /// Properties that it has, with their values.
    pub properties: BasicProperties,
    /// Its body.
    pub body: Option<ExpectedBody>,
    /// How long it waits.
    pub delay_ms: Option<u64>,
}

/// A body, which is compared byte by byte or as JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedBody {
    /// These bytes.
    Bytes(Bytes),
    /// Any text that means this.
    Json(serde_json::Value),
}

impl ExpectedBody {
    /// The body as bytes; JSON in its shortest form.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Json(json) => json.to_string().into(),
        }
    }

    fn compare(&self, found: &[u8]) -> Result<(), String> {
        match self {
            Self::Bytes(expected) if expected == found => Ok(()),
            Self::Bytes(expected) => Err(differ("the body", &shown(expected), &shown(found))),
            Self::Json(expected) => match serde_json::from_slice::<serde_json::Value>(found) {
                Ok(json) if json == *expected => Ok(()),
                Ok(json) => Err(differ("the body", expected, &json)),
                Err(error) => Err(format!("the body is no JSON ({error}): {}", shown(found))),
            },
        }
    }
}

impl CaseMessage {
    /// Compares what a transform says of this message with what is expected.
    ///
    /// # Errors
    /// It differs; the text says how.
    pub fn compare_verdict(&self, found: &Verdict) -> Result<(), String> {
        let Expected::Verdict(expected) = &self.expect else {
            return Err("a transform got a message whose case expects destinations".to_owned());
        };
        match (expected, found) {
            (ExpectedVerdict::Pass, Verdict::Pass) | (ExpectedVerdict::Drop, Verdict::Drop) => {
                Ok(())
            }
            (ExpectedVerdict::Reject(part), Verdict::Reject(reason))
            | (ExpectedVerdict::DeadLetter(part), Verdict::DeadLetter(reason)) => {
                if reason.contains(part) {
                    Ok(())
                } else {
                    Err(format!("the reason does not contain '{part}': {reason}"))
                }
            }
            (ExpectedVerdict::Delay(expected), Verdict::Delay(found)) if expected == found => {
                Ok(())
            }
            (ExpectedVerdict::Delay(expected), Verdict::Delay(found)) => {
                Err(differ("the delay", expected, found))
            }
            (ExpectedVerdict::Replace(expected), Verdict::Replace(found)) => {
                self.compare_replacements(expected, found)
            }
            (expected, found) => Err(differ(
                "the verdict",
                &name_of_expected(expected),
                &name_of(found),
            )),
        }
    }

    fn compare_replacements(
        &self,
        expected: &[ExpectedReplacement],
        found: &[Replacement],
    ) -> Result<(), String> {
        if expected.len() != found.len() {
            return Err(differ(
                "the number of messages",
                &expected.len(),
                &found.len(),
            ));
        }
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            self.compare_replacement(expected, found)
                .map_err(|text| format!("message {} of `replace`: {text}", index + 1))?;
        }
        Ok(())
    }

    fn compare_replacement(
        &self,
        expected: &ExpectedReplacement,
        found: &Replacement,
    ) -> Result<(), String> {
        if let Some(key) = &expected.routing_key {
            let found = found.routing_key.as_ref().unwrap_or(&self.routing_key);
            if key != found {
                return Err(differ("the routing key", &key, &found));
            }
        }
        let properties = match &found.properties {
            Some(bytes) => BasicProperties::decode(bytes)
                .map_err(|error| format!("its properties cannot be read: {error}"))?,
            None => self.properties.clone(),
        };
        compare_properties(&expected.properties, &properties)?;
        let headers = properties.headers.unwrap_or_default();
        for (name, value) in &expected.headers {
            match headers.get(name) {
                Some(found) if same(value, found) => {}
                Some(found) => return Err(differ(&format!("header '{name}'"), value, found)),
                None => return Err(format!("header '{name}' is missing")),
            }
        }
        if let Some(name) = expected
            .absent
            .iter()
            .find(|name| headers.get(name).is_some())
        {
            return Err(format!("header '{name}' is there and should be absent"));
        }
        if let Some(body) = &expected.body {
            body.compare(found.body.as_ref().unwrap_or(&self.body))?;
        }
        match expected.delay_ms {
            Some(delay) if delay != found.delay_ms => {
                Err(differ("the delay", &delay, &found.delay_ms))
            }
            _ => Ok(()),
        }
    }
}

fn compare_properties(expected: &BasicProperties, found: &BasicProperties) -> Result<(), String> {
    let texts = |of: &BasicProperties| {
        [
            ("content-type", of.content_type.clone()),
            ("content-encoding", of.content_encoding.clone()),
            ("correlation-id", of.correlation_id.clone()),
            ("reply-to", of.reply_to.clone()),
            ("expiration", of.expiration.clone()),
            ("message-id", of.message_id.clone()),
            ("type", of.kind.clone()),
            ("user-id", of.user_id.clone()),
            ("app-id", of.app_id.clone()),
            ("cluster-id", of.cluster_id.clone()),
        ]
        .map(|(name, value)| (name, value.map(|text| text.as_str().to_owned())))
    };
    let numbers = |of: &BasicProperties| {
        [
            ("delivery-mode", of.delivery_mode.map(u64::from)),
            ("priority", of.priority.map(u64::from)),
            ("timestamp", of.timestamp),
        ]
        .map(|(name, value)| (name, value.map(|number| number.to_string())))
    };
    let all = |of| texts(of).into_iter().chain(numbers(of));
    for ((name, expected), (_, found)) in all(expected).zip(all(found)) {
        if expected.is_some() && expected != found {
            return Err(differ(
                name,
                &expected.unwrap_or_default(),
                &found.unwrap_or_else(|| "nothing".to_owned()),
            ));
        }
    }
    Ok(())
}

fn differ(what: &str, expected: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug) -> String {
    format!("{what} is {found:?}, and should be {expected:?}")
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn name_of_expected(verdict: &ExpectedVerdict) -> &'static str {
    match verdict {
        ExpectedVerdict::Pass => "pass",
        ExpectedVerdict::Replace(_) => "replace",
        ExpectedVerdict::Drop => "drop",
        ExpectedVerdict::Reject(_) => "reject",
        ExpectedVerdict::DeadLetter(_) => "dead-letter",
        ExpectedVerdict::Delay(_) => "delay",
    }
}

/// With the reason, which helps more than the word.
fn name_of(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Replace(all) => format!("replace, by {} messages", all.len()),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Reject(reason) => format!("reject: {reason}"),
        Verdict::DeadLetter(reason) => format!("dead-letter: {reason}"),
        Verdict::Delay(delay_ms) => format!("delay by {delay_ms} ms"),
    }
}
