//! The messages of one batch of input, where they lie: in the input itself, or put together apart from it.

use amphora_core::message::{Batch, Body, Message, SHARED_BODY_MIN};
use amphora_protocol::connection::Content;
use bytes::{BufMut, Bytes, BytesMut};

/// A message that does not lie in the input buffer in one piece, or not as it goes on.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) target: Bytes,
    pub(super) properties: Bytes,
    pub(super) body: Bytes,
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        Self {
            target: Bytes::copy_from_slice(message.target),
            properties: Bytes::copy_from_slice(message.properties),
            body: match message.body {
                Body::Inline(body) => Bytes::copy_from_slice(body),
                Body::Shared(body) => body.clone(),
            },
        }
    }
}

impl From<Owned> for Content<'_> {
    fn from(message: Owned) -> Self {
        let Owned {
            target,
            properties,
            body,
        } = message;
        Self::Assembled {
            target,
            properties,
            body,
        }
    }
}

impl From<Content<'_>> for Owned {
    fn from(content: Content<'_>) -> Self {
        match content {
            Content::Inline {
                target,
                properties,
                body,
            } => Self {
                target: Bytes::copy_from_slice(target),
                properties: Bytes::copy_from_slice(properties),
                body: Bytes::copy_from_slice(body),
            },
            Content::Assembled {
                target,
                properties,
                body,
            } => Self {
                target,
                properties,
                body,
            },
        }
    }
}

/// A message in the input, or among the [`Owned`] ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageRef {
    target: u32,
    properties: u32,
    body: u32,
    body_len: u32,
    properties_len: u32,
    target_len: u16,
    persistent: bool,
    /// Index among the owned ones, one up; 0 for a message that lies in the input.
    owned: u32,
}

impl MessageRef {
    /// A message whose parts are slices of `input`.
    pub(super) fn within(
        input: &[u8],
        target: &[u8],
        properties: &[u8],
        body: &[u8],
        persistent: bool,
    ) -> Self {
        Self {
            target: offset(input, target),
            target_len: u16::try_from(target.len()).unwrap_or(u16::MAX),
            properties: offset(input, properties),
            properties_len: small(properties.len()),
            body: offset(input, body),
            body_len: small(body.len()),
            persistent,
            owned: 0,
        }
    }

    /// A message that is the same but for its body, which lies so many bytes further on.
    pub(super) fn with_body_behind(self, bytes: usize) -> Self {
        let body = if self.body_len == 0 {
            self.body
        } else {
            self.body + small(bytes)
        };
        Self { body, ..self }
    }

    /// The message that follows `before` others among the owned ones.
    pub(super) fn owned(before: usize, message: &Owned, persistent: bool) -> Self {
        Self {
            target: 0,
            target_len: u16::try_from(message.target.len()).unwrap_or(u16::MAX),
            properties: 0,
            properties_len: small(message.properties.len()),
            body: 0,
            body_len: small(message.body.len()),
            persistent,
            owned: small(before + 1),
        }
    }

    /// The message itself; `owned` are the owned ones.
    #[expect(clippy::inline_always, reason = "see `Collected::message`")]
    #[inline(always)]
    pub(super) fn resolve<'a>(self, input: &'a [u8], owned: &'a [Owned]) -> Message<'a> {
        if let Some(index) = self.owned.checked_sub(1) {
            let owned = &owned[index as usize];
            let body = if owned.body.len() < SHARED_BODY_MIN {
                Body::Inline(&owned.body)
            } else {
                Body::Shared(&owned.body)
            };
            return Message {
                target: &owned.target,
                properties: &owned.properties,
                body,
                persistent: self.persistent,
            };
        }
        Message {
            target: slice(input, self.target, self.target_len.into()),
            properties: slice(input, self.properties, self.properties_len),
            body: Body::Inline(slice(input, self.body, self.body_len)),
            persistent: self.persistent,
        }
    }

    /// The length of its body.
    pub(super) fn body_len(&self) -> u32 {
        self.body_len
    }

    /// What the message adds to a batch, roughly.
    pub(super) fn cost(&self) -> usize {
        (self.properties_len + self.body_len) as usize + 32
    }
}

/// The messages of a batch that go into one queue.
#[derive(Debug)]
pub(super) struct Collected<'a> {
    pub(super) input: &'a [u8],
    pub(super) owned: &'a [Owned],
    pub(super) messages: &'a [MessageRef],
}

impl Batch for Collected<'_> {
    fn len(&self) -> usize {
        self.messages.len()
    }

    #[expect(
        clippy::inline_always,
        reason = "a message that is handed on through memory takes as long to read again as to find"
    )]
    #[inline(always)]
    fn message(&self, index: usize) -> Message<'_> {
        self.messages[index].resolve(self.input, self.owned)
    }

    #[inline]
    fn cost(&self, index: usize) -> usize {
        let message = &self.messages[index];
        usize::from(message.target_len) + (message.properties_len + message.body_len) as usize
    }
}

fn slice(input: &[u8], offset: u32, len: u32) -> &[u8] {
    debug_assert!(
        offset as usize + len as usize <= input.len(),
        "a message is looked for in another input than its own"
    );
    &input[offset as usize..offset as usize + len as usize]
}

/// Where `part`, a slice of `input`, begins in it. An empty one may lie anywhere.
fn offset(input: &[u8], part: &[u8]) -> u32 {
    if part.is_empty() {
        return 0;
    }
    let (part, input) = (part.as_ptr_range(), input.as_ptr_range());
    debug_assert!(
        part.start >= input.start && part.end <= input.end,
        "a message lies in its input"
    );
    small(part.start.addr() - input.start.addr())
}

/// Exchange and routing key, each a short string as on the wire.
pub(super) fn target(exchange: &str, routing_key: &str) -> Bytes {
    let mut target = BytesMut::with_capacity(2 + exchange.len() + routing_key.len());
    for name in [exchange, routing_key] {
        // A name is checked to be that short when it is made.
        target.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        target.put_slice(name.as_bytes());
    }
    target.freeze()
}

/// A length or an index within one batch of input, or of one message: at most 512 MiB.
pub(super) fn small(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_costs_as_much_unread_as_read() {
        let input = b"...\x01e\x02rk\0\0 and a body...";
        let (target, properties, body) = (&input[3..8], &input[8..10], &input[10..21]);
        let owned = [Owned {
            target: super::target("exchange", "key"),
            properties: Bytes::from_static(&[0, 0]),
            body: Bytes::from(vec![0; SHARED_BODY_MIN]),
        }];
        let messages = [
            MessageRef::within(input, target, properties, body, false),
            MessageRef::owned(0, &owned[0], true),
        ];
        let batch = Collected {
            input,
            owned: &owned,
            messages: &messages,
        };
        for index in 0..batch.len() {
            assert_eq!(batch.cost(index), batch.message(index).cost());
        }
    }
}
