//! Bounds on what clients may ask for.

use std::time::Duration;

use amphora_protocol::limits::{FRAME_MAX_CEILING, FRAME_MAX_FLOOR};
use serde::Deserialize;
use serde_json::to_value;

use super::value::{self, ByteSize, Maximum, MemoryMark};

/// Bounds on what clients may ask for. The defaults are RabbitMQ's unless a field says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open channels per connection, as proposed in `connection.tune`.
    #[serde(deserialize_with = "value::from_range::<_, _, 1, 65_535>")]
    pub channel_max: u16,
    /// The largest frame in bytes, as proposed in `connection.tune`.
    #[serde(deserialize_with = "value::from_range::<_, _, FRAME_MAX_FLOOR, FRAME_MAX_CEILING>")]
    pub frame_max: u32,
    /// Silence after which a peer sends a heartbeat, as proposed in `connection.tune`; zero for none.
    #[serde(deserialize_with = "value::heartbeat")]
    #[serde(serialize_with = "value::duration_out")]
    pub heartbeat: Duration,
    /// Open AMQP connections of this broker.
    pub connections_max: Maximum,
    /// Open channels of all connections together.
    pub node_channels_max: Maximum,
    /// Consumers of one channel.
    pub channel_consumers_max: Maximum,
    /// How long a consumer may hold a message of a queue that says nothing of it, see `x-consumer-timeout`; zero for as long as it
    /// likes. RabbitMQ's default is half an hour.
    #[serde(deserialize_with = "value::duration")]
    #[serde(serialize_with = "value::duration_out")]
    pub consumer_timeout: Duration,
    /// The largest message body.
    #[serde(deserialize_with = "value::message_size")]
    pub message_size_max: ByteSize,
    /// How long a connection may take from its first byte to `connection.open`, TLS included.
    #[serde(deserialize_with = "value::duration")]
    #[serde(serialize_with = "value::duration_out")]
    pub handshake_timeout: Duration,
    /// With less than this free on the data directory's disk, publishers are blocked.
    /// RabbitMQ's default of 50 MB leaves no room for a commit group and a compaction.
    pub disk_free_limit: ByteSize,
    /// With more memory than this in use, publishers are blocked.
    pub memory_mark: MemoryMark,
}

impl Limits {
    /// What differs from others, as the configuration says it: `channel_max = 50, memory_mark = "2GiB"`.
    ///
    /// # Errors
    /// A value has no form in JSON, which each has.
    pub fn difference(&self, before: &Self) -> serde_json::Result<String> {
        let (before, after) = (to_value(before)?, to_value(self)?);
        let keys = after.as_object().into_iter().flatten();
        let changed = keys.filter(|(key, value)| before.get(key) != Some(value));
        let changed: Vec<_> = changed
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        Ok(changed.join(", "))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: Duration::from_mins(1),
            connections_max: Maximum::UNLIMITED,
            node_channels_max: Maximum::UNLIMITED,
            channel_consumers_max: Maximum::UNLIMITED,
            consumer_timeout: Duration::ZERO,
            message_size_max: ByteSize::mib(16),
            handshake_timeout: Duration::from_secs(10),
            disk_free_limit: ByteSize::mib(128),
            memory_mark: MemoryMark::percent(60),
        }
    }
}
