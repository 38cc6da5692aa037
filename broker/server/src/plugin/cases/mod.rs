//! `cases.toml`: messages, and what a plugin is expected to do with them.
//! How they are written is said in `plugins/CASES.md`, which every new project gets a copy of.

mod check;
mod expect;
mod file;
mod file_expect;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey, VhostName};
use anyhow::Context;
use bytes::Bytes;

pub use self::expect::{ExpectedBody, ExpectedReplacement, ExpectedVerdict};

/// A file of cases: consistent, so that whatever fails when they are run is the plugin's.
#[derive(Clone, Debug, PartialEq)]
pub struct Cases {
    /// What the plugin is granted, by name.
    pub grants: BTreeSet<String>,
    /// What the plugin reads with the grant `config`: a text as it is, anything else as JSON.
    pub config: BTreeMap<String, String>,
    /// What is declared, before any message.
    pub exchanges: Vec<DeclaredExchange>,
    /// The messages, in the order in which they are passed.
    pub messages: Vec<CaseMessage>,
}

/// An exchange that is declared with the plugin's type.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredExchange {
    /// Its virtual host.
    pub vhost: VhostName,
    /// Its name, which no other one in the file has.
    pub name: ExchangeName,
    /// The arguments of its declaration.
    pub arguments: FieldTable,
    /// The declaration must be refused with a text that contains this. Then there are no bindings and no messages.
    pub refused: Option<String>,
    /// Its bindings, in their order.
    pub bindings: Vec<DeclaredBinding>,
}

/// A binding of a [`DeclaredExchange`].
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredBinding {
    /// The queue that it leads to.
    pub destination: String,
    /// Its routing key.
    pub routing_key: RoutingKey,
    /// The arguments of the bind.
    pub arguments: FieldTable,
    /// The bind must be refused with a text that contains this.
    pub refused: Option<String>,
}

/// A message, and what is expected of the plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseMessage {
    /// What a failure calls it.
    pub name: String,
    /// The virtual host.
    pub vhost: VhostName,
    /// The exchange that it is published to.
    pub exchange: ExchangeName,
    /// The queue that the transform is attached to.
    pub queue: Option<String>,
    /// The routing key.
    pub routing_key: RoutingKey,
    /// The properties, with the headers.
    pub properties: BasicProperties,
    /// The body.
    pub body: Bytes,
    /// The user that publishes it.
    pub user: String,
    /// When it comes: milliseconds since 1970.
    pub time_ms: u64,
    /// What the plugin must say.
    pub expect: Expected,
}

/// What a plugin must say of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// Of a type of exchange: the destinations, whatever bindings lead there.
    Destinations(BTreeSet<String>),
    /// Of a transform.
    Verdict(ExpectedVerdict),
}

impl Cases {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is not TOML, has a field that is not known, or contradicts itself; the error says where.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let file: file::File = toml::from_str(text)
            .map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))?;
        let cases = file.into_cases()?;
        check::consistent(&cases)?;
        Ok(cases)
    }
}

impl Expected {
    /// Compares the destinations that a plugin chose with those that are expected.
    ///
    /// # Errors
    /// They differ; the text says how.
    pub fn compare_destinations(&self, found: &BTreeSet<String>) -> Result<(), String> {
        let Self::Destinations(expected) = self else {
            return Err(
                "a type of exchange routed a message whose case expects a verdict".to_owned(),
            );
        };
        let listed = |names: Vec<&String>| {
            names
                .into_iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let missing = listed(expected.difference(found).collect());
        let surplus = listed(found.difference(expected).collect());
        match (missing.as_str(), surplus.as_str()) {
            ("", "") => Ok(()),
            (missing, "") => Err(format!("it does not go to {missing}")),
            ("", surplus) => Err(format!("it goes to {surplus}, too")),
            (missing, surplus) => Err(format!("it goes to {surplus}, and not to {missing}")),
        }
    }
}
