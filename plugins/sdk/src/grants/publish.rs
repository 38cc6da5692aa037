//! Messages of the plugin's own. Grant: `publish`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::grants::amphora::plugin::publish as host;
use crate::properties::Properties;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::grants::publish as host;
use crate::value::Table;

/// A message of the plugin's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// The virtual host; the plugin publishes there with all rights.
    pub vhost: String,
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// The properties.
    pub properties: Properties,
    /// The headers.
    pub headers: Table,
    /// The body.
    pub body: Vec<u8>,
}

/// Gives a message to the broker, which publishes it after the call is over. At most 256 in one call, 16 MiB together. What becomes
/// of it is not told.
///
/// # Errors
/// The text says which limit is in the way.
pub fn send(message: Outgoing) -> Result<(), String> {
    #[cfg(target_arch = "wasm32")]
    let message = &host::Outgoing {
        vhost: message.vhost,
        exchange: message.exchange,
        routing_key: message.routing_key,
        properties: message.properties.into(),
        headers: crate::flat::flat(message.headers),
        body: message.body,
    };
    host::send(message)
}
