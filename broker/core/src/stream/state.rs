//! What a stream keeps in the store beside its messages, in place of a queue's settlement.
//!
//! Layout, version 2, numbers of variable length:
//! ```text
//! u8 version = 2
//! tail: the offset that the next message gets
//! u8: 1 if deliveries are stopped
//! active: where the segment begins that retention leaves alone
//! ```
//! Version 1 goes on with the tracked consumers, which are [parts](super::tracking) of their own now.

use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_varint};
use crate::store::Position;

use super::tracking::Tracking;

const VERSION: u8 = 2;

/// The version that lists the tracked consumers.
const WITH_TRACKED: u8 = 1;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) tail: Position,
    pub(super) paused: bool,
    pub(super) active: Position,
    /// The tracked consumers, if it is of the version that lists them.
    pub(super) tracking: Option<Tracking>,
}

pub(super) fn encode(tail: Position, paused: bool, active: Position) -> Bytes {
    let mut out = vec![VERSION];
    put_varint(&mut out, tail);
    out.push(u8::from(paused));
    put_varint(&mut out, active);
    Bytes::from(out)
}

impl State {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let version = reader.byte()?;
        if ![VERSION, WITH_TRACKED].contains(&version) {
            return Err(Malformed("unknown version of a stream's state"));
        }
        let state = Self {
            tail: reader.varint()?,
            paused: reader.byte()? != 0,
            active: reader.varint()?,
            tracking: (version == WITH_TRACKED)
                .then(|| Tracking::decode_list(&mut reader))
                .transpose()?,
        };
        if reader.rest().is_empty() {
            Ok(state)
        } else {
            Err(Malformed("bytes are left over"))
        }
    }
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::types::ConsumerTag;

    use super::*;
    use crate::codec::put_slice;

    #[test]
    fn comes_back_whole_and_never_in_part() {
        arbtest::arbtest(|u| {
            let state = State {
                tail: u.arbitrary()?,
                paused: u.arbitrary()?,
                active: u.arbitrary()?,
                tracking: None,
            };
            let bytes = encode(state.tail, state.paused, state.active);
            assert_eq!(State::decode(&bytes).as_ref(), Ok(&state));
            for cut in 0..bytes.len() {
                assert!(State::decode(&bytes[..cut]).is_err());
            }
            Ok(())
        });
    }

    #[test]
    fn the_version_that_lists_consumers_is_still_read() {
        let mut bytes = vec![WITH_TRACKED];
        put_varint(&mut bytes, 1000);
        bytes.push(1);
        put_varint(&mut bytes, 300);
        put_varint(&mut bytes, 2);
        for (tag, next) in [("b", 7), ("a", 200)] {
            put_slice(&mut bytes, str::as_bytes(tag));
            put_varint(&mut bytes, next);
        }
        let state = State::decode(&bytes).expect("whole");
        assert_eq!((state.tail, state.paused, state.active), (1000, true, 300));
        let mut tracking = state.tracking.expect("listed");
        let all: Vec<_> = tracking.iter().collect();
        assert_eq!(all, [("a", 200), ("b", 7)]);
        tracking.set(&ConsumerTag::new("c").expect("short"), 5);
        assert_eq!(tracking.take_unstored().count(), 3, "none is in a part yet");
        for cut in 0..bytes.len() {
            assert!(State::decode(&bytes[..cut]).is_err());
        }
        bytes[0] = VERSION + 1;
        assert!(State::decode(&bytes).is_err());
    }
}
