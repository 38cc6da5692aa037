//! What the keys and values in the database look like: one file per family, all numbers big-endian unless said otherwise.
//!
//! | keyspace | keys | values | file |
//! |---|---|---|---|
//! | `seg` | record id | the record's data as it came | [`segment`] |
//! | `idx` | queue, first position, record id | extent and checksum of the record | [`index`] |
//! | `ack` | queue, part | a part of the queue's settlement | [`settlement`] |
//! | `meta` | `00` | the store's own counters | [`counters`] |
//! | `meta` | `01`, the core's key | a definition | [`definition`] |
//! | `meta` | `02`, group | what the group changed of the other keyspaces and is not there yet | [`changes`] |
//!
//! `idx` and `ack` with all [`changes`] are the truth: a record exists if they say so. Both also hold a one-byte key
//! [`MARKER`], see [`Engine::checkpoint`](super::engine::Engine::checkpoint).

pub(super) mod changes;
pub(super) mod counters;
pub(super) mod definition;
mod envelope;
pub(super) mod index;
pub(super) mod segment;
pub(super) mod settlement;

/// The key that a checkpoint writes to a keyspace whose other keys are longer. It sorts behind them.
pub(super) const MARKER: [u8; 1] = [0xFF];

/// Takes the next bytes off, if there are as many.
fn take<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(bytes)
}
