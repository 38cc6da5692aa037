//! The short way for a publish whose frames lie side by side in the input: method, header, one body frame or none.
//!
//! Nothing is decoded, copied or allocated. Whatever is not exactly this form is left to the general path, errors included.

use super::channels::{Channels, Phase};
use super::event::{Content, Publish};
use crate::limits::INLINE_MESSAGE_MAX;
use crate::wire::frame::{BODY, CONTENT_HEADER_LEN, END, HEADER, HEADER_LEN, METHOD, OVERHEAD};
use crate::wire::method::basic;
use crate::wire::properties::RawProperties;
use crate::wire::types::ChannelNumber;

/// The beginning of the input, read as a publish.
#[derive(Debug)]
pub(super) enum Split<'a> {
    /// All of it is there, and is this long.
    Whole(Publish<'a>, usize),
    /// So far it is one, and it takes at least this many bytes.
    Wanted(usize),
    /// It is something else.
    Other,
}

/// Class and method.
const PUBLISH: u32 = u32::from_be_bytes(basic::Publish::PREFIX);

/// Octets of the method's payload before the exchange's length: class, method, reserved.
const BEFORE_TARGET: usize = 6;

/// The only flag that this way takes.
const MANDATORY: u8 = 1;

/// Reads a publish from the beginning of `input`.
#[inline]
pub(super) fn split<'a>(
    input: &'a [u8],
    channels: &Channels,
    payload_max: u32,
    body_max: u64,
) -> Split<'a> {
    let Some((method, rest)) = method_frame(input) else {
        return Split::Other;
    };
    if channels.phase(method.channel) != Phase::Open {
        return Split::Other;
    }
    let method_len = input.len() - rest.len();
    let Some((header, properties, after_header)) = header_frame(rest) else {
        return cut_in_header(rest, method_len, method.channel, payload_max);
    };
    if header.channel != method.channel || header.body_size > body_max || header.size > payload_max
    {
        return Split::Other;
    }
    if RawProperties::new(properties)
        .and_then(RawProperties::check)
        .is_err()
    {
        return Split::Other;
    }
    let (body, after) = if header.body_size == 0 {
        (&[][..], after_header)
    } else {
        match body_frame(after_header) {
            Some(body)
                if body.channel == method.channel
                    && body.payload.len() as u64 == header.body_size =>
            {
                (body.payload, body.rest)
            }
            Some(_) => return Split::Other,
            None => {
                return cut_in_body(
                    after_header,
                    input.len() - after_header.len(),
                    method.channel,
                    header.body_size,
                );
            }
        }
    };
    let content = Content::Inline {
        target: method.target,
        properties,
        body,
    };
    let publish = Publish {
        channel: method.channel,
        mandatory: method.flags & MANDATORY != 0,
        content,
    };
    Split::Whole(publish, input.len() - after.len())
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

struct HeaderFrame {
    channel: ChannelNumber,
    size: u32,
    body_size: u64,
}

/// A whole content header frame of the basic class, its properties, and what comes after it.
#[inline]
fn header_frame(input: &[u8]) -> Option<(HeaderFrame, &[u8], &[u8])> {
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
    };
    (end == END).then_some((header, properties, rest))
}

struct BodyFrame<'a> {
    channel: ChannelNumber,
    payload: &'a [u8],
    rest: &'a [u8],
}

/// A whole body frame.
#[inline]
fn body_frame(input: &[u8]) -> Option<BodyFrame<'_>> {
    let (&[kind, c0, c1, s0, s1, s2, s3], rest) = input.split_first_chunk()?;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    let (payload, rest) = rest.split_at_checked(size)?;
    let (&end, rest) = rest.split_first()?;
    let channel = ChannelNumber(u16::from_be_bytes([c0, c1]));
    (kind == BODY && end == END).then_some(BodyFrame {
        channel,
        payload,
        rest,
    })
}

/// No whole content header begins here: is that because the input ends?
#[cold]
fn cut_in_header(
    rest: &[u8],
    before: usize,
    channel: ChannelNumber,
    payload_max: u32,
) -> Split<'_> {
    wanted_of_frame(rest, before, HEADER, channel, payload_max as usize)
}

/// No whole body frame begins here: is that because the input ends?
#[cold]
fn cut_in_body(rest: &[u8], before: usize, channel: ChannelNumber, body_size: u64) -> Split<'_> {
    if let Some(&[_, _, _, s0, s1, s2, s3]) = rest.first_chunk() {
        // It is only worth waiting for if the first frame holds the whole body.
        if u64::from(u32::from_be_bytes([s0, s1, s2, s3])) != body_size {
            return Split::Other;
        }
    }
    wanted_of_frame(
        rest,
        before,
        BODY,
        channel,
        usize::try_from(body_size).unwrap_or(usize::MAX),
    )
}

/// How much more there must be of a frame that begins here, if it can be of this type and channel at all.
fn wanted_of_frame<'a>(
    rest: &[u8],
    before: usize,
    kind: u8,
    channel: ChannelNumber,
    payload_max: usize,
) -> Split<'a> {
    let [c0, c1] = channel.0.to_be_bytes();
    if rest
        .iter()
        .zip([kind, c0, c1])
        .any(|(found, expected)| *found != expected)
    {
        return Split::Other;
    }
    let wanted = match rest.first_chunk() {
        None => HEADER_LEN,
        Some(&[_, _, _, s0, s1, s2, s3]) => {
            let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
            // What is whole and still not taken is not of the form.
            if size > payload_max || rest.len() >= size + OVERHEAD {
                return Split::Other;
            }
            size + OVERHEAD
        }
    };
    let wanted = before + wanted;
    if wanted > INLINE_MESSAGE_MAX {
        Split::Other
    } else {
        Split::Wanted(wanted)
    }
}
