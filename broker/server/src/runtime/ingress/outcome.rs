//! What becomes of a message at its routing.

use amphora_protocol::wire::types::ChannelNumber;

use super::Owned;

/// Who waits for what becomes of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Ticket {
    pub(in crate::runtime) channel: ChannelNumber,
    pub(in crate::runtime) mandatory: bool,
    /// The channel has confirms.
    pub(in crate::runtime) confirm: bool,
}

/// What became of a message at its routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Outcome {
    Routed,
    Unroutable,
    /// A plugin is to be asked, together with messages that follow: see [`Ingress::take_answered`](super::Ingress::take_answered).
    Waiting,
    /// A plugin took it out of the way. The publisher need not know.
    Taken,
    /// A queue is full and refuses it, whatever others do. The publisher must know, and the message is not returned.
    Full,
    /// It goes nowhere, for this reason, and the publisher must know.
    Refused(String),
}

impl Outcome {
    /// Both, for one message that went two ways.
    pub(super) fn and(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Refused(_) | Self::Full, _) | (_, Self::Unroutable) => self,
            _ => other,
        }
    }
}

/// What became of a message that had to wait, or of several, one after the other, with the same ticket that were routed.
#[derive(Debug)]
pub(in crate::runtime) struct Answered {
    pub(in crate::runtime) ticket: Ticket,
    pub(in crate::runtime) outcome: Outcome,
    /// How many messages these are.
    pub(in crate::runtime) count: u64,
    /// The message, if it may have to be returned.
    pub(in crate::runtime) message: Option<Owned>,
}
