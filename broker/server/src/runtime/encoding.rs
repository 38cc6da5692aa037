//! Deliveries as they stand on the wire.

use std::ops::Range;

use amphora_core::channel::SourceKey;
use amphora_core::message::{Body, Delivery, Message};
use amphora_protocol::wire::frame::{BODY, HEADER, HEADER_LEN, METHOD};
use amphora_protocol::wire::types::ChannelNumber;

use super::buffers::Buffers;
use super::outbox::ChannelOut;
use super::special::{hides_copies, shown};

/// Appends deliveries of one consumer to its connection's outbox.
#[derive(Debug)]
pub(super) struct Deliveries<'a, 'm> {
    pub(super) channel: &'a mut ChannelOut,
    pub(super) number: ChannelNumber,
    /// See [`deliver_prefix`].
    pub(super) prefix: &'a [u8],
    /// Where deliveries that wait for an acknowledgement come from.
    pub(super) source: Option<SourceKey>,
    pub(super) buffers: &'a mut Buffers,
    pub(super) size: &'a mut usize,
    /// The longest payload of a frame.
    pub(super) payload_max: usize,
    /// What the next delivery may be copied from.
    pub(super) pattern: Option<Pattern<'m>>,
}

/// The last delivery that was put together from its parts and has its body in one frame. One with the same target and properties differs from it in
/// its tag, in whether it is redelivered, and in its body: the rest is copied in one piece.
#[derive(Debug)]
pub(super) struct Pattern<'m> {
    target: &'m [u8],
    properties: &'m [u8],
    /// Where it stands among the flat bytes, up to its body.
    head: Range<usize>,
}

impl Pattern<'_> {
    /// Whether a message has the same target and properties. Those that lie in one input, or one block of a queue, often have them in common.
    #[inline]
    fn is_like(&self, message: &Message<'_>) -> bool {
        let same = |ours: &[u8], theirs: &[u8]| std::ptr::eq(ours, theirs) || *ours == *theirs;
        same(self.target, message.target) && same(self.properties, message.properties)
    }
}

impl<'m> Deliveries<'_, 'm> {
    /// Appends basic.deliver.
    #[inline]
    pub(super) fn push(&mut self, delivery: &Delivery<'m>) {
        let tag = match self.source {
            Some(source) => self.channel.unacked.push(source, delivery.position),
            None => self.channel.unacked.next_tag(),
        };
        if self.repeat(tag, delivery) {
            return;
        }
        let message = &delivery.message;
        if delivery.attempts.is_some() || hides_copies(message.properties) {
            self.push_changed(tag, delivery);
            return;
        }
        let start = self.buffers.flat.len();
        self.append(tag, delivery.redelivered, message);
        if self.fits(&message.body) {
            let end = self.buffers.flat.len() - message.body.len() - 1;
            self.pattern = Some(Pattern {
                target: message.target,
                properties: message.properties,
                head: start..end,
            });
        }
    }

    /// Whether a body goes out in one frame, among the flat bytes.
    #[inline]
    fn fits(&self, body: &Body<'_>) -> bool {
        matches!(body, Body::Inline(body) if !body.is_empty() && body.len() <= self.payload_max)
    }

    /// Appends a delivery that is like the pattern, if it is.
    #[inline]
    fn repeat(&mut self, tag: u64, delivery: &Delivery<'m>) -> bool {
        let message = &delivery.message;
        let pattern = self.pattern.as_ref();
        let Some(pattern) = pattern.filter(|pattern| pattern.is_like(message)) else {
            return false;
        };
        if delivery.attempts.is_some() || !self.fits(&message.body) {
            return false;
        }
        let (body, head) = (message.body.bytes(), pattern.head.len());
        let flat = &mut self.buffers.flat;
        let before = flat.len();
        flat.reserve(head + body.len() + 1);
        flat.extend_from_within(pattern.head.clone());
        let again = &mut flat[before..];
        let tag_at = HEADER_LEN + self.prefix.len();
        let size_at = head - HEADER_LEN - 1 - message.properties.len() - 8;
        again[tag_at..][..TAG_AND_FLAG].copy_from_slice(&tag_and_flag(tag, delivery.redelivered));
        again[size_at..][..8].copy_from_slice(&(body.len() as u64).to_be_bytes());
        let frame = frame_header(BODY, self.number, body.len());
        again[head - HEADER_LEN..].copy_from_slice(&frame);
        flat.extend_from_slice(body);
        flat.push(FRAME_END);
        *self.size += head + body.len() + 1;
        true
    }

    /// Appends a delivery that tells how often it came back, or hides something.
    fn push_changed(&mut self, tag: u64, delivery: &Delivery<'_>) {
        let shown = shown(delivery.message.properties, delivery.attempts);
        let message = match &shown {
            Some(properties) => Message {
                properties,
                ..delivery.message
            },
            None => delivery.message,
        };
        self.append(tag, delivery.redelivered, &message);
    }

    #[inline]
    fn append(&mut self, tag: u64, redelivered: bool, message: &Message<'_>) {
        let (prefix, target) = (self.prefix, message.target);
        let payload = prefix.len() + TAG_AND_FLAG + target.len();
        self.buffers.grow();
        let flat = &mut self.buffers.flat;
        let before = flat.len();
        flat.reserve(payload + FRAME_OVERHEAD + CONTENT_FRAMES + message.properties.len());
        flat.extend_from_slice(&frame_header(METHOD, self.number, payload));
        flat.extend_from_slice(prefix);
        flat.extend_from_slice(&tag_and_flag(tag, redelivered));
        flat.extend_from_slice(target);
        flat.push(FRAME_END);
        *self.size += flat.len() - before;
        *self.size += append_content(self.buffers, self.number, message, self.payload_max);
    }
}

/// Appends a content header, and the body in as many frames as it needs. Returns how many bytes that is.
#[inline]
pub(super) fn append_content(
    buffers: &mut Buffers,
    number: ChannelNumber,
    message: &Message<'_>,
    payload_max: usize,
) -> usize {
    let flat = &mut buffers.flat;
    let before = flat.len();
    let (properties, body) = (message.properties, message.body.bytes());
    let [k, n0, n1, s0, s1, s2, s3] = frame_header(HEADER, number, 12 + properties.len());
    let [b0, b1, b2, b3, b4, b5, b6, b7] = (body.len() as u64).to_be_bytes();
    // Class 60 and weight 0 follow the frame's own header.
    flat.extend_from_slice(&[
        k, n0, n1, s0, s1, s2, s3, 0, 60, 0, 0, b0, b1, b2, b3, b4, b5, b6, b7,
    ]);
    flat.extend_from_slice(properties);
    match message.body {
        Body::Inline(body) if !body.is_empty() && body.len() <= payload_max => {
            let [k, n0, n1, s0, s1, s2, s3] = frame_header(BODY, number, body.len());
            flat.extend_from_slice(&[FRAME_END, k, n0, n1, s0, s1, s2, s3]);
            flat.extend_from_slice(body);
            flat.push(FRAME_END);
            flat.len() - before
        }
        body => {
            flat.push(FRAME_END);
            let header = flat.len() - before;
            header + append_body(buffers, number, body, payload_max)
        }
    }
}

/// Appends a body that is shared, needs several frames, or none.
fn append_body(
    buffers: &mut Buffers,
    number: ChannelNumber,
    body: Body<'_>,
    payload_max: usize,
) -> usize {
    let before = buffers.flat.len();
    let shared = match body {
        Body::Inline(body) => {
            for part in body.chunks(payload_max) {
                let flat = &mut buffers.flat;
                flat.extend_from_slice(&frame_header(BODY, number, part.len()));
                flat.extend_from_slice(part);
                flat.push(FRAME_END);
            }
            0
        }
        Body::Shared(body) => {
            let mut rest = body.clone();
            while !rest.is_empty() {
                let part = rest.split_to(rest.len().min(payload_max));
                let header = frame_header(BODY, number, part.len());
                buffers.flat.extend_from_slice(&header);
                buffers.share(part);
                buffers.flat.push(FRAME_END);
            }
            body.len()
        }
    };
    buffers.flat.len() - before + shared
}

/// The beginning of every basic.deliver to one consumer: class, method, consumer tag.
pub(super) fn deliver_prefix(tag: &str) -> Box<[u8]> {
    let mut prefix = Vec::with_capacity(5 + tag.len());
    prefix.extend_from_slice(&[0, 60, 0, 60]);
    prefix.push(u8::try_from(tag.len()).unwrap_or(u8::MAX));
    prefix.extend_from_slice(tag.as_bytes());
    prefix.into()
}

const FRAME_END: u8 = 0xce;
/// The bytes of a frame beside its payload.
pub(super) const FRAME_OVERHEAD: usize = 8;
/// A content header's frame without its properties, and a body frame's own bytes.
const CONTENT_FRAMES: usize = FRAME_OVERHEAD + 12 + FRAME_OVERHEAD;

/// The delivery tag and `redelivered`, between the prefix and the target.
const TAG_AND_FLAG: usize = 9;

/// What a delivery takes besides its message's target, properties and body, if that is in one frame.
pub(super) fn delivery_overhead(prefix: &[u8]) -> usize {
    FRAME_OVERHEAD + prefix.len() + TAG_AND_FLAG + CONTENT_FRAMES
}

/// The delivery tag and `redelivered`.
#[inline]
fn tag_and_flag(tag: u64, redelivered: bool) -> [u8; TAG_AND_FLAG] {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = tag.to_be_bytes();
    [t0, t1, t2, t3, t4, t5, t6, t7, u8::from(redelivered)]
}

/// Type, channel, size of what follows; sizes are below the negotiated frame-max.
#[expect(clippy::cast_possible_truncation, reason = "a frame is below 4 GiB")]
fn frame_header(kind: u8, channel: ChannelNumber, size: usize) -> [u8; HEADER_LEN] {
    let [high, low] = channel.0.to_be_bytes();
    let [a, b, c, d] = (size as u32).to_be_bytes();
    [kind, high, low, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use amphora_core::queue::Attempts;
    use bytes::Bytes;

    use super::super::outbox::Outbox;
    use super::super::special::with_hidden_copies;
    use super::*;

    const PAYLOAD_MAX: usize = 5000;

    /// The payloads of the frames in `bytes`, with their types.
    fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
        let mut frames = Vec::new();
        while let Some((&[kind, 0, 7, a, b, c, d], rest)) = bytes.split_first_chunk() {
            let size = u32::from_be_bytes([a, b, c, d]) as usize;
            frames.push((kind, &rest[..size]));
            assert_eq!(rest[size], FRAME_END);
            bytes = &rest[size + 1..];
        }
        assert!(bytes.is_empty(), "{bytes:?}");
        frames
    }

    #[test]
    fn a_delivery_takes_what_it_costs_and_the_overhead() {
        let prefix = deliver_prefix("a tag");
        let mut outbox = Outbox::default();
        outbox.open_channel(ChannelNumber(7));
        let mut out = (outbox.deliveries(ChannelNumber(7), &prefix, None)).expect("it is open");
        assert_eq!(out.buffers.flat.capacity(), 0, "nothing is written yet");
        let message = Message {
            target: b"\x01e\x03key",
            properties: &[0x08, 0, 0, 0, 0, 9],
            body: Body::Inline(b"a body"),
            persistent: false,
        };
        for number in 1..=3 {
            out.push(&Delivery {
                position: number,
                redelivered: false,
                attempts: None,
                message,
            });
        }
        let each = message.cost() + delivery_overhead(&prefix);
        assert_eq!(outbox.size, 3 * each);
        assert_eq!(outbox.buffers.flat.len(), 3 * each);
    }

    /// What goes out for some deliveries: all of them in a row, or each as if it were the first.
    fn sent(deliveries: &[Delivery<'_>], in_a_row: bool) -> Vec<u8> {
        let prefix = deliver_prefix("a tag");
        let mut outbox = Outbox::default();
        outbox.frame_max = PAYLOAD_MAX + FRAME_OVERHEAD;
        outbox.open_channel(ChannelNumber(7));
        outbox.raw(b"before");
        let run = if in_a_row { deliveries.len() } else { 1 };
        for run in deliveries.chunks(run) {
            let out = outbox.deliveries(ChannelNumber(7), &prefix, None);
            let mut out = out.expect("the channel is open");
            for delivery in run {
                out.push(delivery);
            }
        }
        let size = outbox.size;
        let bytes = outbox.buffers.into_bytes();
        assert_eq!(size, bytes.len());
        bytes
    }

    #[test]
    fn deliveries_in_a_row_are_those_that_go_out_one_by_one() {
        let targets: [&[u8]; 2] = [b"\x01e\x03key", b"\x01e\x03yek"];
        let hidden = b"\x20\0\0\0\0\x09\x03BCCA\0\0\0\0";
        let hidden = with_hidden_copies(hidden);
        let properties: [&[u8]; 4] = [&[0, 0], &[8, 0, 5], &[8, 0, 7], &hidden];
        let whole = Bytes::from(vec![7; PAYLOAD_MAX + 1]);
        let bodies = [0, 1, 300, whole.len()].map(|length| whole.slice(..length));
        let mut kinds = Vec::new();
        for (target, properties) in targets.iter().flat_map(|t| properties.map(|p| (t, p))) {
            for body in &bodies {
                for body in [Body::Inline(body), Body::Shared(body)] {
                    for (redelivered, attempts) in [
                        (false, None),
                        (true, None),
                        (true, Some(Attempts::default())),
                    ] {
                        kinds.push(Delivery {
                            position: 0,
                            redelivered,
                            attempts,
                            message: Message {
                                target,
                                properties,
                                body,
                                persistent: false,
                            },
                        });
                    }
                }
            }
        }
        let bcc = |bytes: &[u8]| bytes.windows(3).any(|part| part == b"BCC");
        assert!(!bcc(&sent(&kinds, true)) && bcc(&hidden));
        // Each comes after each other one.
        for first in &kinds {
            let deliveries: Vec<_> = kinds.iter().flat_map(|next| [*first, *next]).collect();
            assert!(sent(&deliveries, true) == sent(&deliveries, false));
        }
    }

    #[test]
    fn a_body_is_cut_into_frames_that_the_client_takes() {
        for length in [0, 1, PAYLOAD_MAX, PAYLOAD_MAX + 1, 3 * PAYLOAD_MAX] {
            let whole: Bytes = (0..length).map(|at| at.to_le_bytes()[0]).collect();
            for body in [Body::Inline(&whole), Body::Shared(&whole)] {
                let message = Message {
                    target: &[],
                    properties: &[0, 0],
                    body,
                    persistent: false,
                };
                let mut buffers = Buffers::default();
                let size = append_content(&mut buffers, ChannelNumber(7), &message, PAYLOAD_MAX);
                let bytes = buffers.into_bytes();
                assert_eq!(size, bytes.len());
                let frames = frames(&bytes);
                let ((kind, header), parts) = frames.split_first().expect("a content header");
                assert_eq!(*kind, HEADER);
                assert_eq!(header[4..12], (length as u64).to_be_bytes());
                assert_eq!(header[12..], [0, 0]);
                let fits = |(kind, part): &(u8, &[u8])| {
                    *kind == BODY && !part.is_empty() && part.len() <= PAYLOAD_MAX
                };
                assert!(parts.iter().all(fits));
                let parts: Vec<&[u8]> = parts.iter().map(|(_, part)| *part).collect();
                assert_eq!(parts.concat(), whole);
            }
        }
    }
}
