//! What goes out on one connection, and what of it waits for an acknowledgement or a confirm.
//!
//! Delivery tags live here, because their order is the order on the wire: whoever holds the outbox's lock appends a
//! delivery and gives it its tag in one step.

use std::sync::Arc;

use amphora_core::channel::{Confirms, Release, SourceKey, Unacked};
use amphora_core::message::{Body, Delivery, Message};
use amphora_protocol::wire::frame::write_method_frame;
use amphora_protocol::wire::method::{Method, basic};
use amphora_protocol::wire::types::{ChannelNumber, DeliveryTag};

use super::buffers::Buffers;
use super::queue::SharedQueue;
use super::special::with_attempts;

/// Bytes that wait for a connection at most before its consumers are passed over. One batch may exceed it, and as much
/// may be on its way into the socket.
pub(super) const OUTBOX_BYTES: usize = 256 << 10;

/// The outgoing side of a channel.
#[derive(Debug, Default)]
pub(super) struct ChannelOut {
    pub(super) unacked: Unacked<Arc<SharedQueue>>,
    pub(super) confirms: Confirms,
    pub(super) traffic: Traffic,
    /// basic.qos with `global`: messages in flight on the whole channel at most; 0 is no limit.
    pub(super) window: u32,
    /// Queues to be dispatched when the window opens.
    pub(super) starved: Vec<Arc<SharedQueue>>,
}

/// How many messages went out on a channel, and how many were acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) delivered: u64,
    pub(super) delivered_no_ack: u64,
    pub(super) got: u64,
    pub(super) got_no_ack: u64,
    pub(super) got_nothing: u64,
    pub(super) redelivered: u64,
    pub(super) acked: u64,
}

impl ChannelOut {
    /// Messages that the channel's own limit leaves room for.
    pub(super) fn window_left(&self) -> usize {
        match self.window {
            0 => usize::MAX,
            window => (window as usize).saturating_sub(self.unacked.len()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) buffers: Buffers,
    /// Bytes appended since the last swap, shared bodies included.
    pub(super) size: usize,
    /// Somebody holds the right to write to the socket.
    pub(super) writing: bool,
    /// Nothing more goes out.
    pub(super) closed: bool,
    /// What a full socket left over: goes before everything else.
    pub(super) stalled: Option<Buffers>,
    pub(super) spare: Buffers,
    /// Queues to be dispatched when there is room again.
    pub(super) starved: Vec<Arc<SharedQueue>>,
    pub(super) frame_max: usize,
    /// Publishes that were confirmed on all channels, closed ones too.
    pub(super) confirmed: u64,
    channels: Vec<Option<Box<ChannelOut>>>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            buffers: Buffers::default(),
            size: 0,
            writing: false,
            closed: false,
            stalled: None,
            spare: Buffers::default(),
            starved: Vec::new(),
            frame_max: 4096,
            confirmed: 0,
            channels: Vec::new(),
        }
    }
}

impl Outbox {
    pub(super) fn open_channel(&mut self, channel: ChannelNumber) {
        let index = usize::from(channel.0);
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, || None);
        }
        self.channels[index] = Some(Box::default());
    }

    pub(super) fn close_channel(&mut self, channel: ChannelNumber) -> Option<Box<ChannelOut>> {
        self.channels.get_mut(usize::from(channel.0))?.take()
    }

    pub(super) fn channel(&mut self, channel: ChannelNumber) -> Option<&mut ChannelOut> {
        self.channels
            .get_mut(usize::from(channel.0))?
            .as_deref_mut()
    }

    pub(super) fn open_channels(&self) -> impl Iterator<Item = (ChannelNumber, &ChannelOut)> {
        self.channels
            .iter()
            .zip(0..)
            .filter_map(|(channel, number)| Some((ChannelNumber(number), channel.as_deref()?)))
    }

    /// Appends a method.
    pub(super) fn method(&mut self, channel: ChannelNumber, method: &Method) {
        let before = self.buffers.flat.len();
        write_method_frame(channel, method, &mut self.buffers.flat);
        self.size += self.buffers.flat.len() - before;
    }

    /// Appends bytes that are framed already.
    pub(super) fn raw(&mut self, frames: &[u8]) {
        self.buffers.flat.extend_from_slice(frames);
        self.size += frames.len();
    }

    /// Appends a method with content.
    pub(super) fn content(
        &mut self,
        channel: ChannelNumber,
        method: &Method,
        message: &Message<'_>,
    ) {
        self.method(channel, method);
        self.header_and_body(channel, message);
    }

    /// Appends basic.deliver. With `source`, the delivery waits for an acknowledgement.
    /// False if the channel is gone.
    pub(super) fn deliver(
        &mut self,
        channel: ChannelNumber,
        prefix: &[u8],
        source: Option<SourceKey>,
        delivery: &Delivery<'_>,
    ) -> bool {
        let Some(out) = self.channel(channel) else {
            return false;
        };
        let tag = match source {
            Some(source) => out.unacked.push(source, delivery.position),
            None => out.unacked.next_tag(),
        };
        let counted = with_attempts(delivery.message.properties, delivery.attempts);
        let message = &counted
            .as_ref()
            .map_or(delivery.message, |properties| Message {
                properties,
                ..delivery.message
            });
        let payload = prefix.len() + 9 + message.target.len();
        let flat = &mut self.buffers.flat;
        let before = flat.len();
        flat.reserve(payload + 8 + HEADER_FRAME + message.properties.len());
        flat.extend_from_slice(&frame_header(1, channel, payload));
        flat.extend_from_slice(prefix);
        flat.extend_from_slice(&tag.to_be_bytes());
        flat.push(u8::from(delivery.redelivered));
        flat.extend_from_slice(message.target);
        flat.push(FRAME_END);
        self.size += flat.len() - before;
        self.header_and_body(channel, message);
        true
    }

    fn header_and_body(&mut self, channel: ChannelNumber, message: &Message<'_>) {
        let flat = &mut self.buffers.flat;
        let before = flat.len();
        let body = message.body.bytes();
        flat.extend_from_slice(&frame_header(2, channel, 12 + message.properties.len()));
        flat.extend_from_slice(&CLASS_BASIC);
        flat.extend_from_slice(&(body.len() as u64).to_be_bytes());
        flat.extend_from_slice(message.properties);
        flat.push(FRAME_END);
        self.size += flat.len() - before + body.len();
        let frame_body = self.frame_max - FRAME_OVERHEAD;
        match message.body {
            Body::Inline(body) => {
                for part in body.chunks(frame_body) {
                    let flat = &mut self.buffers.flat;
                    flat.extend_from_slice(&frame_header(3, channel, part.len()));
                    flat.extend_from_slice(part);
                    flat.push(FRAME_END);
                }
            }
            Body::Shared(body) => {
                let mut rest = body.clone();
                while !rest.is_empty() {
                    let part = rest.split_to(rest.len().min(frame_body));
                    self.buffers
                        .flat
                        .extend_from_slice(&frame_header(3, channel, part.len()));
                    self.buffers.share(part);
                    self.buffers.flat.push(FRAME_END);
                }
            }
        }
    }

    /// Appends the confirms that `durable` covers. Returns whether some still wait.
    pub(super) fn release_confirms(&mut self, durable: u64) -> bool {
        self.each_confirms(|confirms, answer| confirms.release(durable, answer))
    }

    /// Appends a nack for every publish that the storage does not have. See [`Confirms::give_up`].
    pub(super) fn give_up_confirms(&mut self, durable: u64) {
        self.each_confirms(|confirms, answer| confirms.give_up(durable, answer));
    }

    fn each_confirms(
        &mut self,
        mut release: impl FnMut(&mut Confirms, &mut dyn FnMut(Release)),
    ) -> bool {
        let mut waits = false;
        let flat = &mut self.buffers.flat;
        let before = flat.len();
        for (channel, number) in self.channels.iter_mut().zip(0..) {
            let Some(channel) = channel else { continue };
            if channel.confirms.next_epoch().is_none() {
                continue;
            }
            let confirmed = channel.confirms.confirmed();
            release(&mut channel.confirms, &mut |answer| {
                write_method_frame(ChannelNumber(number), &confirm(answer), flat);
            });
            self.confirmed += channel.confirms.confirmed() - confirmed;
            waits |= channel.confirms.next_epoch().is_some();
        }
        self.size += flat.len() - before;
        waits
    }
}

fn confirm(release: Release) -> Method {
    match release {
        Release::Ack { sequence, multiple } => basic::Ack {
            delivery_tag: DeliveryTag(sequence),
            multiple,
        }
        .into(),
        Release::Nack { sequence, multiple } => basic::Nack {
            delivery_tag: DeliveryTag(sequence),
            multiple,
            requeue: false,
        }
        .into(),
    }
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
const FRAME_OVERHEAD: usize = 8;
/// Class 60, weight 0.
const CLASS_BASIC: [u8; 4] = [0, 60, 0, 0];
/// A content header's frame without its properties, and a body frame's own bytes.
const HEADER_FRAME: usize = FRAME_OVERHEAD + 12 + FRAME_OVERHEAD;

/// Type, channel, size of what follows; sizes are below the negotiated frame-max.
#[expect(clippy::cast_possible_truncation, reason = "a frame is below 4 GiB")]
fn frame_header(kind: u8, channel: ChannelNumber, size: usize) -> [u8; 7] {
    let [high, low] = channel.0.to_be_bytes();
    let [a, b, c, d] = (size as u32).to_be_bytes();
    [kind, high, low, a, b, c, d]
}
