//! Messages that wait for their time.

use std::fmt;
use std::str::FromStr;

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use bytes::Bytes;

/// What names a message that waits, in its virtual host. As a text: `DUE-POSITION`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelayedId {
    /// When it is due, in milliseconds since 1970.
    pub due: u64,
    /// Its place among all that ever waited.
    pub position: u64,
}

impl fmt::Display for DelayedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.due, self.position)
    }
}

impl FromStr for DelayedId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (due, position) = text.split_once('-').ok_or(())?;
        Ok(Self {
            due: due.parse().map_err(|_| ())?,
            position: position.parse().map_err(|_| ())?,
        })
    }
}

/// A message that waits.
#[derive(Clone, Debug)]
pub struct DelayedSnapshot {
    /// What names it, and when it is due.
    pub id: DelayedId,
    /// The exchange that it waits at.
    pub exchange: ExchangeName,
    /// Its routing key.
    pub routing_key: RoutingKey,
    /// Its properties, as consumers will see them.
    pub properties: BasicProperties,
    /// The beginning of its body, or all of it.
    pub body: Bytes,
    /// Bytes that its body has.
    pub body_bytes: usize,
}

/// A stretch of all that waits.
#[derive(Clone, Debug, Default)]
pub struct DelayedPage {
    /// How many messages wait in all.
    pub total: usize,
    /// Some of them.
    pub messages: Vec<DelayedSnapshot>,
}
