//! A message on its way: slices of somebody's buffer, never a copy.

use bytes::Bytes;

use crate::queue::Attempts;
use crate::store::Position;

/// Bodies from this size on are held once and shared among queues and connections; smaller ones are copied, which is
/// cheaper than counting references and never pins a foreign buffer.
pub const SHARED_BODY_MIN: usize = 4096;

/// A message as it was published.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Exchange and routing key, each a short string as on the wire.
    pub target: &'a [u8],
    /// Property flags and property list as on the wire.
    pub properties: &'a [u8],
    /// The body.
    pub body: Body<'a>,
    /// The publisher asked for persistence (delivery-mode 2).
    pub persistent: bool,
}

/// A message's body.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A slice of a buffer that is reused: whoever keeps the body copies it.
    Inline(&'a [u8]),
    /// A body with an own allocation: whoever keeps it clones the handle.
    Shared(&'a Bytes),
}

impl<'a> Body<'a> {
    /// The bytes, wherever they live.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Body::Inline(bytes) => bytes,
            Body::Shared(bytes) => bytes,
        }
    }

    /// The number of bytes.
    pub fn len(self) -> usize {
        self.bytes().len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.bytes().is_empty()
    }
}

impl Message<'_> {
    /// What the message costs an outbox or a log, roughly.
    pub fn cost(&self) -> usize {
        self.target.len() + self.properties.len() + self.body.len()
    }
}

/// A message on its way to a consumer.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Its identity in the queue, by which it is settled.
    pub position: Position,
    /// It was delivered before.
    pub redelivered: bool,
    /// How often it came back, if the queue counts that.
    pub attempts: Option<Attempts>,
    /// The message.
    pub message: Message<'a>,
}

/// Messages that go into one queue together.
pub trait Batch {
    /// How many there are.
    fn len(&self) -> usize;
    /// The message at `index`, which is below [`Batch::len`].
    fn message(&self, index: usize) -> Message<'_>;
    /// What that message [costs](Message::cost).
    fn cost(&self, index: usize) -> usize {
        self.message(index).cost()
    }
    /// Whether there is nothing to publish.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
