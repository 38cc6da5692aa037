//! Plugins, and what they are attached to.

mod attachment;
mod uploaded;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use amphora_core::exchange::ExchangeType;
use amphora_core::hook::OnError;
use amphora_plugin_host::{MEMORY_MAX, NAME_MAX, TYPE_NAME_MAX};
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serialize, de};

pub use self::attachment::{Attachment, NamePattern, Target};
use super::value::{self, ByteSize};

/// A component, and what it may do. It can be written as JSON and read back, with the same checks as in the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plugin {
    /// What everything else calls it; unique.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// The file that it is loaded from. None for a plugin that was uploaded; in the file it has to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The type of exchange that it supplies; none for a transform.
    #[serde(
        default,
        deserialize_with = "exchange_type",
        skip_serializing_if = "Option::is_none"
    )]
    pub exchange_type: Option<String>,
    /// What it may import. [`Grant::Config`] comes with a `config` that is not empty.
    #[serde(default, deserialize_with = "grants")]
    pub grants: BTreeSet<Grant>,
    /// How long a call may take.
    #[serde(
        default = "default_deadline",
        deserialize_with = "value::duration_in::<_, 1, 10_000>",
        serialize_with = "value::duration_out"
    )]
    pub deadline: Duration,
    /// How much memory an instance may have.
    #[serde(default = "default_memory", deserialize_with = "memory")]
    pub memory: ByteSize,
    /// How much it may keep in its store.
    #[serde(default = "default_kv_size")]
    pub kv_size: ByteSize,
    /// What happens to a message that it fails for.
    #[serde(
        default,
        deserialize_with = "value::on_error",
        serialize_with = "value::on_error_out"
    )]
    pub on_error: OnError,
    /// Where messages go that it dead-letters, by its verdict or by `on_error`.
    #[serde(
        default,
        deserialize_with = "value::some_name",
        serialize_with = "value::some_name_out",
        skip_serializing_if = "Option::is_none"
    )]
    pub dead_letter_exchange: Option<ExchangeName>,
    /// Their routing key there, instead of their own.
    #[serde(
        default,
        deserialize_with = "value::some_name",
        serialize_with = "value::some_name_out",
        skip_serializing_if = "Option::is_none"
    )]
    pub dead_letter_routing_key: Option<RoutingKey>,
    /// Its own settings: texts as they are, anything else as JSON.
    #[serde(default, deserialize_with = "value::texts")]
    pub config: BTreeMap<String, String>,
}

/// Something that a plugin may import, if the operator grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// Lines in the broker's log.
    Log,
    /// Figures in the broker's metrics.
    Metrics,
    /// What time it is.
    Clock,
    /// Numbers that cannot be guessed.
    Random,
    /// The plugin's own settings.
    Config,
    /// A store of the plugin's own.
    Kv,
    /// Messages of the plugin's own.
    Publish,
}

/// Why settings of a plugin contradict each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    /// The key that has to change.
    pub(super) key: &'static str,
    /// What is wrong, and what would be right.
    pub(super) text: &'static str,
}

const NO_ALTERNATE_EXCHANGE: Contradiction = Contradiction {
    key: "on-error",
    text: "only a plugin with an `exchange-type` can leave messages to the alternate exchange; give reject, pass, drop or dead-letter",
};

const NO_DEAD_LETTER_EXCHANGE: Contradiction = Contradiction {
    key: "on-error",
    text: "messages would be lost; name where they go in `dead-letter-exchange`",
};

impl Grant {
    /// The name in the configuration, which is that of the interface in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metrics => "metrics",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Config => "config",
            Self::Kv => "kv",
            Self::Publish => "publish",
        }
    }
}

impl Plugin {
    /// Whoever writes settings for a plugin wants it to read them.
    pub(super) fn grant_its_config(&mut self) {
        if !self.config.is_empty() {
            self.grants.insert(Grant::Config);
        }
    }

    pub(super) fn check(&self) -> Result<(), Contradiction> {
        match (self.on_error, &self.exchange_type) {
            (OnError::Pass, Some(_)) => Err(Contradiction {
                key: "on-error",
                text: "an exchange cannot route without its plugin; give reject, drop, dead-letter or alternate-exchange",
            }),
            (OnError::AlternateExchange, None) => Err(NO_ALTERNATE_EXCHANGE),
            (OnError::DeadLetter, Some(_)) if self.dead_letter_exchange.is_none() => {
                Err(NO_DEAD_LETTER_EXCHANGE)
            }
            _ => check_dead_letter(
                self.dead_letter_exchange.as_ref(),
                self.dead_letter_routing_key.as_ref(),
            ),
        }
    }
}

fn check_dead_letter(
    exchange: Option<&ExchangeName>,
    routing_key: Option<&RoutingKey>,
) -> Result<(), Contradiction> {
    if routing_key.is_some() && exchange.is_none() {
        return Err(Contradiction {
            key: "dead-letter-routing-key",
            text: "of no use without `dead-letter-exchange`; set both",
        });
    }
    Ok(())
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn default_deadline() -> Duration {
    Duration::from_millis(10)
}

fn default_memory() -> ByteSize {
    ByteSize::mib(64)
}

fn default_kv_size() -> ByteSize {
    ByteSize::mib(16)
}

/// The name goes into paths, metrics and file names, so it is kept plain.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let first = name.bytes().next().is_some_and(plain);
    let rest = name
        .bytes()
        .all(|byte| plain(byte) || b"._-".contains(&byte));
    if first && rest && name.len() <= NAME_MAX {
        return Ok(name);
    }
    let wanted = "1 to 64 of the characters a-z 0-9 . _ -, the first a letter or a digit";
    Err(de::Error::invalid_value(Unexpected::Str(&name), &wanted))
}

/// A type's name travels in `exchange.declare`, as a short string.
fn exchange_type<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    if ExchangeType::built_in(&name).is_some() {
        let text = format_args!("{name:?} is one of the broker's own types of exchange; give another name, such as \"x-my-type\"").to_string();
        return Err(de::Error::custom(text));
    }
    let length_is_right = (3..=TYPE_NAME_MAX).contains(&name.len());
    if name.starts_with("x-") && length_is_right && !name.chars().any(char::is_control) {
        return Ok(Some(name));
    }
    let wanted = format!(
        "a name of at most {TYPE_NAME_MAX} bytes that begins with \"x-\", such as \"x-content\""
    );
    Err(de::Error::invalid_value(Unexpected::Str(&name), &&*wanted))
}

fn grants<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<Grant>, D::Error> {
    let mut grants = BTreeSet::new();
    for grant in Vec::<Grant>::deserialize(from)? {
        if !grants.insert(grant) {
            let text = format_args!("{:?} is there twice", grant.name()).to_string();
            return Err(de::Error::custom(text));
        }
    }
    Ok(grants)
}

/// Memory of WebAssembly has pages of 64 KiB.
fn memory<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    let (least, most) = (ByteSize::bytes(64 << 10), ByteSize::bytes(MEMORY_MAX));
    let size = ByteSize::deserialize(from)?;
    if size < least || size > most {
        return Err(de::Error::custom(format_args!(
            "{size} is out of range; give an amount from {least} to {most}"
        )));
    }
    Ok(size)
}
