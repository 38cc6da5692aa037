//! Messages that ask for more than to be routed by their key: several keys, direct replies, and properties that the broker
//! vouches for.

use std::borrow::Cow;

use amphora_core::message::{Body, Message};
use amphora_core::queue::Attempts;
use amphora_protocol::exception::{ChannelException, ConnectionException, Exception};
use amphora_protocol::limits::EXPIRATION_MS_MAX;
use amphora_protocol::wire::properties::{RawProperties, flag};
use amphora_protocol::wire::table::FieldValue;
use amphora_protocol::wire::types::ShortString;
use bytes::Bytes;

use crate::auth::VhostAccess;

use super::batch::Owned;
use super::ingress::{Ingress, Outcome, names};
use super::peer::Touched;
use super::principal;
use super::reply_to::{REPLY_TO, REPLY_TO_PREFIX};

/// Properties that the broker itself must look at, beside the headers and the delivery mode.
const WATCHED: u16 = flag::REPLY_TO | flag::EXPIRATION | flag::USER_ID;

/// Publishes a message by the general way: also to somebody who waits for a direct reply. `input` is that of what was collected before.
pub(super) fn publish(
    access: &VhostAccess,
    ingress: &mut Ingress,
    message: Owned,
    input: &[u8],
    touched: &mut Touched,
) -> Result<Outcome, Exception> {
    let (exchange, key) = names(&message.target)?;
    principal::may_publish(access, &ingress.vhost, exchange, key)?;
    if exchange.is_empty() && key.starts_with(REPLY_TO_PREFIX) {
        let requesters = &ingress.vhost.reply_consumers;
        let delivered = requesters.deliver(key, borrowed(&message), touched);
        return Ok(if delivered {
            Outcome::Routed
        } else {
            Outcome::Unroutable
        });
    }
    ingress.publish(message, input)
}

/// What a message wants of the broker beside its routing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asks {
    /// Its `reply-to` stands for the requester's own address.
    pub(super) reply_address: bool,
    /// Its headers name further routing keys.
    pub(super) copies: bool,
}

/// Checks the properties that the broker looks at.
pub(super) fn check(access: &VhostAccess, properties: &[u8]) -> Result<Asks, Exception> {
    let properties = RawProperties::new(properties).map_err(syntax)?;
    if let Some(expiration) = properties.expiration().map_err(syntax)? {
        check_expiration(expiration)?;
    }
    if let Some(user) = properties.user_id().map_err(syntax)? {
        let own = access.user();
        if user != &**own && !access.identity().may_impersonate() {
            return Err(ChannelException::precondition_failed(format!(
                "user_id property set to '{user}' but authenticated user was '{own}'"
            ))
            .into());
        }
    }
    if let Some(mode) = properties.delivery_mode().map_err(syntax)?
        && !matches!(mode, 1 | 2)
    {
        let text = format!("invalid message: {{delivery_mode_unknown,{mode}}}");
        return Err(ChannelException::precondition_failed(text).into());
    }
    Ok(Asks {
        reply_address: properties.reply_to().map_err(syntax)? == Some(REPLY_TO),
        copies: mentions_copies(properties)?,
    })
}

/// The properties with the requester's own address in the place of the name that all requesters use.
pub(super) fn with_reply_to(properties: &[u8], name: &str) -> Result<Bytes, Exception> {
    let raw = RawProperties::new(properties).map_err(syntax)?;
    let mut decoded = raw.decode().map_err(syntax)?;
    decoded.reply_to = Some(ShortString::cut(name));
    Ok(decoded.to_bytes())
}

/// Why a request for direct replies cannot be published.
pub(super) fn no_reply_consumer() -> Exception {
    ChannelException::precondition_failed("fast reply consumer does not exist").into()
}

/// Whether the message goes to somebody who waits for a direct reply: default exchange, key with the prefix.
pub(super) fn is_reply(target: &[u8]) -> bool {
    target.first() == Some(&0)
        && target
            .get(2..)
            .is_some_and(|key| key.starts_with(REPLY_TO_PREFIX.as_bytes()))
}

pub(super) fn borrowed(message: &Owned) -> Message<'_> {
    Message {
        target: &message.target,
        properties: &message.properties,
        body: Body::Shared(&message.body),
        persistent: false,
    }
}

/// A quick look, so that headers without further routing keys are not decoded.
pub(super) fn mentions_copies(properties: RawProperties<'_>) -> Result<bool, Exception> {
    mentions(properties, b"CC")
}

/// Whether this is somewhere in the headers, perhaps as the name of one.
#[inline]
fn mentions(properties: RawProperties<'_>, name: &[u8]) -> Result<bool, Exception> {
    let headers = properties.headers_raw().map_err(syntax)?;
    let headers = headers.unwrap_or_default();
    Ok(headers.contains(&b'C') && headers.windows(name.len()).any(|part| part == name))
}

/// Nobody may see whom else the message went to.
pub(super) fn without_bcc(properties: RawProperties<'_>) -> Result<Bytes, Exception> {
    let mut decoded = properties.decode().map_err(syntax)?;
    if let Some(headers) = &mut decoded.headers {
        headers.remove(BCC);
    }
    Ok(decoded.to_bytes())
}

/// The message as it goes back to its publisher: as in RabbitMQ without its BCC, and otherwise byte for byte.
pub(super) fn returned(message: &Owned) -> Cow<'_, Owned> {
    let properties = RawProperties::new(&message.properties);
    // They were checked when the message was read.
    let stripped = properties
        .ok()
        .filter(|properties| mentions(*properties, b"BCC").unwrap_or(false))
        .and_then(|properties| without_bcc(properties).ok());
    match stripped {
        None => Cow::Borrowed(message),
        Some(properties) => Cow::Owned(Owned {
            properties,
            ..message.clone()
        }),
    }
}

/// In the lower byte of the flags that properties begin with, one that means nothing on the wire. Within the broker: the header `BCC` is
/// only there for dead letters, which go to its keys, too.
const HIDES_COPIES: u8 = 1 << 1;

/// The header with further routing keys that only the broker sees.
pub(super) const BCC: &str = "BCC";

/// The properties of a message in a queue, with a `BCC` header that nobody may see.
pub(super) fn with_hidden_copies(properties: &[u8]) -> Bytes {
    let mut marked = properties.to_vec();
    if let Some(flags) = marked.get_mut(1) {
        *flags |= HIDES_COPIES;
    }
    marked.into()
}

/// Whether the properties have a header that nobody may see. If a client sets that flag itself, its own BCC is hidden, as it should be.
#[inline]
pub(super) fn hides_copies(properties: &[u8]) -> bool {
    const BOTH: u16 = flag::HEADERS | HIDES_COPIES as u16;
    let flags = properties.first_chunk();
    flags.is_some_and(|flags| u16::from_be_bytes(*flags) & BOTH == BOTH)
}

/// The properties as others see them: without what is hidden, and with how often the message came back, in RabbitMQ's headers
/// `x-delivery-count` and `x-acquired-count`. None if they are as they are.
pub(super) fn shown(properties: &[u8], attempts: Option<Attempts>) -> Option<Bytes> {
    let hides_copies = hides_copies(properties);
    if attempts.is_none() && !hides_copies {
        return None;
    }
    // They were checked when the message was published.
    let mut decoded = RawProperties::new(properties).ok()?.decode().ok()?;
    let headers = decoded.headers.get_or_insert_default();
    if hides_copies {
        headers.remove(BCC);
    }
    if let Some(Attempts {
        failed, acquired, ..
    }) = attempts
    {
        for (name, count) in [("x-delivery-count", failed), ("x-acquired-count", acquired)] {
            headers.insert(ShortString::cut(name), FieldValue::I64(count.into()));
        }
    }
    Some(decoded.to_bytes())
}

/// The properties that stand before the delivery mode.
const BEFORE_DELIVERY_MODE: u16 = flag::CONTENT_TYPE | flag::CONTENT_ENCODING | flag::HEADERS;

/// The delivery mode. Most messages have it first in the list, or not at all.
#[inline]
fn delivery_mode(properties: &[u8]) -> Option<u8> {
    let flags = u16::from_be_bytes(*properties.first_chunk()?);
    if flags & flag::DELIVERY_MODE == 0 {
        None
    } else if flags & BEFORE_DELIVERY_MODE == 0 {
        properties.get(2).copied()
    } else {
        let properties = RawProperties::new(properties);
        properties.and_then(RawProperties::delivery_mode).ok()?
    }
}

/// Whether the delivery mode is 2.
#[inline]
pub(super) fn is_persistent(properties: &[u8]) -> bool {
    delivery_mode(properties) == Some(2)
}

/// Whether the broker must look at the properties before the message is routed. Headers are not decoded for that: they are looked through
/// for what might be the name of one that counts.
#[inline]
pub(super) fn is_watched(properties: &[u8]) -> bool {
    has_any(properties, WATCHED | flag::HEADERS | flag::DELIVERY_MODE)
        && (has_any(properties, WATCHED)
            || !matches!(delivery_mode(properties), None | Some(1 | 2))
            || has_any(properties, flag::HEADERS)
                && RawProperties::new(properties)
                    .is_ok_and(|properties| mentions_copies(properties).unwrap_or(true)))
}

/// Whether the message has an expiration.
#[inline]
pub(super) fn expires(properties: &[u8]) -> bool {
    has_any(properties, flag::EXPIRATION)
}

/// Whether the message has any of these properties.
#[inline]
fn has_any(properties: &[u8], flags: u16) -> bool {
    let own = properties.first_chunk();
    own.is_some_and(|own| u16::from_be_bytes(*own) & flags != 0)
}

/// An expiration is a decimal number of milliseconds. The texts are RabbitMQ's.
fn check_expiration(expiration: &str) -> Result<(), Exception> {
    let unsigned = expiration.strip_prefix(['+', '-']).unwrap_or(expiration);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let reason = match unsigned.get(digits..) {
        _ if digits == 0 => "no_integer".to_owned(),
        Some("") if expiration.starts_with('-') => format!("{{value_negative,{expiration}}}"),
        Some("") => match unsigned.parse::<u64>() {
            Ok(ms) if ms <= EXPIRATION_MS_MAX => return Ok(()),
            _ => format!("{{value_too_large,{unsigned}}}"),
        },
        rest => format!("{{leftover_string,\"{}\"}}", rest.unwrap_or_default()),
    };
    let text = format!("invalid expiration '{expiration}': {reason}");
    Err(ChannelException::precondition_failed(text).into())
}

pub(super) fn syntax(error: impl std::fmt::Display) -> Exception {
    ConnectionException::syntax_error(error.to_string()).into()
}
