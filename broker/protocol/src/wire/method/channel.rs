//! Class 20: one channel's life (spec 1.5).

use bytes::Bytes;

use super::class::class;
use crate::wire::types::ShortString;

class! {
    channel = 20;

    /// The client opens a channel.
    Open = 10 "open" {
        [ShortString]
    }

    /// The channel is open.
    OpenOk = 11 "open-ok" {
        [Bytes]
    }

    /// Stops or resumes the flow of contents.
    Flow = 20 "flow" {
        /// Whether the other side may send.
        active: bool,
    }

    /// The flow is as it was asked for.
    FlowOk = 21 "flow-ok" {
        /// Whether this side will send.
        active: bool,
    }

    /// Either side ends the channel.
    Close = 40 "close" {
        /// Why.
        reply_code: u16,
        /// Why, in words.
        reply_text: ShortString,
        /// The class of the method that failed, or 0.
        class_id: u16,
        /// The method that failed, or 0.
        method_id: u16,
    }

    /// The other side has seen it.
    CloseOk = 41 "close-ok" {}
}
