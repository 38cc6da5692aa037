//! What is known of a queue's settled messages.
//!
//! ```text
//! key      queue u32; and, but for what concerns the queue as a whole, the part u64
//! payload  that part of the settlement, in the core's encoding
//! version  1
//! ```

use amphora_core::store::{Part, QueueId};
use bytes::Bytes;

use super::envelope;

const VERSION: u8 = 1;

/// A part's key.
pub(in crate::disk) fn key(queue: QueueId, part: Part) -> Vec<u8> {
    let mut key = queue.0.to_be_bytes().to_vec();
    if part != Part::WHOLE {
        key.extend_from_slice(&part.0.to_be_bytes());
    }
    key
}

/// Queue and part of a key; `None` for what is no part's key.
pub(in crate::disk) fn decode_key(key: &[u8]) -> Option<(QueueId, Part)> {
    let (queue, part) = key.split_first_chunk()?;
    let queue = QueueId(u32::from_be_bytes(*queue));
    if part.is_empty() {
        return Some((queue, Part::WHOLE));
    }
    Some((queue, Part(u64::from_be_bytes(part.try_into().ok()?))))
}

/// The value under a part's key.
pub(in crate::disk) fn encode(key: &[u8], data: &[u8]) -> Vec<u8> {
    envelope::seal(VERSION, key, data)
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
            let (queue, part, data): (u32, u64, Vec<u8>) = u.arbitrary()?;
            let (queue, part) = (QueueId(queue), Part(part));
            let key = key(queue, part);
            assert_eq!(decode_key(&key), Some((queue, part)));
            assert_eq!(decode(&key, &encode(&key, &data)), Ok(Bytes::from(data)));
            Ok(())
        });
    }

    #[test]
    fn what_concerns_the_whole_queue_stands_under_its_number() {
        assert_eq!(key(QueueId(5), Part::WHOLE), [0, 0, 0, 5]);
        assert_eq!(
            key(QueueId(5), Part(7)),
            [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7]
        );
        assert_eq!(decode_key(&[0xff]), None);
    }
}
