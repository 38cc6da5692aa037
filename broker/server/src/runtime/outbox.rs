//! What goes out on one connection, and what of it waits for an acknowledgement or a confirm.
//!
//! Delivery tags live here, because their order is the order on the wire: whoever holds the outbox's lock appends a
//! delivery and gives it its tag in one step.

use std::sync::Arc;

use amphora_core::channel::{Confirms, Release, SourceKey, Unacked};
use amphora_core::message::Message;
use amphora_protocol::wire::frame::write_method_frame;
use amphora_protocol::wire::method::{Method, basic};
use amphora_protocol::wire::types::{ChannelNumber, DeliveryTag};

use super::buffers::Buffers;
use super::encoding::{Deliveries, FRAME_OVERHEAD, append_content};
use super::queue::SharedQueue;

/// Bytes that wait for a connection at most before its consumers are passed over. One batch may exceed it, and as much
/// may be on its way into the socket.
pub(super) const OUTBOX_BYTES: usize = 256 << 10;

/// The outgoing side of a channel.
#[derive(Debug, Default)]
pub(super) struct ChannelOut {
    pub(super) unacked: Unacked<Arc<SharedQueue>>,
    pub(super) confirms: Confirms,
    pub(super) traffic: Traffic,
    /// basic.qos with `global`: messages that all consumers of the channel may hold at most; 0 is no limit. As in RabbitMQ, what
    /// basic.get has brought does not count.
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
            window => (window as usize).saturating_sub(self.unacked.consumed_len()),
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
    /// Channels whose publishers wait for confirms, and some of those that have been closed since.
    confirming: Vec<ChannelNumber>,
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
            confirming: Vec::new(),
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
        self.buffers.grow();
        self.method(channel, method);
        let payload_max = self.frame_max - FRAME_OVERHEAD;
        self.size += append_content(&mut self.buffers, channel, message, payload_max);
    }

    /// For deliveries to a consumer on the channel, whose [prefix](super::encoding::deliver_prefix) that is. With `source`, they wait for
    /// an acknowledgement. Nothing if the channel is gone.
    pub(super) fn deliveries<'a, 'm>(
        &'a mut self,
        number: ChannelNumber,
        prefix: &'a [u8],
        source: Option<SourceKey>,
    ) -> Option<Deliveries<'a, 'm>> {
        let channel = self.channels.get_mut(usize::from(number.0))?;
        Some(Deliveries {
            channel: channel.as_deref_mut()?,
            number,
            prefix,
            source,
            buffers: &mut self.buffers,
            size: &mut self.size,
            payload_max: self.frame_max - FRAME_OVERHEAD,
            pattern: None,
        })
    }

    /// Publishes on a channel are answered when the epoch is durable, or, without one, with a nack after those before them.
    pub(super) fn expect_confirms(
        &mut self,
        number: ChannelNumber,
        count: u64,
        accepted: Option<u64>,
    ) {
        let Some(channel) = self.channel(number) else {
            return;
        };
        let first = channel.confirms.next_epoch().is_none();
        match accepted {
            Some(epoch) => channel.confirms.published(count, epoch),
            None => channel.confirms.refused(count),
        }
        // One that was opened again since may be there.
        if first && !self.confirming.contains(&number) {
            self.confirming.push(number);
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
        let flat = &mut self.buffers.flat;
        let before = flat.len();
        let (channels, sum) = (&mut self.channels, &mut self.confirmed);
        self.confirming.retain(|&number| {
            let channel = channels.get_mut(usize::from(number.0));
            let Some(Some(channel)) = channel else {
                return false;
            };
            let confirmed = channel.confirms.confirmed();
            release(&mut channel.confirms, &mut |answer| {
                write_method_frame(number, &confirm(answer), flat);
            });
            *sum += channel.confirms.confirmed() - confirmed;
            channel.confirms.next_epoch().is_some()
        });
        self.size += flat.len() - before;
        !self.confirming.is_empty()
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
