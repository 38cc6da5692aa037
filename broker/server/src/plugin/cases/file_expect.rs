//! `expect` in `cases.toml` as it is written.

use std::collections::BTreeSet;
use std::fmt;

use amphora_protocol::wire::types::RoutingKey;
use anyhow::Context;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Expected;
use super::expect::{ExpectedReplacement, ExpectedVerdict};
use super::file::{self, Properties};
use super::value;

/// A list of destinations, a word, or a table with one field.
#[derive(Debug)]
pub(super) enum Expect {
    Destinations(BTreeSet<String>),
    Pass,
    Drop,
    Other(Other),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Other {
    Reject(String),
    DeadLetter(String),
    Delay(u64),
    Replace(Vec<Replacement>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Replacement {
    key: Option<String>,
    #[serde(default)]
    headers: toml::Table,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    properties: Properties,
    body: Option<String>,
    body_base64: Option<String>,
    body_json: Option<serde_json::Value>,
    delay: Option<u64>,
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Shapes)
    }
}

struct Shapes;

impl<'de> Visitor<'de> for Shapes {
    type Value = Expect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of destinations, \"pass\", \"drop\", or a table with one of reject, dead-letter, delay and replace")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Expect, E> {
        match word {
            "pass" => Ok(Expect::Pass),
            "drop" => Ok(Expect::Drop),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Expect, A::Error> {
        BTreeSet::deserialize(SeqAccessDeserializer::new(names)).map(Expect::Destinations)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Expect, A::Error> {
        Other::deserialize(MapAccessDeserializer::new(fields)).map(Expect::Other)
    }
}

impl Expect {
    pub(super) fn read(self) -> anyhow::Result<Expected> {
        Ok(Expected::Verdict(match self {
            Self::Destinations(names) => return Ok(Expected::Destinations(names)),
            Self::Pass => ExpectedVerdict::Pass,
            Self::Drop => ExpectedVerdict::Drop,
            Self::Other(Other::Reject(text)) => ExpectedVerdict::Reject(text),
            Self::Other(Other::DeadLetter(text)) => ExpectedVerdict::DeadLetter(text),
            Self::Other(Other::Delay(delay_ms)) => ExpectedVerdict::Delay(delay_ms),
            Self::Other(Other::Replace(all)) => {
                let all = all.into_iter().map(Replacement::read);
                ExpectedVerdict::Replace(all.collect::<Result<_, _>>()?)
            }
        }))
    }
}

impl Replacement {
    fn read(self) -> anyhow::Result<ExpectedReplacement> {
        Ok(ExpectedReplacement {
            routing_key: self.key.map(RoutingKey::new).transpose().context("key")?,
            headers: value::table(&self.headers).context("headers")?,
            absent: self.absent,
            properties: self.properties.read()?,
            body: file::body(self.body, self.body_base64, self.body_json)?,
            delay_ms: self.delay,
        })
    }
}
