//! Cuts a run of messages into records.

use crate::message::{Body, Message};
use crate::store::{CommitGroup, Position, QueueId, RecordRef, Write};

use super::bodies::Records;
use super::record::TargetNumber;

/// A record is cut when it has this much.
pub(crate) const RECORD_BYTES: usize = 256 << 10;

/// A body above this gets a record of its own, so that reading its neighbours does not read it.
pub(crate) const LONE_BODY_MIN: usize = 64 << 10;

/// Puts messages of one queue into records, in the order of their positions, and the records into a group.
pub(crate) struct Cutter<'a, 'm> {
    queue: QueueId,
    transient: bool,
    group: &'a mut CommitGroup,
    records: &'a mut Records,
    /// Where the records that were made are listed.
    stored: &'a mut Vec<RecordRef>,
    /// The target of the last message, and its number in the record.
    target: Option<(&'m [u8], TargetNumber)>,
    count: u64,
}

impl<'a, 'm> Cutter<'a, 'm> {
    pub(crate) fn new(
        queue: QueueId,
        transient: bool,
        group: &'a mut CommitGroup,
        records: &'a mut Records,
        stored: &'a mut Vec<RecordRef>,
    ) -> Self {
        debug_assert!(
            records.writer.is_empty(),
            "what was cut last was not finished"
        );
        Self {
            queue,
            transient,
            group,
            records,
            stored,
            target: None,
            count: 0,
        }
    }

    /// Adds a message. `time` is kept with it.
    #[inline]
    pub(crate) fn add(&mut self, position: Position, message: &Message<'m>, time: Option<u64>) {
        let place = match message.body {
            // Whoever else has the body may be another queue; if it is not, little is lost.
            Body::Shared(body) if !body.is_unique() => Some(self.records.place(body)),
            _ => None,
        };
        let alone = message.body.len() > LONE_BODY_MIN;
        if alone || place.is_some_and(|place| !self.records.writer.may_refer_to(place.record)) {
            self.cut();
        }
        // Messages of one block with the same target share it, which is known again without looking into it.
        let last = self.target.take();
        let same = last.filter(|(target, _)| std::ptr::eq(*target, message.target));
        let known = same.map(|(_, number)| number);
        let writer = &mut self.records.writer;
        let number = writer.push(position, message, time, place, known);
        self.target = number.map(|number| (message.target, number));
        self.count += 1;
        if alone || self.records.writer.len() >= RECORD_BYTES {
            self.cut();
        }
    }

    /// To be called after the last message. Returns how many there were.
    pub(crate) fn finish(mut self) -> u64 {
        self.cut();
        self.count
    }

    fn cut(&mut self) {
        if self.records.writer.is_empty() {
            return;
        }
        self.target = None;
        let finished = self.records.writer.finish();
        let record = RecordRef {
            id: self.records.next(),
            first: finished.first,
            last: finished.last,
            count: finished.count,
            bytes: u32::try_from(finished.data.len()).unwrap_or(u32::MAX),
            transient: self.transient,
            bodies: finished.bodies,
        };
        self.stored.push(record);
        self.group.writes.push(Write::Append {
            queue: self.queue,
            record,
            data: finished.data,
        });
    }
}
