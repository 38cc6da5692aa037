//! What the test tiers share: a broker in a process of its own, and a client that may say anything.
//!
//! Everything waits for events and gives up at a deadline. What a broker logged is shown when its test fails.

mod binary;
mod broker;
mod client;
mod log;

pub use binary::{binary, workspace};
pub use broker::{Broker, Settings};
pub use client::{Client, Ended, Login, Message, Received};

use std::time::Duration;

/// How long anything may take that a test waits for: long, so that a busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_mins(1);
