//! What is known of a queue's settled messages.
//!
//! ```text
//! key      queue u32
//! payload  floor and ranges, in the core's encoding
//! version  1
//! ```

use amphora_core::store::QueueId;
use bytes::Bytes;

use super::envelope;

const VERSION: u8 = 1;

/// The queue's key.
pub(in crate::disk) fn key(queue: QueueId) -> [u8; 4] {
    queue.0.to_be_bytes()
}

/// The queue of a key; `None` for what is no queue's key.
pub(in crate::disk) fn decode_key(key: &[u8]) -> Option<QueueId> {
    Some(QueueId(u32::from_be_bytes(key.try_into().ok()?)))
}

/// The queue's value.
pub(in crate::disk) fn encode(queue: QueueId, data: &[u8]) -> Vec<u8> {
    envelope::seal(VERSION, &key(queue), data)
}

/// The core's bytes, or what is wrong with them. They are copied, for they are small and live long.
pub(in crate::disk) fn decode(key: &[u8], value: &[u8]) -> Result<Bytes, String> {
    envelope::open(VERSION, key, value).map(Bytes::copy_from_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settlements_round_trip() {
        arbtest::arbtest(|u| {
            let (queue, data): (u32, Vec<u8>) = u.arbitrary()?;
            let queue = QueueId(queue);
            assert_eq!(decode_key(&key(queue)), Some(queue));
            assert_eq!(
                decode(&key(queue), &encode(queue, &data)),
                Ok(Bytes::from(data))
            );
            Ok(())
        });
    }
}
