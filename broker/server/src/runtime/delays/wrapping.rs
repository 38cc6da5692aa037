//! A message as it waits: the message itself, until when, and where it goes then.
//!
//! Layout of the body, version 3, numbers big endian:
//! ```text
//! u8 version = 3
//! u64 when it is due, in milliseconds since 1970
//! u64 when the broker received it, likewise
//! u16 length of the publishing user's name, and the name
//! u8 onward: 0 as it was published, 1 into a queue, 2 from an exchange on
//! u8 length of the queue's or the exchange's name, and the name
//! u32 length of the properties, and the properties
//! the body, to the end
//! ```
//! Version 2 does not say who has published it and when; it is read as if nobody had, when it was due.

use amphora_core::message::Message;
use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::runtime::batch::{Owned, small};
use crate::runtime::ingress::names;

/// The header that says until when a message waits, in milliseconds since 1970, for whoever looks into the queue.
const UNTIL: &str = "x-delayed-until";

const VERSION: u8 = 3;
const VERSION_WITHOUT_SOURCE: u8 = 2;

/// Bytes before the names, the properties and the body.
const FIXED: usize = 1 + 8 + 8 + 2 + 1 + 1 + 4;

/// Who has published a message, and when the broker received it, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Source<'a> {
    pub(in crate::runtime) user: &'a str,
    pub(in crate::runtime) received: u64,
}

/// Where a message goes when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Onward<'a> {
    /// To the exchange that it was published to, which does not delay.
    Published,
    /// Into this queue.
    Queue(&'a str),
    /// From this exchange on, which delayed it.
    Exchange(&'a str),
}

impl<'a> Onward<'a> {
    fn of(kind: u8, name: &'a str) -> Option<Self> {
        match kind {
            0 => Some(Self::Published),
            1 => Some(Self::Queue(name)),
            2 => Some(Self::Exchange(name)),
            _ => None,
        }
    }

    fn parts(self) -> (u8, &'a str) {
        match self {
            Self::Published => (0, ""),
            Self::Queue(name) => (1, name),
            Self::Exchange(name) => (2, name),
        }
    }
}

/// What is wrapped, without copying it.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Wrapped<'a> {
    pub(in crate::runtime) due: u64,
    pub(in crate::runtime) source: Source<'a>,
    pub(in crate::runtime) onward: Onward<'a>,
    pub(in crate::runtime) target: &'a [u8],
    pub(in crate::runtime) properties: &'a [u8],
    pub(in crate::runtime) body: &'a [u8],
}

impl<'a> Wrapped<'a> {
    /// What a message of the queue wraps; nothing if it is damaged.
    pub(in crate::runtime) fn read(message: &Message<'a>) -> Option<Self> {
        let mut rest = message.body.bytes();
        let version = rest.try_get_u8().ok()?;
        let due = rest.try_get_u64().ok()?;
        let source = match version {
            VERSION => {
                let received = rest.try_get_u64().ok()?;
                let length = usize::from(rest.try_get_u16().ok()?);
                let (user, behind) = rest.split_at_checked(length)?;
                rest = behind;
                let user = std::str::from_utf8(user).ok()?;
                Source { user, received }
            }
            VERSION_WITHOUT_SOURCE => Source {
                user: "",
                received: due,
            },
            _ => return None,
        };
        let kind = rest.try_get_u8().ok()?;
        let length = usize::from(rest.try_get_u8().ok()?);
        let (name, mut rest) = rest.split_at_checked(length)?;
        let length = rest.try_get_u32().ok()? as usize;
        let (properties, body) = rest.split_at_checked(length)?;
        RawProperties::new(properties).ok()?.check().ok()?;
        Some(Self {
            due,
            source,
            onward: Onward::of(kind, std::str::from_utf8(name).ok()?)?,
            target: message.target,
            properties,
            body,
        })
    }

    /// The exchange that it waits at.
    pub(in crate::runtime) fn exchange(&self) -> &'a str {
        match self.onward {
            Onward::Exchange(name) => name,
            Onward::Published | Onward::Queue(_) => {
                names(self.target).map_or("", |(exchange, _)| exchange)
            }
        }
    }

    /// The message as it was before it waited.
    pub(in crate::runtime) fn message(&self) -> Owned {
        Owned {
            target: Bytes::copy_from_slice(self.target),
            properties: Bytes::copy_from_slice(self.properties),
            body: Bytes::copy_from_slice(self.body),
        }
    }
}

/// The message as it waits until `due`. `persistent`: it survives a restart meanwhile.
pub(in crate::runtime) fn wrap(
    message: &Owned,
    source: Source<'_>,
    due: u64,
    onward: Onward<'_>,
    persistent: bool,
) -> Owned {
    let mut headers = FieldTable::new();
    let until = FieldValue::I64(i64::try_from(due).unwrap_or(i64::MAX));
    headers.insert(ShortString::cut(UNTIL), until);
    let properties = BasicProperties {
        headers: Some(headers),
        delivery_mode: Some(if persistent { 2 } else { 1 }),
        ..BasicProperties::default()
    };
    let (kind, name) = onward.parts();
    // No configuration has names that are longer.
    let user_len = source.user.floor_char_boundary(usize::from(u16::MAX));
    let user = source.user.get(..user_len).unwrap_or_default();
    let names_len = user.len() + name.len();
    let length = message.properties.len() + message.body.len() + names_len + FIXED;
    let mut body = BytesMut::with_capacity(length);
    body.put_u8(VERSION);
    body.put_u64(due);
    body.put_u64(source.received);
    body.put_u16(u16::try_from(user.len()).unwrap_or(u16::MAX));
    body.put_slice(user.as_bytes());
    body.put_u8(kind);
    // A name is checked to be that short when it is made.
    body.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
    body.put_slice(name.as_bytes());
    body.put_u32(small(message.properties.len()));
    body.put_slice(&message.properties);
    body.put_slice(&message.body);
    Owned {
        target: message.target.clone(),
        properties: properties.to_bytes(),
        body: body.freeze(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::special::{borrowed, is_persistent};

    const ONWARD: [Onward<'_>; 3] = [
        Onward::Published,
        Onward::Queue("q"),
        Onward::Exchange("other"),
    ];

    const SOURCE: Source<'_> = Source {
        user: "someone",
        received: 55,
    };

    fn message() -> Owned {
        Owned {
            target: Bytes::from_static(b"\x01x\x03key"),
            properties: Bytes::from_static(b"\x10\x00\x02"),
            body: Bytes::from_static(b"body"),
        }
    }

    #[test]
    fn a_message_is_the_same_after_waiting() {
        for (onward, exchange) in ONWARD.into_iter().zip(["x", "x", "other"]) {
            for persistent in [false, true] {
                let waiting = wrap(&message(), SOURCE, 77, onward, persistent);
                assert_eq!(is_persistent(&waiting.properties), persistent);
                let stored = borrowed(&waiting);
                let wrapped = Wrapped::read(&stored).expect("whole");
                assert_eq!((wrapped.due, wrapped.onward), (77, onward));
                assert_eq!(wrapped.source, SOURCE);
                assert_eq!(wrapped.exchange(), exchange);
                let (back, before) = (wrapped.message(), message());
                assert_eq!(back.target, before.target);
                assert_eq!(back.properties, before.properties);
                assert_eq!(back.body, before.body);
            }
        }
    }

    #[test]
    fn what_does_not_say_who_has_published_it_is_read() {
        let mut body = vec![VERSION_WITHOUT_SOURCE];
        body.extend_from_slice(&77_u64.to_be_bytes());
        body.extend_from_slice(b"\x01\x01q\0\0\0\x02\0\0body");
        let waiting = Owned {
            body: Bytes::from(body),
            ..message()
        };
        let stored = borrowed(&waiting);
        let wrapped = Wrapped::read(&stored).expect("whole");
        assert_eq!((wrapped.due, wrapped.onward), (77, Onward::Queue("q")));
        let nobody = Source {
            user: "",
            received: 77,
        };
        assert_eq!((wrapped.source, wrapped.body), (nobody, &b"body"[..]));
    }

    #[test]
    fn damage_is_noticed() {
        let empty = Owned {
            target: Bytes::from_static(b"\0\0"),
            properties: Bytes::from_static(b"\0\0"),
            body: Bytes::new(),
        };
        for onward in ONWARD {
            let whole = wrap(&empty, SOURCE, 1, onward, true);
            for length in 0..whole.body.len() {
                let cut = Owned {
                    body: whole.body.slice(..length),
                    ..whole.clone()
                };
                assert!(Wrapped::read(&borrowed(&cut)).is_none(), "{length}");
            }
        }
    }
}
