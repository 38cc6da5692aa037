//! Frames: a header of seven octets, a payload, an end marker (spec 4.2.3).
//!
//! ```text
//! 0      1         3             7                  size+7 size+8
//! +------+---------+-------------+  +------------+  +-----------+
//! | type | channel |     size    |  |  payload   |  | frame-end |
//! +------+---------+-------------+  +------------+  +-----------+
//! ```

use super::method::AnyMethod;
use super::types::ChannelNumber;

/// What a client sends before anything else, and what a server answers when it was something else
/// (spec 4.2.2).
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// Octets before the payload.
pub const HEADER_LEN: usize = 7;

/// Octets of a frame that are not payload.
pub const OVERHEAD: usize = HEADER_LEN + 1;

/// The octet after the payload.
pub const END: u8 = 0xCE;

/// A frame that carries a method.
pub const METHOD: u8 = 1;
/// A frame that carries a content header.
pub const HEADER: u8 = 2;
/// A frame that carries a piece of a content body.
pub const BODY: u8 = 3;
/// A frame that only shows that the peer is there.
pub const HEARTBEAT: u8 = 8;

/// Octets of a content header before the properties: class, weight and body size.
pub const CONTENT_HEADER_LEN: usize = 12;

/// One frame, where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// One of the four types, or a number that no type has.
    pub kind: u8,
    /// The channel that it belongs to.
    pub channel: ChannelNumber,
    /// What is between the header and the end marker.
    pub payload: &'a [u8],
}

/// The beginning of some bytes, read as a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// A frame is there.
    Whole(Frame<'a>),
    /// It takes this many bytes in all before more can be said.
    Wanted(usize),
    /// The payload would be longer than allowed. Where the next frame begins is not known any more.
    TooLarge {
        /// The type in the header.
        kind: u8,
        /// The size in the header.
        size: u32,
    },
    /// The end marker is another octet. Where the next frame begins is not known any more.
    BadEnd {
        /// The frame up to the wrong octet.
        frame: Frame<'a>,
        /// The octet that is there.
        end: u8,
    },
}

/// Reads one frame of at most `payload_max` octets from the beginning of `input`.
#[inline]
pub fn split(input: &[u8], payload_max: u32) -> Split<'_> {
    let Some((&[kind, c0, c1, s0, s1, s2, s3], rest)) = input.split_first_chunk() else {
        return Split::Wanted(HEADER_LEN);
    };
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    if size > payload_max {
        return Split::TooLarge { kind, size };
    }
    let length = size as usize;
    let Some((payload, &[end, ..])) = rest.split_at_checked(length) else {
        return Split::Wanted(length + OVERHEAD);
    };
    let frame = Frame {
        kind,
        channel: ChannelNumber(u16::from_be_bytes([c0, c1])),
        payload,
    };
    if end == END {
        Split::Whole(frame)
    } else {
        Split::BadEnd { frame, end }
    }
}

/// Appends a frame with this payload.
pub fn write_frame(kind: u8, channel: ChannelNumber, payload: &[u8], out: &mut Vec<u8>) {
    write_header(kind, channel, payload.len(), out);
    out.extend_from_slice(payload);
    out.push(END);
}

/// Appends a method frame.
pub fn write_method_frame<M: AnyMethod + ?Sized>(
    channel: ChannelNumber,
    method: &M,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    write_header(METHOD, channel, 0, out);
    method.encode(out);
    let size = u32::try_from(out.len() - start - HEADER_LEN).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start + 3..start + HEADER_LEN) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    out.push(END);
}

/// Appends a content header frame. `properties` are flags and list as on the wire.
pub fn write_header_frame(
    channel: ChannelNumber,
    body_size: u64,
    properties: &[u8],
    out: &mut Vec<u8>,
) {
    write_header(HEADER, channel, CONTENT_HEADER_LEN + properties.len(), out);
    out.extend_from_slice(&super::method::basic::CLASS_ID.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&body_size.to_be_bytes());
    out.extend_from_slice(properties);
    out.push(END);
}

/// Appends as many body frames as `frame_max` asks for; none for an empty body. `frame_max` counts
/// whole frames; 0 means no limit.
pub fn write_body_frames(channel: ChannelNumber, body: &[u8], frame_max: u32, out: &mut Vec<u8>) {
    let payload_max = match frame_max {
        0 => u32::MAX as usize,
        _ => (frame_max as usize).saturating_sub(OVERHEAD).max(1),
    };
    for piece in body.chunks(payload_max) {
        write_frame(BODY, channel, piece, out);
    }
}

/// Appends a content: its header frame and its body frames.
pub fn write_content(
    channel: ChannelNumber,
    properties: &[u8],
    body: &[u8],
    frame_max: u32,
    out: &mut Vec<u8>,
) {
    write_header_frame(channel, body.len() as u64, properties, out);
    write_body_frames(channel, body, frame_max, out);
}

/// Appends a heartbeat.
pub fn write_heartbeat(out: &mut Vec<u8>) {
    write_frame(HEARTBEAT, ChannelNumber::CONNECTION, &[], out);
}

fn write_header(kind: u8, channel: ChannelNumber, size: usize, out: &mut Vec<u8>) {
    let [c0, c1] = channel.0.to_be_bytes();
    let [s0, s1, s2, s3] = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&[kind, c0, c1, s0, s1, s2, s3]);
}
