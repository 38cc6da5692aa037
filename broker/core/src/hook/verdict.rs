//! What a transform says of a message.

use amphora_protocol::wire::types::RoutingKey;
use bytes::Bytes;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// These go on instead, in this order.
    Replace(Vec<Replacement>),
    /// It goes nowhere.
    Drop,
    /// It goes nowhere, and its publisher is told why.
    Reject(String),
    /// It goes to the dead-letter exchange, for this reason.
    DeadLetter(String),
    /// It goes on as it is, so many milliseconds later.
    Delay(u64),
}

/// A message that goes on in the place of another; what it does not mention stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replacement {
    /// Another routing key.
    pub routing_key: Option<RoutingKey>,
    /// Another content header: flags and list as on the wire.
    pub properties: Option<Bytes>,
    /// Another body.
    pub body: Option<Bytes>,
    /// Milliseconds to wait before it goes on.
    pub delay_ms: u64,
}
