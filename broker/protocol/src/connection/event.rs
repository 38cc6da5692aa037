//! What the peer said, and how a conversation fails.

use bytes::Bytes;

use crate::exception::{ChannelException, ConnectionException};
use crate::wire::WireError;
use crate::wire::cursor::Cursor;
use crate::wire::frame::END;
use crate::wire::method::{Method, basic, channel};
use crate::wire::properties::RawProperties;
use crate::wire::types::{ChannelNumber, ShortString, VhostName};

/// The next thing that the peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It wants to log in. To be answered by `accept_login` or `refuse_login`; what it says of
    /// itself is in `client`.
    Login {
        /// One of those that were offered.
        mechanism: ShortString,
        /// What the mechanism asks for.
        response: Bytes,
        /// The language that it wants; there is only `en_US`.
        locale: ShortString,
    },
    /// It wants to enter a virtual host. To be answered by `accept_open` or `close`.
    Open {
        /// The virtual host.
        vhost: VhostName,
    },
    /// It wants to use this channel. To be answered by `accept_channel` or `raise`.
    ChannelOpen(ChannelNumber),
    /// It has closed this channel. To be answered by `release_channel` once nothing is left of it.
    ChannelClose {
        /// The channel.
        channel: ChannelNumber,
        /// Why.
        reply_code: u16,
        /// Why, in words.
        reply_text: ShortString,
    },
    /// It has seen that the server closed this channel. The number is free again.
    ChannelReleased(ChannelNumber),
    /// It publishes.
    Publish(Publish<'a>),
    /// It broke a rule on this channel. To be answered by `raise` with this exception, once the
    /// caller has let go of what it holds for the channel.
    Refused {
        /// The channel.
        channel: ChannelNumber,
        /// Why.
        exception: ChannelException,
    },
    /// It asks for something else that a broker must answer. On channel 0 that is only
    /// `connection.update-secret`.
    Method(ChannelNumber, Method),
    /// It has closed the connection. The answer is written.
    Close {
        /// Why.
        reply_code: u16,
        /// Why, in words.
        reply_text: ShortString,
    },
    /// It has seen that the server closed the connection. The socket may be dropped.
    CloseOk,
}

impl Event<'_> {
    pub(super) fn channel_close(channel: ChannelNumber, close: channel::Close) -> Self {
        let channel::Close {
            reply_code,
            reply_text,
            ..
        } = close;
        Self::ChannelClose {
            channel,
            reply_code,
            reply_text,
        }
    }
}

/// A message on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The channel that it came on.
    pub channel: ChannelNumber,
    /// It comes back if no queue takes it.
    pub mandatory: bool,
    /// All the rest.
    pub content: Content<'a>,
}

impl Publish<'_> {
    /// How many publishes come right behind this one, `most` at most, that differ from it in the octets of
    /// their bodies only. It takes the first `length` octets of `input`.
    ///
    /// They need not be read: what was found of this one holds for each of them. One costs a comparison of
    /// what stands before its body.
    pub fn repeats(&self, input: &[u8], length: usize, most: usize) -> usize {
        let Content::Inline { body, .. } = self.content else {
            return 0;
        };
        // A body is followed by the end of its frame; without one there is no such frame.
        let behind_head = if body.is_empty() { 0 } else { body.len() + 1 };
        let Some((head, _)) = input.split_at_checked(length.saturating_sub(behind_head)) else {
            return 0;
        };
        let mut rest = input.get(length..).unwrap_or_default();
        let mut count = 0;
        while count < most
            && let Some((next, behind)) = rest.split_at_checked(length)
            && next.starts_with(head)
            && next.last() == Some(&END)
        {
            count += 1;
            rest = behind;
        }
        count
    }
}

/// Where a message goes and what it is. The properties are checked ([`RawProperties::check`]), the
/// names in the target are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// All three lay side by side in the input: nothing was copied.
    Inline {
        /// Exchange name and routing key as on the wire, each behind its length.
        target: &'a [u8],
        /// Flags and list as on the wire.
        properties: &'a [u8],
        /// The body.
        body: &'a [u8],
    },
    /// It came in several pieces and was put together once.
    Assembled {
        /// Exchange name and routing key as on the wire, each behind its length.
        target: Bytes,
        /// Flags and list as on the wire.
        properties: Bytes,
        /// The body.
        body: Bytes,
    },
}

impl Content<'_> {
    /// Exchange name and routing key as on the wire, each behind its length.
    #[inline]
    pub fn target(&self) -> &[u8] {
        match self {
            Self::Inline { target, .. } => target,
            Self::Assembled { target, .. } => target,
        }
    }

    /// Flags and list as on the wire.
    #[inline]
    pub fn properties(&self) -> &[u8] {
        match self {
            Self::Inline { properties, .. } => properties,
            Self::Assembled { properties, .. } => properties,
        }
    }

    /// Flags and list, to look single properties up.
    #[inline]
    pub fn raw_properties(&self) -> RawProperties<'_> {
        RawProperties::new(self.properties()).unwrap_or_default()
    }

    /// The body.
    #[inline]
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Inline { body, .. } => body,
            Self::Assembled { body, .. } => body,
        }
    }

    /// Exchange name and routing key.
    ///
    /// # Errors
    /// 501 if either is not UTF-8.
    pub fn names(&self) -> Result<(&str, &str), ConnectionException> {
        split_target(self.target()).map_err(|error| {
            ConnectionException::frame_error(error.to_string())
                .at(basic::CLASS_ID, basic::Publish::METHOD_ID)
        })
    }
}

/// Splits exchange name and routing key as on the wire, each behind its length.
///
/// # Errors
/// [`WireError::MalformedUtf8`], or what is wrong with the lengths.
pub fn split_target(target: &[u8]) -> Result<(&str, &str), WireError> {
    let mut cursor = Cursor::new(target);
    let exchange = cursor.short_str()?;
    let routing_key = cursor.short_str()?;
    cursor.finish()?;
    Ok((exchange, routing_key))
}

/// How a conversation fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Write what there is, and drop the socket.
    #[error(transparent)]
    Drop(#[from] DropReason),
    /// A close frame is written. The conversation goes on until the peer has answered it or a timer
    /// ends it.
    #[error(transparent)]
    Close(#[from] ConnectionException),
}

/// Why the socket is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// It speaks HTTP.
    #[error("this looks like an HTTP request on the AMQP port")]
    Http,
    /// It speaks TLS.
    #[error("this looks like a TLS client on the plain AMQP port")]
    Tls,
    /// It speaks something else, or another version.
    #[error("bad protocol header {}", .0.escape_ascii())]
    ProtocolHeader([u8; 8]),
    /// It took too long to log in and to enter a virtual host.
    #[error("the handshake took too long")]
    HandshakeTimeout,
    /// Nothing came from it for two heartbeat intervals.
    #[error("missed heartbeats from the client")]
    HeartbeatTimeout,
    /// It did not answer `connection.close`, or did not hang up.
    #[error("the client did not finish closing in time")]
    CloseTimeout,
}
