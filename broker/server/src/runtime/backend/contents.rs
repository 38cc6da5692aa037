//! What listings show of a queue's or stream's messages.

use amphora_core::message::Message;
use amphora_core::queue::Contents;

use crate::runtime::model::Model;

impl Model {
    pub(in crate::runtime) fn contents(&self) -> Contents {
        match self {
            Self::Queue(queue) => queue.contents(),
            Self::Stream(stream) => stream.contents(),
        }
    }

    pub(super) fn is_served(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.is_served(),
            Self::Stream(stream) => stream.is_served(),
        }
    }

    /// Shows the oldest message of a queue, if it is in memory.
    pub(super) fn oldest<R>(&self, look: impl FnOnce(Message<'_>) -> R) -> Option<R> {
        match self {
            Self::Queue(queue) => queue.oldest(look),
            Self::Stream(_) => None,
        }
    }
}
