//! Class 30: access tickets, which only very old clients ask for. Every request is granted ticket
//! 1, and no method looks at it.

use super::class::class;
use crate::wire::types::ShortString;

class! {
    access = 30;

    /// Asks for a ticket.
    Request = 10 "request" {
        /// What it is for.
        realm: ShortString,
        /// For nobody else.
        exclusive: bool,
        /// To declare passively.
        passive: bool,
        /// To declare.
        active: bool,
        /// To publish.
        write: bool,
        /// To consume.
        read: bool,
    }

    /// Grants a ticket.
    RequestOk = 11 "request-ok" {
        /// Its number.
        ticket: u16,
    }
}
