//! Messages as a plugin sees them: packed in one list of bytes, each with the parts that the plugin asked for.
//!
//! The layout is part of the plugins' contract (`wit/exchange.wit`), which says it in full. It is also the key under which an answer is
//! kept, so it holds all that a pure answer may depend on, and nothing else.

use std::ops::Range;

use amphora_protocol::wire::error::WireError;
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::RawFields;
use smallvec::{SmallVec, smallvec};

use super::{BATCH_MAX, BodyNeeds, HeaderNeeds, Needs};

/// The version of the layout, which is a batch's first byte.
pub const LAYOUT: u8 = 1;

/// Bytes before the first message: the version, and how many messages there are.
pub const HEAD: usize = 5;

/// Stands for a named header that the message does not have.
const ABSENT: &[u8] = &[0];

/// Bytes for which the buffer of a batch is kept: a connection may have thousands.
const BYTES_KEPT_MAX: usize = 64 << 10;

/// All that a plugin may see of a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// The virtual host's name.
    pub vhost: &'a str,
    /// The exchange that the message was published to.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a str,
    /// The publishing user.
    pub user: &'a str,
    /// Milliseconds since 1970 when the message came.
    pub time_ms: u64,
    /// The content header's flags and list, as on the wire.
    pub properties: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// Messages that are to be routed in one call.
#[derive(Debug)]
pub struct PackedBatch {
    bytes: Vec<u8>,
    /// Where each message begins.
    begins: Vec<u32>,
    /// The fingerprint of the needs that the first message was projected by.
    needs: u64,
}

impl Default for PackedBatch {
    fn default() -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            begins: Vec::new(),
            needs: 0,
        };
        batch.clear();
        batch
    }
}

impl PackedBatch {
    /// Appends a message. All messages of a batch are projected by the same needs.
    ///
    /// # Errors
    /// The content header is damaged; nothing was appended.
    ///
    /// # Panics
    /// In debug builds, if the batch is full.
    #[inline]
    pub fn push(&mut self, needs: &Needs, message: &Origin<'_>) -> Result<(), WireError> {
        debug_assert!(self.len() < BATCH_MAX, "a batch has a limit");
        let begin = self.bytes.len();
        if let Err(error) = project(needs, message, &mut self.bytes) {
            self.bytes.truncate(begin);
            return Err(error);
        }
        if self.begins.is_empty() {
            self.needs = needs.fingerprint();
        }
        self.begins.push(length(begin));
        self.bytes[1..HEAD].copy_from_slice(&length(self.begins.len()).to_le_bytes());
        Ok(())
    }

    /// The fingerprint of the needs that the messages were projected by: a plugin with other needs would misread them.
    pub fn needs_fingerprint(&self) -> u64 {
        self.needs
    }

    /// The part of one message: what a pure answer to it depends on.
    pub fn message(&self, index: usize) -> &[u8] {
        self.bytes_of(index..index + 1)
    }

    /// These messages as a batch of their own.
    #[must_use]
    pub fn part(&self, messages: Range<usize>) -> Self {
        let mut part = Self {
            bytes: Vec::with_capacity(HEAD + self.bytes_of(messages.clone()).len()),
            needs: self.needs,
            ..Self::default()
        };
        part.bytes.push(LAYOUT);
        part.bytes
            .extend_from_slice(&length(messages.len()).to_le_bytes());
        for index in messages {
            part.begins.push(length(part.bytes.len()));
            part.bytes.extend_from_slice(self.message(index));
        }
        part
    }

    fn bytes_of(&self, messages: Range<usize>) -> &[u8] {
        let at = |index: usize| {
            let begin = self.begins.get(index);
            begin.map_or(self.bytes.len(), |begin| *begin as usize)
        };
        let range = at(messages.start)..at(messages.end);
        self.bytes.get(range).unwrap_or_default()
    }

    /// How many messages there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.begins.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.begins.is_empty()
    }

    /// The whole, as the plugin gets it.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all messages, and gives back what only an unusual one needed.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_KEPT_MAX);
        self.bytes.extend_from_slice(&[LAYOUT, 0, 0, 0, 0]);
        self.begins.clear();
    }
}

/// Appends the parts of a message that a plugin needs to see.
///
/// # Errors
/// The content header is damaged. What was appended then is of no use.
#[inline]
pub fn project(needs: &Needs, message: &Origin<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let parts = needs.parts;
    if parts.vhost {
        put_short(message.vhost.as_bytes(), out);
    }
    if parts.exchange {
        put_short(message.exchange.as_bytes(), out);
    }
    if parts.routing_key {
        put_short(message.routing_key.as_bytes(), out);
    }
    if parts.user {
        put_short(message.user.as_bytes(), out);
    }
    if parts.time {
        out.extend_from_slice(&message.time_ms.to_le_bytes());
    }
    if needs.content_header() {
        content_header(needs, RawProperties::new(message.properties)?, out)?;
    }
    if needs.body != BodyNeeds::None {
        body(needs.body, message.body, out);
    }
    Ok(())
}

fn body(needs: BodyNeeds, whole: &[u8], out: &mut Vec<u8>) {
    let seen = match needs {
        BodyNeeds::None => return,
        BodyNeeds::Prefix(length) => whole.get(..length as usize),
        BodyNeeds::Whole => None,
    };
    let seen = seen.unwrap_or(whole);
    out.extend_from_slice(&(whole.len() as u64).to_le_bytes());
    put_long(seen, out);
}

fn content_header(
    needs: &Needs,
    properties: RawProperties<'_>,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    if needs.parts.properties {
        let (flags, before, after) = properties.without_headers()?;
        out.extend_from_slice(&length(2 + before.len() + after.len()).to_le_bytes());
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(before);
        out.extend_from_slice(after);
    }
    match &needs.headers {
        HeaderNeeds::None => {}
        HeaderNeeds::All => {
            // A plugin is not to meet what only a broken or hostile client can have written.
            let headers = properties.headers_raw()?.unwrap_or_default();
            RawFields::new(headers).try_for_each(|field| field.map(drop))?;
            put_long(headers, out);
        }
        HeaderNeeds::Named(names) => {
            let headers = properties.headers_raw()?.unwrap_or_default();
            named(names, headers, out)?;
        }
    }
    Ok(())
}

/// The first field of each name.
fn named(names: &[String], headers: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut found: SmallVec<[&[u8]; 8]> = smallvec![ABSENT; names.len()];
    let mut missing = names.len();
    // A publisher that sends the same headers each time sends them in the same order: so the next name is tried first.
    let mut next = 0;
    for field in RawFields::new(headers) {
        if missing == 0 {
            break;
        }
        let (field, value) = field?;
        let (before, behind) = names.split_at(next);
        let mut order = behind.iter().chain(before);
        let Some(position) = order.position(|name| name.as_bytes() == field) else {
            continue;
        };
        let index = (next + position) % names.len();
        if let Some(place) = found.get_mut(index).filter(|place| **place == ABSENT) {
            *place = value;
            missing -= 1;
            next = (index + 1) % names.len();
        }
    }
    for value in found {
        out.extend_from_slice(value);
    }
    Ok(())
}

#[inline]
fn put_short(bytes: &[u8], out: &mut Vec<u8>) {
    // Names and keys are checked to be that short when they come in.
    let bytes = bytes.get(..255).unwrap_or(bytes);
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

fn put_long(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length(bytes.len()).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// A message has at most 512 MiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::properties::BasicProperties;
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use super::super::Parts;
    use super::*;

    fn properties() -> Vec<u8> {
        let fields: [(&str, FieldValue); 3] =
            [("a", 7.into()), ("b", "x".into()), ("a", "again".into())];
        let headers: FieldTable = fields
            .into_iter()
            .map(|(name, value)| (ShortString::new(name).expect("short"), value))
            .collect();
        let properties = BasicProperties {
            content_type: ShortString::new("t").ok(),
            headers: Some(headers),
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        properties.to_bytes().to_vec()
    }

    fn projected(needs: &Needs) -> Vec<u8> {
        let properties = properties();
        let message = Origin {
            vhost: "/",
            exchange: "ex",
            routing_key: "key",
            user: "me",
            time_ms: 258,
            properties: &properties,
            body: b"body",
        };
        let mut out = Vec::new();
        project(needs, &message, &mut out).expect("a sound header");
        out
    }

    #[test]
    fn nothing_is_passed_that_was_not_asked_for() {
        assert_eq!(projected(&Needs::default()), b"");
    }

    #[test]
    fn parts_stand_in_their_order() {
        let needs = Needs {
            parts: Parts {
                vhost: true,
                exchange: true,
                routing_key: true,
                user: true,
                time: true,
                properties: true,
            },
            headers: HeaderNeeds::Named(vec!["b".into(), "missing".into(), "a".into()]),
            body: BodyNeeds::Prefix(2),
            pure: false,
        };
        let expected = [
            b"\x01/\x02ex\x03key\x02me".as_slice(),
            b"\x02\x01\0\0\0\0\0\0",
            b"\x05\0\0\0\x90\0\x01t\x02",
            b"S\0\0\0\x01x\0I\0\0\0\x07",
            b"\x04\0\0\0\0\0\0\0\x02\0\0\0bo",
        ]
        .concat();
        assert_eq!(projected(&needs), expected);
    }

    #[test]
    fn all_headers_are_passed_as_they_came() {
        let needs = Needs {
            headers: HeaderNeeds::All,
            body: BodyNeeds::Whole,
            ..Needs::default()
        };
        let expected = [
            b"\x1b\0\0\0".as_slice(),
            b"\x01aI\0\0\0\x07\x01bS\0\0\0\x01x\x01aS\0\0\0\x05again",
            b"\x04\0\0\0\0\0\0\0\x04\0\0\0body",
        ]
        .concat();
        assert_eq!(projected(&needs), expected);
    }

    #[test]
    fn a_batch_knows_its_messages_and_is_taken_apart() {
        let needs = Needs {
            parts: Parts {
                routing_key: true,
                ..Parts::default()
            },
            ..Needs::default()
        };
        let mut batch = PackedBatch::default();
        for routing_key in ["a", "bc", "def"] {
            let message = Origin {
                routing_key,
                ..Origin::default()
            };
            batch.push(&needs, &message).expect("no header to look at");
        }
        assert_eq!(batch.bytes(), b"\x01\x03\0\0\0\x01a\x02bc\x03def");
        assert_eq!(batch.message(1), b"\x02bc");
        assert_eq!(batch.message(2), b"\x03def");
        let part = batch.part(1..3);
        assert_eq!(part.bytes(), b"\x01\x02\0\0\0\x02bc\x03def");
        assert_eq!((part.len(), part.message(1)), (2, b"\x03def".as_slice()));
        assert_eq!(part.needs_fingerprint(), batch.needs_fingerprint());
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.bytes(), b"\x01\0\0\0\0");
    }

    #[test]
    fn a_damaged_header_is_refused_and_leaves_nothing() {
        let needs = Needs {
            headers: HeaderNeeds::All,
            ..Needs::default()
        };
        let properties = properties();
        let message = Origin {
            properties: &properties[..properties.len() / 2],
            ..Origin::default()
        };
        let mut batch = PackedBatch::default();
        assert!(batch.push(&needs, &message).is_err());
        assert_eq!(batch.bytes(), b"\x01\0\0\0\0");
        // The table has the right length, and a value of a type that there is not.
        let damaged = Origin {
            properties: b"\x20\0\0\0\0\x03\x01a?",
            ..Origin::default()
        };
        assert!(batch.push(&needs, &damaged).is_err());
        assert_eq!(batch.bytes(), b"\x01\0\0\0\0");
    }
}
