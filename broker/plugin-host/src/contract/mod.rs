//! The contract (`wit/`), as this host speaks it: its names, its types, and how they relate to those of AMQP.

mod copies;
mod distinct;
mod message;
pub(crate) mod names;
mod outgoing;
mod reader;
mod table;
pub(crate) mod types;
mod verdict;

pub(crate) use self::message::messages;
pub(crate) use self::outgoing::{Send, outgoing};
pub(crate) use self::table::lowered_table;
pub(crate) use self::verdict::verdict;

/// The package, with the version that this host implements.
pub(crate) const PACKAGE: &str = "amphora:plugin@0.1.0";
