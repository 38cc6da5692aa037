//! Messages whose further routing keys nobody may see, on their way through the transforms of a queue.

use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::FieldValue;
use amphora_protocol::wire::types::ShortString;
use bytes::Bytes;

use super::batch::Owned;
use super::ingress::Made;
use super::special::{BCC, hides_copies, shown, with_hidden_copies};

/// What transforms of a queue do not see of a message: the keys of its `BCC`, to which its dead letters go all the same.
#[derive(Debug)]
pub(super) struct Concealed {
    copies: FieldValue,
    /// The properties with them, and as others see them.
    whole: Bytes,
    seen: Bytes,
}

impl Concealed {
    /// Takes it out of a message that has it.
    pub(super) fn take(message: &mut Owned) -> Option<Self> {
        if !hides_copies(&message.properties) {
            return None;
        }
        // They were checked when the message was published.
        let headers = RawProperties::new(&message.properties)
            .ok()?
            .headers()
            .ok()?;
        let copies = headers?.get(BCC)?.clone();
        let seen = shown(&message.properties, None)?;
        Some(Self {
            copies,
            whole: std::mem::replace(&mut message.properties, seen.clone()),
            seen,
        })
    }

    /// Puts it back into what transforms made of the message, and into what they gave up.
    pub(super) fn put_back(&self, made: &mut Made) {
        let on = made.on.iter_mut().map(|(message, _)| message);
        let dead = made.dead.iter_mut().map(|dead| &mut dead.message);
        for message in on.chain(dead) {
            self.put_into(message);
        }
    }

    /// Puts it into one message. One to which a plugin has given such a header of its own keeps that.
    pub(super) fn put_into(&self, message: &mut Owned) {
        if message.properties == self.seen {
            message.properties = self.whole.clone();
            return;
        }
        // What plugins answer is checked.
        let decoded = RawProperties::new(&message.properties).and_then(RawProperties::decode);
        let Ok(mut decoded) = decoded else {
            return;
        };
        let headers = decoded.headers.get_or_insert_default();
        if headers.get(BCC).is_none() {
            headers.insert(ShortString::cut(BCC), self.copies.clone());
            message.properties = with_hidden_copies(&decoded.to_bytes());
        }
    }
}
