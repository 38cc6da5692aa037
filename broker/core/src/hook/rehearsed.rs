//! What a plugin would answer.

use std::time::Duration;

use amphora_protocol::wire::types::RoutingKey;

/// What a plugin answers to somebody who only asks what would happen.
///
/// The plugin is asked in an instance of its own, with a copy of its store, and the instance is gone afterwards: nothing that it stores,
/// counts, logs or sends has an effect, and neither has its failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsed<T> {
    /// The answer.
    pub answer: T,
    /// How long the call took.
    pub time: Duration,
    /// The lines that it would have logged in answering: level and text.
    pub log: Vec<(&'static str, String)>,
    /// The messages that it would have sent.
    pub sent: Vec<Sending>,
    /// How many entries of its store it would have written or removed.
    pub stored: u64,
}

/// Where a plugin would have sent a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// The virtual host.
    pub vhost: String,
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: RoutingKey,
}
