//! `[[attach]]`: where a transform is applied without the application's doing.

use std::fmt;

use amphora_core::hook::OnError;
use amphora_core::policy::NamePattern as Pattern;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey, VhostName};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    Contradiction, NO_ALTERNATE_EXCHANGE, NO_DEAD_LETTER_EXCHANGE, Plugin, check_dead_letter,
};
use crate::config::value;

/// A transform at all exchanges, or all queues, with a name like this. Those of one message are applied in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written")]
#[serde(into = "Written")]
pub struct Attachment {
    /// The plugin's name; one of those in the configuration.
    pub plugin: String,
    /// Where.
    pub target: Target,
    /// Only in this virtual host; in all if there is none.
    pub vhost: Option<VhostName>,
    /// What happens to a message that the plugin fails for, if it is not what the plugin's own `on_error` says.
    pub on_error: Option<OnError>,
    /// Where messages go that the plugin dead-letters here, if not to the plugin's own exchange for them.
    pub dead_letter_exchange: Option<ExchangeName>,
    /// Their routing key there; only with `dead_letter_exchange`.
    pub dead_letter_routing_key: Option<RoutingKey>,
}

/// What a transform is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Exchanges: messages are transformed before they are routed.
    Exchange(NamePattern),
    /// Queues: messages are transformed before they are enqueued.
    Queue(NamePattern),
}

/// A regular expression over names, not anchored. The default exchange is called `amq.default`, as in permissions.
#[derive(Clone)]
pub struct NamePattern(Pattern);

impl Attachment {
    /// Whether it is for this exchange.
    pub fn covers_exchange(&self, vhost: &str, name: &str) -> bool {
        let name = if name.is_empty() { "amq.default" } else { name };
        self.is_in(vhost)
            && matches!(&self.target, Target::Exchange(pattern) if pattern.0.matches(name))
    }

    /// Whether it is for this queue.
    pub fn covers_queue(&self, vhost: &str, name: &str) -> bool {
        self.is_in(vhost)
            && matches!(&self.target, Target::Queue(pattern) if pattern.0.matches(name))
    }

    fn is_in(&self, vhost: &str) -> bool {
        self.vhost.as_ref().is_none_or(|only| *only == *vhost)
    }

    /// What happens to a message that this plugin, which is the attachment's, fails for here.
    pub fn on_error(&self, plugin: &Plugin) -> OnError {
        self.on_error.unwrap_or(plugin.on_error)
    }

    pub(in crate::config) fn check(&self, plugin: &Plugin) -> Result<(), Contradiction> {
        let no_exchange =
            plugin.dead_letter_exchange.is_none() && self.dead_letter_exchange.is_none();
        // A queue has a dead-letter exchange of its own, or has none because its owner wants none.
        let before_exchange = matches!(self.target, Target::Exchange(_));
        match self.on_error(plugin) {
            OnError::AlternateExchange => Err(NO_ALTERNATE_EXCHANGE),
            OnError::DeadLetter if before_exchange && no_exchange => Err(NO_DEAD_LETTER_EXCHANGE),
            _ => check_dead_letter(
                self.dead_letter_exchange.as_ref(),
                self.dead_letter_routing_key.as_ref(),
            ),
        }
    }
}

impl NamePattern {
    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for NamePattern {}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let pattern = value::pattern(from)?;
        if pattern.is_empty() {
            return Err(de::Error::custom(
                "empty; give a regular expression such as \"^orders\", or \".*\" for all",
            ));
        }
        Pattern::new(&pattern).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for NamePattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// An attachment as the file writes it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    plugin: String,
    exchange: Option<NamePattern>,
    queue: Option<NamePattern>,
    #[serde(default, deserialize_with = "value::some_name")]
    #[serde(serialize_with = "value::some_name_out")]
    vhost: Option<VhostName>,
    #[serde(default, deserialize_with = "value::some_on_error")]
    #[serde(serialize_with = "value::some_on_error_out")]
    on_error: Option<OnError>,
    #[serde(default, deserialize_with = "value::some_name")]
    #[serde(serialize_with = "value::some_name_out")]
    dead_letter_exchange: Option<ExchangeName>,
    #[serde(default, deserialize_with = "value::some_name")]
    #[serde(serialize_with = "value::some_name_out")]
    dead_letter_routing_key: Option<RoutingKey>,
}

impl TryFrom<Written> for Attachment {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let target = match (written.exchange, written.queue) {
            (Some(pattern), None) => Target::Exchange(pattern),
            (None, Some(pattern)) => Target::Queue(pattern),
            (None, None) => {
                return Err("attached to nothing; give `exchange` or `queue`");
            }
            (Some(_), Some(_)) => {
                return Err(
                    "has `exchange` and `queue`; give one, and another [[attach]] for the other",
                );
            }
        };
        Ok(Self {
            plugin: written.plugin,
            target,
            vhost: written.vhost,
            on_error: written.on_error,
            dead_letter_exchange: written.dead_letter_exchange,
            dead_letter_routing_key: written.dead_letter_routing_key,
        })
    }
}

impl From<Attachment> for Written {
    fn from(attachment: Attachment) -> Self {
        let (exchange, queue) = match attachment.target {
            Target::Exchange(pattern) => (Some(pattern), None),
            Target::Queue(pattern) => (None, Some(pattern)),
        };
        Self {
            plugin: attachment.plugin,
            exchange,
            queue,
            vhost: attachment.vhost,
            on_error: attachment.on_error,
            dead_letter_exchange: attachment.dead_letter_exchange,
            dead_letter_routing_key: attachment.dead_letter_routing_key,
        }
    }
}
