//! What becomes of a message at its routing.

use amphora_protocol::wire::types::ChannelNumber;

use super::Owned;
use super::deduplicating::Later;

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
    /// Nothing yet: somebody else has published one with the same id. It is to be published again [when it is known](Later::decided) what became of that one.
    Later(Box<Later>),
    /// A plugin took it out of the way. The publisher need not know.
    Taken,
    /// A queue is full and refuses it, whatever others do. The publisher must know, and the message is not returned.
    Full,
    /// It goes nowhere, for this reason, and the publisher must know. Later, it may be another thing.
    Refused(String),
    /// As `Refused`, and a plugin has said so: it would say so again.
    Rejected(String),
}

/// What became of a message at the queues that it goes to.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) outcome: Outcome,
    /// Somebody has it, or a part of it, whatever others do: it must not come again.
    pub(super) taken: bool,
}

impl Outcome {
    /// Both, for one message that went two ways. What may be another thing later is said rather than what will not.
    pub(super) fn and(self, other: Self) -> Self {
        let weight = |outcome: &Self| match outcome {
            Self::Unroutable => 0,
            Self::Waiting | Self::Later(_) | Self::Taken => 1,
            Self::Routed => 2,
            Self::Rejected(_) => 3,
            Self::Full => 4,
            Self::Refused(_) => 5,
        };
        if weight(&other) > weight(&self) {
            other
        } else {
            self
        }
    }

    /// The publisher must know that somebody did not take it.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Full | Self::Refused(_) | Self::Rejected(_))
    }

    /// The message goes back to its publisher, if it is mandatory.
    pub(in crate::runtime) fn returns(&self) -> bool {
        matches!(
            self,
            Self::Unroutable | Self::Refused(_) | Self::Rejected(_)
        )
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

/// The way that messages go of which only the first was looked at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Way {
    /// To queues.
    Straight,
    /// To the exchange of a plugin, and then on, each as the plugin says.
    Asking,
}
