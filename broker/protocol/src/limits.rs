//! Every bound on what a peer may make this crate hold or do.

use std::time::Duration;

/// Longest short string, in bytes: its length is one octet on the wire.
pub const SHORT_STRING_MAX: usize = 255;

/// How deep tables and arrays may nest in a field table, itself included. Real headers (`x-death`)
/// need three.
///
/// The number of fields in a table has no bound of its own: it is bounded by the frame that holds
/// the table.
pub const TABLE_DEPTH_MAX: usize = 32;

/// The smallest `frame_max` that can be negotiated (spec 4.2.3, `frame-min-size`).
///
/// RabbitMQ asks for 8192 since version 4.1, which locks out clients that older versions and
/// LavinMQ serve.
pub const FRAME_MAX_FLOOR: u32 = 4096;

/// The largest `frame_max` that is ever offered, also when the configuration says 0 ("no limit"): a
/// frame is read whole.
pub const FRAME_MAX_CEILING: u32 = 64 * 1024 * 1024;

/// `frame_max` before tuning. Above the standard's 4096 because access tokens travel in
/// `connection.start-ok`.
pub const HANDSHAKE_FRAME_MAX: u32 = 8192;

/// The largest content body that the protocol accepts, whatever the configuration says.
pub const BODY_SIZE_MAX: u64 = 512 * 1024 * 1024;

/// RabbitMQ's upper bound of an expiration, in milliseconds: ten years.
pub const EXPIRATION_MS_MAX: u64 = 315_360_000_000;

/// A publish of at most this many bytes, frames included, is waited for in the caller's buffer, so
/// that it can be handed on where it lies. A larger one is assembled in memory of its own.
pub const INLINE_MESSAGE_MAX: usize = 256 * 1024;

/// How many messages of the largest allowed size one connection may have in assembly, over all its
/// channels.
pub const ASSEMBLED_MESSAGES_MAX: u64 = 8;

/// How long the peer may take to answer `connection.close`, or to hang up after its own.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a socket stays open on which nothing is heard any more: after a refused login that the
/// client is not told of, so that guessing takes time, and after framing was lost, so that the
/// client can read why.
pub const SILENT_CLOSE_DELAY: Duration = Duration::from_secs(3);

/// After how many heartbeat intervals without a byte the peer is dead.
pub const SILENT_INTERVALS_MAX: u32 = 2;
