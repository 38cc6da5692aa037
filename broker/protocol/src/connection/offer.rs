//! What the server proposes to a client, and what the two agreed on.

use std::sync::Arc;
use std::time::Duration;

use crate::limits::{BODY_SIZE_MAX, FRAME_MAX_CEILING, FRAME_MAX_FLOOR, HANDSHAKE_FRAME_MAX};
use crate::wire::table::FieldTable;

/// What the server proposes to every client, and the limits that it does not negotiate.
#[derive(Clone, Debug)]
pub struct Offer {
    /// How many channels may be open at a time; 0 means no limit.
    pub channel_max: u16,
    /// The largest frame in octets, all included; between [`FRAME_MAX_FLOOR`] and
    /// [`FRAME_MAX_CEILING`]. 0 means the latter.
    pub frame_max: u32,
    /// The heartbeat to propose, in whole seconds; zero means none. The client's answer is what
    /// counts.
    pub heartbeat: Duration,
    /// SASL mechanisms, separated by spaces, the preferred one first.
    pub mechanisms: String,
    /// Sent in `connection.start`, the same to every client.
    pub server_properties: Arc<FieldTable>,
    /// The largest content body; at most [`BODY_SIZE_MAX`].
    pub message_size_max: u64,
    /// How long a client may take from connecting until it has entered a virtual host.
    pub handshake_timeout: Duration,
}

/// RabbitMQ's defaults.
impl Default for Offer {
    fn default() -> Self {
        Self {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: Duration::from_mins(1),
            mechanisms: "PLAIN AMQPLAIN".to_owned(),
            server_properties: Arc::default(),
            message_size_max: 16 * 1024 * 1024,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

impl Offer {
    pub(super) fn frame_max(&self) -> u32 {
        match self.frame_max {
            0 => FRAME_MAX_CEILING,
            frame_max => frame_max.clamp(FRAME_MAX_FLOOR, FRAME_MAX_CEILING),
        }
    }

    pub(super) fn message_size_max(&self) -> u64 {
        self.message_size_max.min(BODY_SIZE_MAX)
    }

    pub(super) fn heartbeat_secs(&self) -> u16 {
        u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX)
    }
}

/// The limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuned {
    /// The largest frame in octets, all included. Never 0.
    pub frame_max: u32,
    /// How many channels may be open at a time; 0 means no limit.
    pub channel_max: u16,
    /// How often a sign of life is due in either direction; zero means never.
    pub heartbeat: Duration,
}

impl Tuned {
    /// What holds until the client has answered.
    pub(super) fn before(offer: &Offer) -> Self {
        Self {
            frame_max: HANDSHAKE_FRAME_MAX,
            channel_max: offer.channel_max,
            heartbeat: Duration::ZERO,
        }
    }
}
