//! As much of AMQP 0-9-1 as a load generator needs, written apart from the broker's own codec.
//!
//! A tool that judges a broker must not share its mistakes, and its hot path wants templates rather than values: so there are
//! frames ([`frame`]), a builder for the few methods that are sent ([`call`]), a read buffer ([`inbox`]), what is
//! said before and after a load ([`dialogue`]) and a blocking connection ([`client`]), and nothing else.

pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod dialogue;
pub(crate) mod endpoint;
pub(crate) mod frame;
pub(crate) mod inbox;
pub(crate) mod method;
