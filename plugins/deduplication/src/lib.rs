//! Lets the first of several equal messages pass. What was seen is in the plugin's store, so that all instances know of it, and the broker after
//! a restart.

mod settings;
mod window;

use amphora_sdk::transform::{Message, Transform, Verdict};
use amphora_sdk::{Description, Needs, Value, log, metrics};
use sha2::{Digest, Sha256};

use self::settings::{By, Duplicates, Settings};
use self::window::{Seen, Window};

/// The transform.
#[derive(Debug)]
pub struct Deduplication {
    settings: Settings,
    window: Window,
}

impl Transform for Deduplication {
    fn configure() -> Result<Self, String> {
        log::panics();
        let settings = Settings::read()?;
        let window = Window {
            time_ms: settings.window_ms,
            count: settings.count,
        };
        Ok(Self { settings, window })
    }

    fn describe(&self) -> Description {
        let needs = Needs::new().vhost().exchange();
        let needs = match &self.settings.by {
            By::Header(name) => needs.header(name),
            By::MessageId => needs.properties(),
            By::Body => needs.routing_key().body(),
        };
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), needs)
    }

    fn apply(&mut self, message: &Message, queue: Option<&str>) -> Verdict {
        let Some(identity) = self.identity(message) else {
            return Verdict::Pass;
        };
        let place = Place {
            vhost: &message.vhost,
            kind: if queue.is_some() { "queue" } else { "exchange" },
            name: queue.unwrap_or(&message.exchange),
        };
        match self.window.see(&place.key(), &place.key_of(&identity)) {
            Ok(Seen::First) => Verdict::Pass,
            Ok(Seen::Again) => self.duplicate(),
            Err(error) => {
                log::error!(
                    "a message is rejected, as it cannot be told whether it is a duplicate: {error}"
                );
                Verdict::Reject(format!(
                    "no room to tell whether this is a duplicate: {error}"
                ))
            }
        }
    }
}

impl Deduplication {
    /// What makes the message equal to another. None if it has no such thing, and is no duplicate of any.
    fn identity(&self, message: &Message) -> Option<Vec<u8>> {
        match &self.settings.by {
            By::Header(name) => match message.headers.get(name)? {
                Value::Text(text) => Some([b"t", text.as_bytes()].concat()),
                Value::Bytes(bytes) => Some([b"x", bytes.as_slice()].concat()),
                Value::Void => None,
                // Whole numbers of all widths are equal, and everything else is what it is shown as.
                other => Some(match other.as_integer() {
                    Some(number) => [b"n", number.to_string().as_bytes()].concat(),
                    None => [b"o", format!("{other:?}").as_bytes()].concat(),
                }),
            },
            By::MessageId => {
                let id = message.properties.message_id.as_deref()?;
                Some(id.as_bytes().to_owned())
            }
            By::Body => {
                let key = message.routing_key.as_bytes();
                Some([&length(key), key, &message.body].concat())
            }
        }
    }

    fn duplicate(&self) -> Verdict {
        metrics::add("duplicates", 1);
        match self.settings.duplicates {
            Duplicates::Drop => Verdict::Drop,
            Duplicates::Reject => {
                let what = match &self.settings.by {
                    By::Header(name) => format!("header '{name}'"),
                    By::MessageId => "message-id".to_owned(),
                    By::Body => "body".to_owned(),
                };
                Verdict::Reject(format!("a message with this {what} was here already"))
            }
        }
    }
}

/// What the plugin is attached to. Equal messages in different places are no duplicates.
struct Place<'a> {
    vhost: &'a str,
    kind: &'static str,
    name: &'a str,
}

impl Place<'_> {
    fn hasher(&self) -> Sha256 {
        let mut hasher = Sha256::new();
        for part in [self.vhost, self.kind, self.name] {
            hasher.update(length(part.as_bytes()));
            hasher.update(part);
        }
        hasher
    }

    fn key(&self) -> [u8; 32] {
        self.hasher().finalize().into()
    }

    fn key_of(&self, identity: &[u8]) -> [u8; 32] {
        self.hasher().chain_update(identity).finalize().into()
    }
}

/// Keeps parts apart that follow each other.
fn length(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_le_bytes()
}

amphora_sdk::export_transform!(Deduplication);

#[cfg(test)]
mod tests;
