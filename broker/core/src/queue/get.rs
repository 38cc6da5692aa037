//! basic.get: messages out of turn.

use crate::message::Delivery;

use super::log;
use super::{Effects, Queue};

/// What became of a basic.get.
#[derive(Debug, PartialEq, Eq)]
pub enum Get<R> {
    /// Nothing is ready.
    Empty,
    /// The next message must be read back first: ask again when [`Queue::page_in`] has been called.
    Away,
    /// More has expired than is given up in one go: ask again, after others had their turn.
    Later,
    /// What the caller made of the message.
    Message(R),
}

impl<C> Queue<C> {
    /// Takes the next message out of turn. `take` sees it and how many remain; with `no_ack` it is settled at once.
    pub fn get<R>(
        &mut self,
        no_ack: bool,
        take: impl FnOnce(Delivery<'_>, u64) -> R,
    ) -> (Get<R>, Effects) {
        self.renew();
        let expired = self.expire();
        let Some(position) = self.next_ready() else {
            self.counters.got_nothing += 1;
            return (Get::Empty, expired);
        };
        let remaining = self.ready - 1;
        let log::At::Message {
            message,
            redelivered,
            expires_at,
        } = self.log.at(position)
        else {
            return (Get::Away, expired.and(self.want(position)));
        };
        if self.expiry.is_over(expires_at) {
            return (Get::Later, expired);
        }
        self.counters.redelivered += u64::from(redelivered);
        let bytes = message.body.len();
        let result = take(
            Delivery {
                position,
                redelivered,
                attempts: self.returns.of(position),
                message,
            },
            remaining,
        );
        self.take_ready(position, bytes);
        if no_ack {
            self.counters.got_no_ack += 1;
            self.log.settle(position);
            self.forget_attempts(&[position]);
        } else {
            self.counters.got += 1;
            self.unacked += 1;
        }
        let effects = Effects {
            settle: self.durable,
            ..expired
        };
        (Get::Message(result), effects)
    }
}
