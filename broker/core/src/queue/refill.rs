//! A segment's block while it is read back.

use crate::codec::Malformed;
use crate::message::Message;
use crate::store::Position;

use super::block::{AWAY, Block, KnownTarget, PERSISTENT, SETTLED, SPILLED, STORED};
use super::levels::Levels;
use super::paging::RecordData;
use super::segment::Segment;

/// Takes the messages of a segment's records, one after the other, each into its place. Records may interleave: those that survive a restart are not those
/// that only relieve memory.
#[derive(Debug)]
pub(super) struct Refill<'s, 'm> {
    segment: &'s Segment,
    levels: Option<&'s Levels>,
    places: usize,
    block: Block,
    target: KnownTarget<'m>,
    /// How many messages were taken.
    pub(super) count: u64,
    /// Whether some of them expire.
    pub(super) expire: bool,
    misplaced: bool,
}

impl<'s, 'm> Refill<'s, 'm> {
    /// An empty block, with room for what some records hold.
    pub(super) fn new(
        segment: &'s Segment,
        levels: Option<&'s Levels>,
        data: &[RecordData],
    ) -> Self {
        let places = segment.len as usize;
        let bytes = data.iter().map(|record| record.data.len()).sum();
        Self {
            segment,
            levels,
            places,
            block: Block::with_room_for(places, bytes),
            target: KnownTarget::default(),
            count: 0,
            expire: false,
            misplaced: false,
        }
    }

    /// Takes a message that was read.
    #[inline]
    pub(super) fn take(
        &mut self,
        position: Position,
        message: &Message<'m>,
        expires_at: Option<u64>,
    ) {
        let index = self.segment.index(position);
        self.count += 1;
        self.expire |= expires_at.is_some();
        let flags = if message.persistent {
            PERSISTENT | STORED
        } else {
            SPILLED
        };
        let level = |levels: &Levels| levels.flags_of(message.properties);
        let flags = flags | self.levels.map_or(0, level);
        // Nearly always it is the next one, as records are in order.
        if index == self.block.len() && index < self.places {
            self.block
                .push_next(message, flags, expires_at, &mut self.target);
        } else {
            self.put(index, message, flags, expires_at);
        }
    }

    /// Puts a message in its place behind or between the others.
    #[cold]
    fn put(&mut self, index: usize, message: &Message<'_>, flags: u16, expires_at: Option<u64>) {
        if index >= self.places {
            self.misplaced = true;
            return;
        }
        self.keep_places(index + 1);
        let is_free = self.block.flags(index) & (SETTLED | AWAY) != 0;
        if is_free {
            self.block.fill(index, message, flags, expires_at);
        } else {
            self.misplaced = true;
        }
    }

    /// Keeps places for what was not read so far.
    fn keep_places(&mut self, end: usize) {
        for index in self.block.len()..end {
            if self.segment.stays_away(index) {
                let bytes = u32::try_from(self.segment.body_len(index)).unwrap_or(u32::MAX);
                self.block.push_away(SPILLED, bytes);
            } else {
                self.block.push_absent();
            }
        }
    }

    /// The whole block.
    ///
    /// # Errors
    /// Some message was not in a place of its own.
    pub(super) fn finish(mut self) -> Result<Block, Malformed> {
        if self.misplaced {
            return Err(Malformed("a record holds a position that is not its own"));
        }
        self.keep_places(self.places);
        self.block.fit();
        Ok(self.block)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::block::EXPIRES;
    use super::*;
    use crate::message::Body;

    const BASE: Position = 100;
    const PLACES: u32 = 6;

    /// A block from messages at some positions, each with its position's distance from the base as its body. Those at odd ones are persistent.
    fn refilled(positions: &[Position]) -> Result<Block, Malformed> {
        let mut segment = Segment::new(BASE);
        (segment.len, segment.block) = (PLACES, None);
        let data = RecordData {
            data: Bytes::from_static(b"some record"),
            bodies: Bytes::new(),
        };
        let distances = positions.iter().map(|at| at.wrapping_sub(BASE));
        let bodies: Vec<_> = distances.map(Position::to_le_bytes).collect();
        let mut refill = Refill::new(&segment, None, &[data]);
        for (&position, body) in positions.iter().zip(&bodies) {
            let message = Message {
                target: b"\x00\x01q",
                properties: &[0, 0],
                body: Body::Inline(&body[..1]),
                persistent: position % 2 == 1,
            };
            refill.take(position, &message, (position == BASE).then_some(7));
        }
        assert_eq!(refill.count, positions.len() as u64);
        assert_eq!(refill.expire, positions.contains(&BASE));
        refill.finish()
    }

    #[test]
    fn every_message_gets_its_place_in_any_order() {
        for positions in [
            &[BASE, BASE + 1, BASE + 4][..],
            &[BASE, BASE + 4, BASE + 1],
            &[BASE + 4, BASE + 1, BASE],
        ] {
            let block = refilled(positions).expect("all have a place");
            assert_eq!(block.len(), PLACES as usize);
            for index in 0..PLACES {
                let at = index as usize;
                let is_there = positions.contains(&(BASE + u64::from(index)));
                let body = block.live(at).map(|(_, message)| message.body.bytes());
                assert_eq!(body, is_there.then_some(&[index.to_le_bytes()[0]][..]));
                let flags = match index {
                    0 => SPILLED | EXPIRES,
                    1 => PERSISTENT | STORED,
                    4 => SPILLED,
                    _ => SETTLED,
                };
                assert_eq!(block.flags(at), flags);
            }
            assert_eq!((block.expires_at(0), block.expires_at(4)), (Some(7), None));
        }
    }

    #[test]
    fn a_position_that_is_taken_or_not_in_the_segment_is_refused() {
        for wrong in [BASE, BASE + 1, BASE - 1, BASE + u64::from(PLACES)] {
            let positions = [BASE, BASE + 1, BASE + 2, wrong];
            let refused = refilled(&positions).expect_err("it has no place");
            assert!(refused.0.contains("not its own"));
        }
    }
}
