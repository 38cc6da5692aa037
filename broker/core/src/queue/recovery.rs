//! A queue as it was when the broker ended, from what the store kept of it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::codec::Malformed;
use crate::store::{Part, Position, QueueId, RecordRef, RecoveredQueue};

use super::Queue;
use super::block::{REDELIVERED, SETTLED, STORED};
use super::log::{At, Log, SEGMENT_BYTES};
use super::parts::{Mark, Stretch};
use super::segment::Segment;
use super::settlement::Settlement;

/// What the store kept of a queue contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("queue {queue:?}: {reason}")]
pub struct RecoveryError {
    /// The queue.
    pub queue: QueueId,
    /// What is wrong.
    pub reason: String,
}

/// Builds the queue. Costs work in proportion to the records, not the messages, as long as little is settled out of
/// order; messages themselves stay in the store until somebody wants them.
///
/// # Errors
/// The settlement cannot be read, or records overlap.
pub fn recover<C>(recovered: RecoveredQueue) -> Result<Queue<C>, RecoveryError> {
    let queue_id = recovered.queue;
    let error = |reason: String| RecoveryError {
        queue: queue_id,
        reason,
    };
    let mut parts = recovered.settlement;
    let stored = Stored::decode(&mut parts)
        .map_err(|Malformed(reason)| error(format!("the settlement is damaged: {reason}")))?;
    let settlement = &stored.settlement;
    let (obsolete, records): (Vec<_>, Vec<_>) = recovered
        .records
        .into_iter()
        .partition(|record| record.last < settlement.floor);
    let end = records.last().map_or(0, |record| record.last + 1);
    let tail = settlement.tail.max(end).max(settlement.floor);
    let mut segments = VecDeque::new();
    let mut gone = obsolete;
    for run in records.chunk_by(|a, b| stored.is_purged(a) == stored.is_purged(b)) {
        for group in grouped(run.to_vec(), SEGMENT_BYTES).map_err(|text| error(text.to_owned()))? {
            let segment = stored.segment(group);
            if segment.live == 0 {
                gone.extend(segment.records);
            } else {
                segments.push_back(segment);
            }
        }
    }
    let ordered = (segments.iter().zip(segments.iter().skip(1)))
        .all(|(before, after): (&Segment, &Segment)| before.end() <= after.base);
    if !ordered {
        return Err(error(OVERLAP.to_owned()));
    }
    let mut log = Log::recovered(segments, tail, settlement.bytes);
    log.obsolete = gone;
    let mut queue = Queue {
        log,
        ..Queue::new(queue_id, true)
    };
    queue.resume(settlement, &parts);
    queue.paused = settlement.paused;
    queue.expiry.messages = settlement.may_expire;
    queue.make_ready(&stored);
    Ok(queue)
}

impl<C> Queue<C> {
    /// All that is live is ready from the head on, but for what was dying or waited for its time.
    fn make_ready(&mut self, stored: &Stored) {
        let segments = &self.log.segments;
        self.head = segments.front().map_or(self.log.tail(), |s| s.base);
        self.ready = segments.iter().map(|s| u64::from(s.live)).sum();
        self.ready_bytes = stored.settlement.bytes;
        for (&position, mark) in &stored.marks {
            if matches!(self.log.at(position), At::Settled) {
                continue;
            }
            if mark.attempts.acquired > 0 {
                // What is dying may have waited once, and does no more.
                let waits = mark.dying.is_none() && mark.attempts.due > 0;
                self.returns
                    .recover(position, mark.attempts, waits.then_some(mark.bytes));
            }
            if let Some(reason) = mark.dying {
                self.deaths.add(position, reason, mark.bytes.into());
            }
            if mark.is_aside() {
                self.ready = self.ready.saturating_sub(1);
                self.ready_bytes = self.ready_bytes.saturating_sub(mark.bytes.into());
                self.aside_to = position + 1;
            }
        }
    }
}

const OVERLAP: &str = "two records hold the same position";

/// Neighbouring records, as many as make a segment of `bytes_max`.
pub(crate) fn grouped(
    records: Vec<RecordRef>,
    bytes_max: usize,
) -> Result<Vec<Vec<RecordRef>>, &'static str> {
    let mut groups: Vec<Vec<RecordRef>> = Vec::new();
    let mut bytes = 0;
    let mut end: Option<Position> = None;
    for record in records {
        if end.is_some_and(|end| record.first < end) {
            return Err(OVERLAP);
        }
        let adjacent = end == Some(record.first);
        end = Some(record.last + 1);
        let size = usize::try_from(record.bytes_read()).unwrap_or(usize::MAX);
        bytes += size;
        match groups.last_mut() {
            Some(group) if adjacent && bytes <= bytes_max => group.push(record),
            _ => {
                bytes = size;
                groups.push(vec![record]);
            }
        }
    }
    Ok(groups)
}

/// What the store knows of a queue's messages.
struct Stored {
    settlement: Settlement,
    /// First and last position that are settled, ascending.
    ranges: Vec<(Position, Position)>,
    marks: BTreeMap<Position, Mark>,
}

impl Stored {
    /// Takes what concerns the whole queue out of the parts; all others stay.
    fn decode(parts: &mut BTreeMap<Part, Bytes>) -> Result<Self, Malformed> {
        let settlement = match parts.remove(&Part::WHOLE) {
            Some(bytes) => Settlement::decode(&bytes)?,
            None => Settlement {
                // Nothing is known.
                may_expire: true,
                ..Settlement::default()
            },
        };
        let mut stored = Self {
            settlement,
            ranges: Vec::new(),
            marks: BTreeMap::new(),
        };
        let floor = stored.settlement.floor;
        for (&part, bytes) in parts.iter() {
            let Stretch { ranges, marks } = Stretch::decode(part, bytes)?;
            let above = ranges.into_iter().filter(|&(_, last)| last >= floor);
            let above = above.map(|(first, last)| (first.max(floor), last));
            stored.ranges.extend(above);
            stored.marks.extend(marks);
        }
        Ok(stored)
    }

    fn is_purged(&self, record: &RecordRef) -> bool {
        let purged = &self.settlement.purged;
        let at = purged.partition_point(|&(_, end)| end <= record.first);
        purged
            .get(at)
            .is_some_and(|&(first, _)| first <= record.first)
    }

    fn is_dying(&self, position: Position) -> bool {
        let mark = self.marks.get(&position);
        mark.is_some_and(|mark| mark.dying.is_some())
    }

    /// What is settled of these positions, by ranges.
    fn settled(
        &self,
        first: Position,
        end: Position,
    ) -> impl Iterator<Item = (Position, Position)> {
        let from = self.ranges.partition_point(|&(_, last)| last < first);
        let ranges = self.ranges.iter().skip(from);
        ranges
            .take_while(move |&&(start, _)| start < end)
            .map(move |&(start, last)| (start.max(first), last.min(end - 1)))
    }

    fn segment(&self, records: Vec<RecordRef>) -> Segment {
        let Settlement { floor, head, .. } = self.settlement;
        let first = records.first().map_or(0, |record| record.first);
        let end = records.last().map_or(first, |record| record.last + 1);
        let purged = records.first().is_some_and(|record| self.is_purged(record));
        let stored: u32 = records.iter().map(|record| record.count).sum();
        let settled: Vec<_> = self.settled(first, end).collect();
        let plain = settled.is_empty() && u64::from(stored) == end - first;
        let plain = plain && !purged && first >= floor.max(head);
        let mut marks = Vec::new();
        if !plain {
            let mark = |position| self.flags(position, &settled, purged);
            marks = (first..end).map(mark).collect();
        }
        let below = if first < floor {
            self.settlement.below
        } else {
            0
        };
        let count: u64 = settled.iter().map(|(start, last)| last - start + 1).sum();
        let live = if purged {
            (first..end)
                .filter(|&position| self.is_dying(position))
                .count() as u64
        } else {
            u64::from(stored).saturating_sub(count + below)
        };
        let live = u32::try_from(live).unwrap_or(u32::MAX);
        let lengths = self.lengths(first, end);
        let mut segment = Segment::stored(records, marks, lengths, live);
        segment.purged = purged;
        segment
    }

    fn flags(&self, position: Position, settled: &[(Position, Position)], purged: bool) -> u16 {
        let Settlement { floor, head, .. } = self.settlement;
        if purged && !self.is_dying(position) {
            // Whether the record has it is not known before that is read.
            return SETTLED;
        }
        let range = settled.get(settled.partition_point(|&(_, last)| last < position));
        let done = position < floor || range.is_some_and(|&(start, _)| start <= position);
        let delivered = position < head;
        STORED | if done { SETTLED } else { 0 } | if delivered { REDELIVERED } else { 0 }
    }

    /// The lengths of bodies, as far as they must be known before they are read.
    fn lengths(&self, first: Position, end: Position) -> Vec<u32> {
        let marks = self.marks.range(first..end);
        let mut lengths = Vec::new();
        for (position, mark) in marks.filter(|(_, mark)| mark.is_aside()) {
            let before = usize::try_from(position - first).unwrap_or(usize::MAX);
            lengths.resize(before, 0);
            lengths.push(mark.bytes);
        }
        lengths
    }
}
