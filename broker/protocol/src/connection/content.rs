//! The general way for a publish: its frames come one at a time, with those of other channels
//! between them.
//!
//! Memory grows with what has arrived, never with what was announced.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::event::{Content, Publish};
use crate::exception::{ChannelException, ConnectionException, Exception};
use crate::limits::{ASSEMBLED_MESSAGES_MAX, BODY_SIZE_MAX, FRAME_MAX_FLOOR};
use crate::wire::WireError;
use crate::wire::cursor::Cursor;
use crate::wire::frame::{BODY, Frame, HEADER};
use crate::wire::method::basic;
use crate::wire::properties::RawProperties;
use crate::wire::types::ChannelNumber;

/// The arguments of `basic.publish`, where they lie.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    target: &'a [u8],
    mandatory: bool,
    /// No longer implemented.
    pub(super) immediate: bool,
}

impl<'a> Arguments<'a> {
    /// Splits the payload of a method frame, class and method included.
    pub(super) fn split(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor::new(payload);
        cursor.take(6)?;
        let from = cursor.rest();
        cursor.short_bytes()?;
        cursor.short_bytes()?;
        let target = Cursor::new(from).take(from.len() - cursor.rest().len())?;
        let flags = cursor.u8()?;
        cursor.finish()?;
        Ok(Self {
            target,
            mandatory: flags & 1 != 0,
            immediate: flags & 2 != 0,
        })
    }
}

/// One message that is not whole.
#[derive(Debug)]
struct Assembly {
    mandatory: bool,
    target: Bytes,
    /// Once the content header is there.
    header: Option<Header>,
    body: Vec<u8>,
}

impl Assembly {
    /// How many octets it holds.
    fn len(&self) -> u64 {
        let properties = self
            .header
            .as_ref()
            .map_or(0, |header| header.properties.len());
        (self.target.len() + properties + self.body.len()) as u64
    }
}

#[derive(Debug)]
struct Header {
    body_size: u64,
    properties: Bytes,
}

/// All messages of a connection that are not whole, at most one for each channel.
#[derive(Debug)]
pub(super) struct Assemblies {
    by_channel: BTreeMap<ChannelNumber, Assembly>,
    held: u64,
    held_max: u64,
    size_max: u64,
}

impl Assemblies {
    /// No message; none may be larger than this.
    pub(super) fn new(size_max: u64) -> Self {
        Self {
            by_channel: BTreeMap::new(),
            held: 0,
            held_max: size_max
                .max(u64::from(FRAME_MAX_FLOOR))
                .saturating_mul(ASSEMBLED_MESSAGES_MAX),
            size_max,
        }
    }

    /// How many octets are held.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// A publish begins on a channel that is in no other.
    pub(super) fn begin(&mut self, channel: ChannelNumber, arguments: &Arguments<'_>) {
        let assembly = Assembly {
            mandatory: arguments.mandatory,
            target: Bytes::copy_from_slice(arguments.target),
            header: None,
            body: Vec::new(),
        };
        self.held += assembly.len();
        self.by_channel.insert(channel, assembly);
    }

    /// Forgets what there is of a message on this channel.
    pub(super) fn drop_channel(&mut self, channel: ChannelNumber) {
        if let Some(assembly) = self.by_channel.remove(&channel) {
            self.held -= assembly.len();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.by_channel.clear();
        self.held = 0;
    }

    /// Takes the next frame of a channel on which a publish was begun. `None` means that the
    /// message is still not whole.
    ///
    /// # Errors
    /// 505 for a frame of another kind than is due, 501 for a body that is too long or properties
    /// that are malformed, 406 on the channel for a message above the configured size, 506 if too
    /// much is held for the connection as a whole.
    pub(super) fn frame(
        &mut self,
        frame: Frame<'_>,
    ) -> Result<Option<Publish<'static>>, Exception> {
        let Some(assembly) = self.by_channel.get_mut(&frame.channel) else {
            return Ok(None);
        };
        let len_before = assembly.len();
        let is_whole = match &assembly.header {
            None => {
                let header = content_header(frame, self.size_max)?;
                assembly.header.insert(header).body_size == 0
            }
            Some(header) => {
                append(&mut assembly.body, frame, header.body_size)?;
                assembly.body.len() as u64 == header.body_size
            }
        };
        self.held += assembly.len() - len_before;
        if is_whole {
            return Ok(self.finish(frame.channel));
        }
        if self.held > self.held_max {
            let text = "too many messages are published at once on this connection";
            return Err(ConnectionException::resource_error(text).into());
        }
        Ok(None)
    }

    fn finish(&mut self, channel: ChannelNumber) -> Option<Publish<'static>> {
        let assembly = self.by_channel.remove(&channel)?;
        self.held -= assembly.len();
        let Assembly {
            mandatory,
            target,
            header,
            body,
        } = assembly;
        let content = Content::Assembled {
            target,
            properties: header?.properties,
            body: body.into(),
        };
        Some(Publish {
            channel,
            mandatory,
            content,
        })
    }
}

/// Reads a content header where one is due.
fn content_header(frame: Frame<'_>, size_max: u64) -> Result<Header, Exception> {
    let class = basic::CLASS_ID;
    let not_a_header = || {
        let text = format!(
            "expected content header for class {class}, got non content header frame instead"
        );
        ConnectionException::unexpected_frame(text)
    };
    if frame.kind != HEADER {
        return Err(not_a_header().into());
    }
    let mut cursor = Cursor::new(frame.payload);
    let (Ok(class_id), Ok(weight), Ok(body_size)) = (cursor.u16(), cursor.u16(), cursor.u64())
    else {
        return Err(not_a_header().into());
    };
    if weight != 0 {
        return Err(not_a_header().into());
    }
    if class_id != class {
        let text = format!(
            "expected content header for class {class}, got one for class {class_id} instead"
        );
        return Err(ConnectionException::unexpected_frame(text).into());
    }
    if body_size > BODY_SIZE_MAX {
        let text =
            format!("content body size {body_size} exceeds maximum allowed size {BODY_SIZE_MAX}");
        return Err(ConnectionException::frame_error(text).into());
    }
    RawProperties::new(cursor.rest())
        .and_then(RawProperties::check)
        .map_err(|error| {
            ConnectionException::frame_error(format!("cannot decode content properties: {error}"))
        })?;
    if body_size > size_max {
        let limit = if size_max == BODY_SIZE_MAX {
            "max size"
        } else {
            "configured max size"
        };
        let text = format!("message size {body_size} is larger than {limit} {size_max}");
        return Err(ChannelException::precondition_failed(text).into());
    }
    Ok(Header {
        body_size,
        properties: Bytes::copy_from_slice(cursor.rest()),
    })
}

/// Adds a piece of a body where one is due.
fn append(body: &mut Vec<u8>, frame: Frame<'_>, body_size: u64) -> Result<(), ConnectionException> {
    if frame.kind != BODY {
        let text = "expected content body, got non content body frame instead";
        return Err(ConnectionException::unexpected_frame(text));
    }
    let missing = body_size - body.len() as u64;
    if frame.payload.len() as u64 > missing {
        return Err(ConnectionException::frame_error(
            "content body frame exceeds remaining content size",
        ));
    }
    if body.capacity() - body.len() < frame.payload.len() {
        // Twice what is there, but never beyond the end: a whole body then fills its memory
        // exactly.
        let doubled = frame.payload.len().max(body.len());
        body.reserve_exact(usize::try_from(missing).unwrap_or(usize::MAX).min(doubled));
    }
    body.extend_from_slice(frame.payload);
    Ok(())
}
