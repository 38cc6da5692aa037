//! Messages for tests.

use crate::properties::Properties;
use crate::value::{Table, Value};

/// A whole message, of which a plugin then sees what it asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestMessage {
    pub(super) vhost: String,
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) user: String,
    pub(super) time_ms: u64,
    pub(super) properties: Properties,
    pub(super) headers: Table,
    pub(super) body: Vec<u8>,
}

/// An empty message that `guest` published in the virtual host `/`.
pub fn message() -> TestMessage {
    TestMessage {
        vhost: "/".to_owned(),
        user: "guest".to_owned(),
        ..TestMessage::default()
    }
}

impl TestMessage {
    /// Gives it a virtual host.
    #[must_use]
    pub fn vhost(mut self, vhost: &str) -> Self {
        vhost.clone_into(&mut self.vhost);
        self
    }

    /// Says which exchange it was published to.
    #[must_use]
    pub fn exchange(mut self, exchange: &str) -> Self {
        exchange.clone_into(&mut self.exchange);
        self
    }

    /// Gives it a routing key.
    #[must_use]
    pub fn routing_key(mut self, routing_key: &str) -> Self {
        routing_key.clone_into(&mut self.routing_key);
        self
    }

    /// Says who published it.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// Says when it came: milliseconds since 1970.
    #[must_use]
    pub fn time_ms(mut self, time_ms: u64) -> Self {
        self.time_ms = time_ms;
        self
    }

    /// Gives it properties.
    #[must_use]
    pub fn properties(mut self, properties: Properties) -> Self {
        self.properties = properties;
        self
    }

    /// Gives it a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.headers.set(name, value);
        self
    }

    /// Gives it a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}
