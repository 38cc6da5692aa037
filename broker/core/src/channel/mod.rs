//! What belongs to a channel rather than to a queue: delivery tags and what they stand for, and confirms.

mod confirm;
mod since;
mod unacked;

pub use confirm::{Confirms, Release};
pub use since::Outstanding;
pub use unacked::{Settling, SourceKey, Taken, Unacked, UnknownTag};
