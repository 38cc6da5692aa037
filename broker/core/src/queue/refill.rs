//! A segment's block while it is read back.

use crate::codec::Malformed;
use crate::message::Message;
use crate::store::Position;

use super::block::{AWAY, Block, PERSISTENT, SETTLED, SPILLED, STORED};
use super::levels::Levels;
use super::log::SEGMENT_BYTES;
use super::paging::RecordData;
use super::segment::Segment;
use super::targets::KnownTarget;

/// More than what of a segment lies in its block's buffer, but for the odd one: bodies that are shared do not.
const BUFFER_BYTES_MAX: usize = 2 * SEGMENT_BYTES;

/// Takes the messages of a segment's records, one after the other, each into its place. Records may interleave, as those that survive a restart do with
/// those that only relieve memory, and those of different levels of priority.
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
        // A record has more bytes beside a message's properties and body than the buffer has.
        let bytes: usize = data.iter().map(|record| record.data.len()).sum();
        Self {
            segment,
            levels,
            places,
            block: Block::with_room_for(places, bytes.min(BUFFER_BYTES_MAX)),
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
        if (self.block.len()..self.places).contains(&index) {
            self.keep_places(index);
            self.block
                .push_next(message, flags, expires_at, &mut self.target);
        } else {
            self.put_between(index, message, flags, expires_at);
        }
    }

    /// Puts a message in the place that was kept for it behind others.
    fn put_between(
        &mut self,
        index: usize,
        message: &Message<'_>,
        flags: u16,
        expires_at: Option<u64>,
    ) {
        // Outside the block, all is settled.
        let is_kept = index < self.block.len() && self.block.flags(index) & (SETTLED | AWAY) != 0;
        if is_kept {
            self.block.fill(index, message, flags, expires_at);
        } else {
            self.misplaced = true;
        }
    }

    /// Keeps the places before `end` of what was not read so far.
    #[inline]
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
    use crate::store::{RecordId, RecordRef};

    const BASE: Position = 100;
    const PLACES: u32 = 6;
    const TARGETS: [&[u8]; 2] = [b"\x00\x01q", b"\x01x\x03key"];
    const PROPERTIES: [&[u8]; 2] = [&[0, 0], &[8, 0, 5]];

    fn segment(places: u32) -> Segment {
        let mut segment = Segment::new(BASE);
        (segment.len, segment.block) = (places, None);
        segment
    }

    /// Which of some kinds a message is of.
    fn kind(position: Position) -> usize {
        usize::from(position.wrapping_sub(BASE) >= 3)
    }

    /// A block from messages at some positions, each with its position's distance from the base as its body. Those at odd ones are persistent.
    fn refilled(segment: &Segment, positions: &[Position]) -> Result<Block, Malformed> {
        let data = RecordData {
            data: Bytes::from(vec![0; 100]),
            bodies: Bytes::new(),
        };
        let distances = positions.iter().map(|at| at.wrapping_sub(BASE));
        let bodies: Vec<_> = distances.map(Position::to_le_bytes).collect();
        let mut refill = Refill::new(segment, None, &[data]);
        for (&position, body) in positions.iter().zip(&bodies) {
            let message = Message {
                target: TARGETS[kind(position)],
                properties: PROPERTIES[kind(position)],
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
        let order = [BASE, BASE + 1, BASE + 3, BASE + 4];
        for turned in 0..order.len() {
            for reversed in [false, true] {
                let mut positions = order;
                positions.rotate_left(turned);
                if reversed {
                    positions.reverse();
                }
                let block = refilled(&segment(PLACES), &positions).expect("all have a place");
                assert_eq!(block.len(), PLACES as usize);
                let seen = (0..PLACES).map(|index| {
                    let (_, message) = block.live(index as usize)?;
                    let at = BASE + u64::from(index);
                    assert_eq!(message.target, TARGETS[kind(at)]);
                    assert_eq!(message.properties, PROPERTIES[kind(at)]);
                    assert_eq!(message.body.bytes(), [index.to_le_bytes()[0]]);
                    Some(block.flags(index as usize))
                });
                let stored = Some(PERSISTENT | STORED);
                let first = Some(SPILLED | EXPIRES);
                assert_eq!(
                    seen.collect::<Vec<_>>(),
                    [first, stored, None, stored, Some(SPILLED), None]
                );
                assert_eq!(block.flags(2), SETTLED);
                assert_eq!((block.expires_at(0), block.expires_at(4)), (Some(7), None));
            }
        }
    }

    #[test]
    fn a_position_that_is_taken_or_not_in_the_segment_is_refused() {
        for wrong in [BASE, BASE + 1, BASE - 1, BASE + 3] {
            let refused = refilled(&segment(3), &[BASE, BASE + 1, BASE + 2, wrong]);
            let refused = refused.expect_err("it has no place");
            assert!(refused.0.contains("not its own"));
        }
    }

    /// A message at each place but the second, which was acknowledged; those of level 1 are between those of level 0, in a record of their own.
    #[test]
    fn levels_that_were_not_asked_for_stay_away() {
        let mut segment = Segment::new(BASE);
        for index in 0..PLACES {
            let message = Message {
                target: TARGETS[0],
                properties: PROPERTIES[0],
                body: Body::Inline(&vec![7; index as usize]),
                persistent: false,
            };
            let level = u16::from(index % 2 == 1) << 8;
            segment.push(&message, SPILLED | level, None);
        }
        segment.settle(1);
        for level in 0..2 {
            segment.records.push(RecordRef {
                id: RecordId(level.into()),
                first: BASE,
                last: BASE + u64::from(PLACES) - 1,
                count: PLACES / 2,
                bytes: 100,
                transient: true,
                bodies: None,
            });
            segment.note_slices(level, usize::from(level));
        }
        assert!(segment.page_out(true));
        let asked = segment.ask(Some(0)).expect("it is away");
        assert_eq!(asked.len(), 1);

        let block = refilled(&segment, &[BASE, BASE + 2, BASE + 4]).expect("all have a place");
        let flags = (0..PLACES as usize).map(|index| block.flags(index) & !EXPIRES);
        let away = SPILLED | AWAY;
        assert_eq!(
            flags.collect::<Vec<_>>(),
            [SPILLED, SETTLED, SPILLED, away, SPILLED, away]
        );
        assert_eq!(block.body_len(5), 5);
    }

    #[test]
    fn room_that_is_not_needed_is_given_back() {
        let segment = segment(PLACES);
        let before = Refill::new(&segment, None, &[]).block.memory();
        let data = RecordData {
            data: Bytes::from(vec![0; 100_000]),
            bodies: Bytes::new(),
        };
        let refill = Refill::new(&segment, None, &[data]);
        assert!(refill.block.memory() >= before + 100_000);
        let block = refill.finish().expect("nothing is misplaced");
        assert_eq!(block.memory(), before);
    }
}
