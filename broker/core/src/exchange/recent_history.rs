//! The recent history exchange (`x-recent-history`): a fanout that remembers its last messages, for who is bound later.
//!
//! It does not hold the messages itself: routing says which such exchanges a message came by
//! ([`Routed::remembered`](crate::route::Routed::remembered)), and whoever owns the queues keeps it.

use amphora_protocol::wire::table::{FieldTable, FieldValue};

use crate::topology::reply_text::Term;

const LENGTH: &str = "x-recent-history-length";

/// How many messages are remembered if nothing is said.
const LENGTH_DEFAULT: u64 = 20;

/// The header that keeps a message from being remembered, if it is true.
pub const NO_STORE: &str = "x-recent-history-no-store";

/// How many messages an exchange with these arguments remembers; they were checked when it was declared.
pub fn history_length(arguments: &FieldTable) -> u64 {
    let length = arguments.get(LENGTH).and_then(FieldValue::as_integer);
    let length = length.and_then(|length| u64::try_from(length).ok());
    length.unwrap_or(LENGTH_DEFAULT)
}

/// Why an exchange with these arguments is refused.
pub(crate) fn check(arguments: &FieldTable) -> Result<(), String> {
    let Some(value) = arguments.get(LENGTH) else {
        return Ok(());
    };
    match value.as_integer() {
        Some(length) if length > 0 => Ok(()),
        _ => Err(format!(
            "Invalid argument {}, '{LENGTH}' must be a positive integer",
            Term(value)
        )),
    }
}
