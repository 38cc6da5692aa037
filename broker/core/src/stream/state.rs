//! What a stream keeps in the store beside its messages, in place of a queue's settlement.
//!
//! Layout, version 1, numbers of variable length:
//! ```text
//! u8 version = 1
//! tail: the offset that the next message gets
//! u8: 1 if deliveries are stopped
//! active: where the segment begins that retention leaves alone
//! count of tracked consumers, each: length and bytes of the tag, the offset that it gets next
//! ```

use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_varint};
use crate::store::Position;

use super::tracking::Tracking;

const VERSION: u8 = 1;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) tail: Position,
    pub(super) paused: bool,
    pub(super) active: Position,
    pub(super) tracking: Tracking,
}

pub(super) fn encode(tail: Position, paused: bool, active: Position, tracking: &Tracking) -> Bytes {
    let mut out = vec![VERSION];
    put_varint(&mut out, tail);
    out.push(u8::from(paused));
    put_varint(&mut out, active);
    tracking.encode(&mut out);
    Bytes::from(out)
}

impl State {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed("unknown version of a stream's state"));
        }
        let state = Self {
            tail: reader.varint()?,
            paused: reader.byte()? != 0,
            active: reader.varint()?,
            tracking: Tracking::decode(&mut reader)?,
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

    #[test]
    fn comes_back_whole_and_never_in_part() {
        arbtest::arbtest(|u| {
            let mut state = State {
                tail: u.arbitrary()?,
                paused: u.arbitrary()?,
                active: u.arbitrary()?,
                tracking: Tracking::default(),
            };
            for _ in 0..u.int_in_range(0..=5)? {
                let tag = ConsumerTag::new(format!("c{}", u.int_in_range(0..=9)?));
                state.tracking.set(&tag.expect("short"), u.arbitrary()?);
            }
            let bytes = encode(state.tail, state.paused, state.active, &state.tracking);
            let read = State::decode(&bytes).expect("whole");
            assert_eq!((read.tail, read.active), (state.tail, state.active));
            assert_eq!(read.paused, state.paused);
            let pairs = |state: &State| -> Vec<(String, u64)> {
                let all = state.tracking.iter();
                all.map(|(tag, next)| (tag.to_owned(), next)).collect()
            };
            assert_eq!(pairs(&read), pairs(&state));
            for cut in 0..bytes.len() {
                assert!(State::decode(&bytes[..cut]).is_err());
            }
            Ok(())
        });
    }
}
