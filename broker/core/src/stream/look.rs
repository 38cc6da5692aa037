//! For somebody who only looks: without a consumer, and nothing is remembered.

use crate::message::Message;
use crate::queue::Effects;
use crate::store::Position;

use super::Stream;
use super::subscription::{Start, Subscription};

/// What there is at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Something was shown, and goes on with this offset.
    Next(Position),
    /// Nothing is there yet.
    End,
    /// It must be read back first: ask again when [`Stream::page_in`] has been called.
    Away,
}

impl<C> Stream<C> {
    /// The offset at which a consumer with these arguments begins, or the oldest one if they say nothing. Nothing if something must be
    /// read back to know that: ask again when [`Stream::page_in`] has been called.
    pub fn seek(&mut self, subscription: &Subscription) -> (Option<Position>, Effects) {
        let found = self.resolve(subscription.start.unwrap_or(Start::First));
        let effects = Effects {
            page_in: !self.wanted.is_empty(),
            ..Effects::default()
        };
        (found, effects)
    }

    /// Shows what is durable from an offset on, each message with the time of its publishing in milliseconds since the Unix epoch, until
    /// `see` has enough and says false, or the chunk ends.
    pub fn look(
        &mut self,
        from: Position,
        mut see: impl FnMut(Position, Message<'_>, Option<u64>) -> bool,
    ) -> (Look, Effects) {
        let at = self.find(from);
        let Some(chunk) = self.chunks.get(at) else {
            return (Look::End, Effects::default());
        };
        let span = from.max(chunk.base)..chunk.end().min(self.durable);
        if span.is_empty() {
            return (Look::End, Effects::default());
        }
        let Some(block) = &chunk.block else {
            return (Look::Away, self.want(at));
        };
        let mut next = span.end;
        for position in span {
            let index = chunk.index(position);
            if let Some(message) = block.message(index)
                && !see(position, message, block.expires_at(index))
            {
                next = position + 1;
                break;
            }
        }
        (Look::Next(next), Effects::default())
    }
}
