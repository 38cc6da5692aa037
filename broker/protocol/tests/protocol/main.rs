//! The crate from outside: bytes in, values, events and bytes out.

#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::needless_pass_by_value,
    clippy::needless_raw_string_hashes,
    reason = "a test may fail at once, is not slow for a string, and expectations are written by a program"
)]

mod channels;
mod chunks;
mod content;
mod endings;
mod frames;
mod handshake;
mod heartbeat;
mod methods;
mod properties;
mod samples;
mod session;
mod states;
mod tables;
