//! AMQP 0-9-1 as bytes and as a conversation, without I/O.
//!
//! * [`wire`] turns bytes into values and back. It keeps no state: frames, the methods of every
//!   class, field tables, content properties, reply codes.
//! * [`connection`] is the server's side of the conversation: the handshake, channels, content
//!   assembly, heartbeats and both kinds of exception. It is a pull parser; sockets and clocks are
//!   its caller's.
//! * [`exception`] has the two kinds of refusal that the standard knows.
//! * [`limits`] names every bound that a peer cannot exceed.
//!
//! Where the standard and RabbitMQ differ, this crate does what RabbitMQ does, because that is what
//! client libraries were tested against.

#![cfg_attr(not(any(test, feature = "fuzz")), warn(clippy::indexing_slicing))]

// The tests of this crate's inside share their samples with those of its outside.
#[cfg(test)]
extern crate self as amphora_protocol;

pub mod connection;
pub mod exception;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod limits;
pub mod wire;
