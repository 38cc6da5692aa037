//! Changes of messages on their way.

use crate::bindings::grants::amphora::plugin::types;
use crate::bindings::transform::exports::amphora::plugin::transform as contract;
use crate::flat::{flat, tree};
use crate::needs::Description;
use crate::properties::Properties;
use crate::value::{Table, Value};

/// A transform. There is one value in each instance of the plugin.
///
/// ```
/// use amphora_sdk::transform::{Message, Replacement, Transform, Verdict};
/// use amphora_sdk::{Description, Needs};
///
/// /// Writes the publishing user into a header.
/// struct Sign;
///
/// impl Transform for Sign {
///     fn configure() -> Result<Self, String> {
///         Ok(Self)
///     }
///
///     fn describe(&self) -> Description {
///         Description::new("sign", "1.0.0", Needs::new().user())
///     }
///
///     fn apply(&mut self, message: &Message, _queue: Option<&str>) -> Verdict {
///         Replacement::new().set_header("published-by", message.user.as_str()).into()
///     }
/// }
///
/// amphora_sdk::export_transform!(Sign);
/// ```
pub trait Transform: Sized + 'static {
    /// Makes the transform: the place to read the configuration.
    ///
    /// # Errors
    /// The configuration is of no use. The plugin is then not loaded; call [`log::panics`](crate::log::panics) first so that the
    /// operator reads why.
    fn configure() -> Result<Self, String>;

    /// Who the plugin is and what it needs to see.
    fn describe(&self) -> Description;

    /// Says what becomes of a message. `queue` is the name of the queue that the plugin is attached to; none if it is attached to
    /// an exchange.
    fn apply(&mut self, message: &Message, queue: Option<&str>) -> Verdict;
}

/// A message as the plugin asked to see it: what its needs do not name is empty or zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The name of the virtual host.
    pub vhost: String,
    /// The exchange that the message was published to.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// The user whose connection published the message, whatever the property `user-id` says. Empty for what a queue gives up and the
    /// broker publishes as a dead letter.
    pub user: String,
    /// When the broker received it, or published it as a dead letter: milliseconds since 1970-01-01T00:00Z.
    pub time_ms: u64,
    /// The properties, without the headers.
    pub properties: Properties,
    /// The headers.
    pub headers: Table,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// The length of the whole body, if any of it was asked for.
    pub body_size: u64,
}

impl Message {
    /// # Errors
    /// The host's tables are not what the contract says.
    pub(crate) fn read(message: types::Message) -> Result<Self, String> {
        Ok(Self {
            vhost: message.vhost,
            exchange: message.exchange,
            routing_key: message.routing_key,
            user: message.user,
            time_ms: message.time,
            properties: message.properties.into(),
            headers: tree(message.headers).map_err(|error| format!("headers: {error}"))?,
            body: message.body,
            body_size: message.body_size,
        })
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// These go on instead of it, in this order; at most 256.
    Replace(Vec<Replacement>),
    /// It goes nowhere; its publisher gets a confirm.
    Drop,
    /// It goes nowhere, for this reason: its publisher gets a nack, and basic.return if it published with `mandatory`.
    /// Before a queue, one that has waited, or is a dead letter, has no publisher who could be told: it is a dead letter then.
    Reject(String),
    /// It goes to the dead-letter exchange, with this reason in its headers.
    DeadLetter(String),
    /// It goes on as it is, so many milliseconds from now; at most ten years.
    Delay(u64),
}

impl From<Replacement> for Verdict {
    fn from(replacement: Replacement) -> Self {
        Self::Replace(vec![replacement])
    }
}

impl Verdict {
    pub(crate) fn flat(self) -> contract::Verdict {
        match self {
            Self::Pass => contract::Verdict::Pass,
            Self::Replace(replacements) => contract::Verdict::Replace(
                replacements.into_iter().map(Replacement::flat).collect(),
            ),
            Self::Drop => contract::Verdict::Drop,
            Self::Reject(reason) => contract::Verdict::Reject(reason),
            Self::DeadLetter(reason) => contract::Verdict::DeadLetter(reason),
            Self::Delay(delay_ms) => contract::Verdict::Delay(delay_ms),
        }
    }
}

/// A message that goes on in the place of the one that came. What it does not mention stays as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replacement {
    /// Another routing key. Before a queue it changes only what consumers see.
    pub routing_key: Option<String>,
    /// Other properties: all of them at once.
    pub properties: Option<Properties>,
    /// Headers to add or to overwrite.
    pub set_headers: Table,
    /// Headers to take away, before `set_headers` is applied.
    pub remove_headers: Vec<String>,
    /// Another body.
    pub body: Option<Vec<u8>>,
    /// Milliseconds to wait before it goes on; at most ten years.
    pub delay_ms: u64,
}

impl Replacement {
    /// The message as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it another routing key.
    #[must_use]
    pub fn routing_key(mut self, routing_key: impl Into<String>) -> Self {
        self.routing_key = Some(routing_key.into());
        self
    }

    /// Gives it other properties. What is none in them is gone from the message; ask for the properties and change a copy of them.
    #[must_use]
    pub fn properties(mut self, properties: Properties) -> Self {
        self.properties = Some(properties);
        self
    }

    /// Adds or overwrites a header.
    #[must_use]
    pub fn set_header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set_headers.set(name, value);
        self
    }

    /// Takes a header away.
    #[must_use]
    pub fn remove_header(mut self, name: impl Into<String>) -> Self {
        self.remove_headers.push(name.into());
        self
    }

    /// Gives it another body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Lets it wait so many milliseconds.
    #[must_use]
    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay_ms = delay_ms;
        self
    }

    fn flat(self) -> contract::Replacement {
        contract::Replacement {
            routing_key: self.routing_key,
            properties: self.properties.map(Into::into),
            set_headers: flat(self.set_headers),
            remove_headers: self.remove_headers,
            body: self.body,
            delay: self.delay_ms,
        }
    }
}
