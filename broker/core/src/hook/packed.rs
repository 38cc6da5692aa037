//! Messages as a plugin sees them: packed in one list of bytes, each with the parts that the plugin asked for.
//!
//! The layout is part of the plugins' contract (`wit/exchange.wit`), which says it in full. It is also the key under which an answer is
//! kept, so it holds all that a pure answer may depend on, and nothing else.

use amphora_protocol::wire::error::WireError;
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::RawFields;

use super::{BATCH_MAX, BodyNeeds, HeaderNeeds, Needs};

/// The version of the layout, which is a batch's first byte.
pub const LAYOUT: u8 = 1;

/// Bytes before the first message: the version, and how many messages there are.
pub const HEAD: usize = 5;

/// Stands for a named header that the message does not have.
const ABSENT: u8 = 0;

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
    count: u32,
    /// Where the last message begins.
    last: usize,
    /// The fingerprint of the needs that the first message was projected by.
    needs: u64,
}

impl Default for PackedBatch {
    fn default() -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            count: 0,
            last: 0,
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
    pub fn push(&mut self, needs: &Needs, message: &Origin<'_>) -> Result<(), WireError> {
        debug_assert!(self.len() < BATCH_MAX, "a batch has a limit");
        let begin = self.bytes.len();
        if let Err(error) = project(needs, message, &mut self.bytes) {
            self.bytes.truncate(begin);
            return Err(error);
        }
        if self.count == 0 {
            self.needs = needs.fingerprint();
        }
        self.last = begin;
        self.count += 1;
        if let Some(count) = self.bytes.get_mut(1..HEAD) {
            count.copy_from_slice(&self.count.to_le_bytes());
        }
        Ok(())
    }

    /// The fingerprint of the needs that the messages were projected by: a plugin with other needs would misread them.
    pub fn needs_fingerprint(&self) -> u64 {
        self.needs
    }

    /// The part of the last message: what a pure answer to it depends on.
    pub fn last(&self) -> &[u8] {
        self.bytes.get(self.last..).unwrap_or_default()
    }

    /// Takes the last message back.
    pub fn pop(&mut self) {
        self.bytes.truncate(self.last);
        self.count = self.count.saturating_sub(1);
        if let Some(count) = self.bytes.get_mut(1..HEAD) {
            count.copy_from_slice(&self.count.to_le_bytes());
        }
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The whole, as the plugin gets it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all messages.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[LAYOUT, 0, 0, 0, 0]);
        self.count = 0;
        self.last = HEAD;
    }
}

/// Appends the parts of a message that a plugin needs to see.
///
/// # Errors
/// The content header is damaged. What was appended then is of no use.
pub fn project(needs: &Needs, message: &Origin<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let parts = needs.parts;
    for (needed, text) in [
        (parts.vhost, message.vhost),
        (parts.exchange, message.exchange),
        (parts.routing_key, message.routing_key),
        (parts.user, message.user),
    ] {
        if needed {
            put_short(text.as_bytes(), out);
        }
    }
    if parts.time {
        out.extend_from_slice(&message.time_ms.to_le_bytes());
    }
    if needs.content_header() {
        content_header(needs, RawProperties::new(message.properties)?, out)?;
    }
    let seen = match needs.body {
        BodyNeeds::None => return Ok(()),
        BodyNeeds::Prefix(length) => message.body.get(..length as usize),
        BodyNeeds::Whole => None,
    };
    let seen = seen.unwrap_or(message.body);
    out.extend_from_slice(&(message.body.len() as u64).to_le_bytes());
    put_long(seen, out);
    Ok(())
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

/// The first field of each name. There are few names, so each is looked for in turn; most messages have few headers, too.
fn named(names: &[String], headers: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    for name in names {
        let mut found: &[u8] = &[ABSENT];
        for field in RawFields::new(headers) {
            let (field, value) = field?;
            if field == name.as_bytes() {
                found = value;
                break;
            }
        }
        out.extend_from_slice(found);
    }
    Ok(())
}

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
    fn a_batch_counts_its_messages_and_gives_the_last_one_back() {
        let needs = Needs {
            parts: Parts {
                routing_key: true,
                ..Parts::default()
            },
            ..Needs::default()
        };
        let mut batch = PackedBatch::default();
        for routing_key in ["a", "bc"] {
            let message = Origin {
                routing_key,
                ..Origin::default()
            };
            batch.push(&needs, &message).expect("no header to look at");
        }
        assert_eq!(batch.bytes(), b"\x01\x02\0\0\0\x01a\x02bc");
        assert_eq!(batch.last(), b"\x02bc");
        batch.pop();
        assert_eq!(batch.bytes(), b"\x01\x01\0\0\0\x01a");
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
