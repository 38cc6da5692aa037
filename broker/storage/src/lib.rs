//! The broker's storage: [`FjallStore`] on disk, [`MemoryStore`] without persistence, both behind the core's
//! [`Store`](amphora_core::store::Store) contract and held to it by one suite.

mod disk;
mod memory;
mod plan;
pub mod testing;

pub use disk::{FjallStore, OpenError, Options};
pub use memory::MemoryStore;

use amphora_core::store::{QueueId, RecordRef, SHARED_MEMORY_BYTES_MAX, StoreError};
use bytes::Bytes;

/// The data of a record for as long as it is stored: small ones may be part of much more memory, which is not theirs to keep.
fn kept(data: &Bytes) -> Bytes {
    if data.len() > SHARED_MEMORY_BYTES_MAX {
        data.clone()
    } else {
        Bytes::copy_from_slice(data)
    }
}

/// The error for a record that is not as it was appended, naming queue and positions as a reader of the log needs them.
fn damaged_record(queue: QueueId, record: &RecordRef, reason: impl Into<String>) -> StoreError {
    let what = if queue == QueueId::SHARED {
        format!("record {} of shared bodies", record.id.0)
    } else {
        format!(
            "record {} of queue {} (positions {} to {})",
            record.id.0, queue.0, record.first, record.last
        )
    };
    StoreError::Damaged {
        what,
        reason: reason.into(),
    }
}
