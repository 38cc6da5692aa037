//! The short way for what clients say most: a publish whose frames lie side by side in the input
//! (method, header, one body frame or none), and an acknowledgement.
//!
//! Nothing is copied or allocated. Whatever is not exactly this form is left to the
//! general path, errors included.

use super::channels::{Channels, Phase};
use super::event::{Content, Publish};
use crate::limits::INLINE_MESSAGE_MAX;
use crate::wire::frame::{BODY, CONTENT_HEADER_LEN, END, HEADER, HEADER_LEN, METHOD, OVERHEAD};
use crate::wire::method::basic;
use crate::wire::properties::RawProperties;
use crate::wire::types::{ChannelNumber, DeliveryTag};

/// Class and method.
const PUBLISH: u32 = u32::from_be_bytes(basic::Publish::PREFIX);

/// Octets of the method's payload before the exchange's length: class, method, reserved.
const BEFORE_TARGET: usize = 6;

/// The only flag that this way takes.
const MANDATORY: u8 = 1;

/// What a publish must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The largest payload of a frame.
    pub(super) payload_max: u32,
    /// The largest body.
    pub(super) body_max: u64,
}

/// Reads a publish from the beginning of `input`, and says how long it is.
#[expect(clippy::inline_always, reason = "see `Connection::next_publish`")]
#[inline(always)]
pub(super) fn split<'a>(
    input: &'a [u8],
    channels: &Channels,
    bounds: Bounds,
) -> Option<(Publish<'a>, usize)> {
    let (method, rest) = method_frame(input)?;
    if channels.phase(method.channel) != Phase::Open {
        return None;
    }
    let (header, rest) = header_frame(rest)?;
    if !header.is_due(method.channel, bounds) {
        return None;
    }
    let (body, rest) = match header.body_size {
        0 => (&[][..], rest),
        body_size => {
            let (body, rest) = body_frame(rest)?;
            let whole = body.payload.len() as u64 == body_size;
            if body.channel != method.channel || !whole || body_size > bounds.payload_max.into() {
                return None;
            }
            (body.payload, rest)
        }
    };
    let content = Content::Inline {
        target: method.target,
        properties: header.properties,
        body,
    };
    let publish = Publish {
        channel: method.channel,
        mandatory: method.flags & MANDATORY != 0,
        content,
    };
    Some((publish, input.len() - rest.len()))
}

/// Octets of a `basic.ack` frame: class, method, delivery tag and flags are its payload.
const ACK_LEN: usize = OVERHEAD + 13;

/// Reads a `basic.ack` from the beginning of `input`.
#[inline]
pub(super) fn split_ack(
    input: &[u8],
    channels: &Channels,
) -> Option<(ChannelNumber, basic::Ack, usize)> {
    let &[kind, c0, c1, s0, s1, s2, s3, i0, i1, i2, i3, ref rest @ ..] =
        input.first_chunk::<ACK_LEN>()?;
    let &[t0, t1, t2, t3, t4, t5, t6, t7, flags, end] = rest;
    let is_ack = kind == METHOD
        && u32::from_be_bytes([s0, s1, s2, s3]) as usize == ACK_LEN - OVERHEAD
        && [i0, i1, i2, i3] == basic::Ack::PREFIX
        && end == END;
    let channel = ChannelNumber(u16::from_be_bytes([c0, c1]));
    if !is_ack || channels.phase(channel) != Phase::Open {
        return None;
    }
    let delivery_tag = DeliveryTag(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
    Some((
        channel,
        basic::Ack {
            delivery_tag,
            multiple: flags & 1 != 0,
        },
        ACK_LEN,
    ))
}

/// How long `input` must be at least to be a publish, if so far it can be one and only its end is
/// missing.
pub(super) fn wanted(input: &[u8], channels: &Channels, bounds: Bounds) -> Option<usize> {
    let (method, rest) = method_frame(input)?;
    if channels.phase(method.channel) != Phase::Open {
        return None;
    }
    let (before, missing) = match header_frame(rest) {
        None => (
            rest,
            missing_of_frame(rest, HEADER, method.channel, bounds.payload_max)?,
        ),
        Some((header, rest)) => {
            // It is only worth waiting for if the first frame can hold the whole body.
            let size = u32::try_from(header.body_size)
                .ok()
                .filter(|size| (1..=bounds.payload_max).contains(size))?;
            if !header.is_due(method.channel, bounds)
                || announced_size(rest).is_some_and(|announced| announced != size)
            {
                return None;
            }
            (rest, missing_of_frame(rest, BODY, method.channel, size)?)
        }
    };
    let wanted = input.len() - before.len() + missing;
    (wanted <= INLINE_MESSAGE_MAX).then_some(wanted)
}

struct MethodFrame<'a> {
    channel: ChannelNumber,
    target: &'a [u8],
    flags: u8,
}

/// A whole `basic.publish` frame with no other flag than `mandatory`, and what comes after it.
#[inline]
fn method_frame(input: &[u8]) -> Option<(MethodFrame<'_>, &[u8])> {
    let (&[kind, c0, c1, s0, s1, s2, s3, i0, i1, i2, i3, _, _], rest) =
        input.split_first_chunk()?;
    if kind != METHOD || u32::from_be_bytes([i0, i1, i2, i3]) != PUBLISH {
        return None;
    }
    let exchange_len = usize::from(*rest.first()?);
    let key_len = usize::from(*rest.get(1 + exchange_len)?);
    let (target, rest) = rest.split_at_checked(2 + exchange_len + key_len)?;
    let (&[flags, end], rest) = rest.split_first_chunk()?;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    let is_plain = flags & 2 == 0 && end == END && size == BEFORE_TARGET + target.len() + 1;
    let channel = ChannelNumber(u16::from_be_bytes([c0, c1]));
    is_plain.then_some((
        MethodFrame {
            channel,
            target,
            flags,
        },
        rest,
    ))
}

struct HeaderFrame<'a> {
    channel: ChannelNumber,
    size: u32,
    body_size: u64,
    properties: &'a [u8],
}

impl HeaderFrame<'_> {
    /// Whether it may follow a publish on this channel.
    #[inline]
    fn is_due(&self, channel: ChannelNumber, bounds: Bounds) -> bool {
        self.channel == channel
            && self.size <= bounds.payload_max
            && self.body_size <= bounds.body_max
            && RawProperties::new(self.properties)
                .and_then(RawProperties::check)
                .is_ok()
    }
}

/// A whole content header frame of the basic class, and what comes after it.
#[inline]
fn header_frame(input: &[u8]) -> Option<(HeaderFrame<'_>, &[u8])> {
    let (&[kind, c0, c1, s0, s1, s2, s3, i0, i1, w0, w1], rest) = input.split_first_chunk()?;
    let (body_size, rest) = rest.split_first_chunk()?;
    let class_and_weight = u32::from_be_bytes([i0, i1, w0, w1]);
    if kind != HEADER || class_and_weight != u32::from(basic::CLASS_ID) << 16 {
        return None;
    }
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    let (properties, rest) =
        rest.split_at_checked((size as usize).checked_sub(CONTENT_HEADER_LEN)?)?;
    let (&end, rest) = rest.split_first()?;
    let channel = ChannelNumber(u16::from_be_bytes([c0, c1]));
    let header = HeaderFrame {
        channel,
        size,
        body_size: u64::from_be_bytes(*body_size),
        properties,
    };
    (end == END).then_some((header, rest))
}

struct BodyFrame<'a> {
    channel: ChannelNumber,
    payload: &'a [u8],
}

/// A whole body frame, and what comes after it.
#[inline]
fn body_frame(input: &[u8]) -> Option<(BodyFrame<'_>, &[u8])> {
    let (&[kind, c0, c1, s0, s1, s2, s3], rest) = input.split_first_chunk()?;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    let (payload, rest) = rest.split_at_checked(size)?;
    let (&end, rest) = rest.split_first()?;
    let channel = ChannelNumber(u16::from_be_bytes([c0, c1]));
    (kind == BODY && end == END).then_some((BodyFrame { channel, payload }, rest))
}

/// How long `rest` must be to be a frame of this type and channel, if so far it can be one and its
/// end is missing.
fn missing_of_frame(
    rest: &[u8],
    kind: u8,
    channel: ChannelNumber,
    payload_max: u32,
) -> Option<usize> {
    let [c0, c1] = channel.0.to_be_bytes();
    if rest
        .iter()
        .zip([kind, c0, c1])
        .any(|(found, due)| *found != due)
    {
        return None;
    }
    let Some(size) = announced_size(rest) else {
        return Some(HEADER_LEN);
    };
    let length = size as usize + OVERHEAD;
    (size <= payload_max && rest.len() < length).then_some(length)
}

/// The size in a frame's header.
fn announced_size(frame: &[u8]) -> Option<u32> {
    let &[_, _, _, s0, s1, s2, s3] = frame.first_chunk()?;
    Some(u32::from_be_bytes([s0, s1, s2, s3]))
}
