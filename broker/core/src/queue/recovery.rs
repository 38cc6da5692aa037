//! A queue as it was when the broker ended, from what the store kept of it.

use std::collections::{BTreeSet, VecDeque};

use crate::codec::Malformed;
use crate::store::{Position, QueueId, RecordRef, RecoveredQueue};

use super::block::{REDELIVERED, SETTLED, STORED};
use super::log::{Log, SEGMENT_BYTES};
use super::segment::Segment;
use super::settlement::Settlement;
use super::{Queue, persist};

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
    let settlement = match &recovered.settlement {
        Some(bytes) => Settlement::decode(bytes)
            .map_err(|Malformed(reason)| error(format!("the settlement is damaged: {reason}")))?,
        None => Settlement::default(),
    };
    let (obsolete, records): (Vec<_>, Vec<_>) = recovered
        .records
        .into_iter()
        .partition(|record| record.last < settlement.floor);
    let end = records.last().map_or(0, |record| record.last + 1);
    let tail = settlement.tail.max(end).max(settlement.floor);
    let mut segments = VecDeque::new();
    let mut gone = obsolete;
    let mut ready = 0;
    for group in grouped(records, SEGMENT_BYTES).map_err(|reason| error(reason.to_owned()))? {
        let segment = segment(group, &settlement);
        if segment.live == 0 {
            gone.extend(segment.records);
        } else {
            ready += u64::from(segment.live);
            segments.push_back(segment);
        }
    }
    let head = segments
        .front()
        .map_or(tail, |segment: &Segment| segment.base);
    let mut log = Log::recovered(segments, tail, settlement.bytes);
    log.obsolete = gone;
    let mut queue = Queue {
        log,
        head,
        ready,
        ready_bytes: settlement.bytes,
        returned: BTreeSet::new(),
        persist: persist::Progress::default(),
        ..Queue::new(queue_id, true)
    };
    queue.resume(settlement.head);
    queue.returns.recover(settlement.attempts);
    queue.paused = settlement.paused;
    Ok(queue)
}

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
            return Err("two records hold the same position");
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

fn segment(records: Vec<RecordRef>, settlement: &Settlement) -> Segment {
    let first = records.first().map_or(0, |record| record.first);
    let end = records.last().map_or(first, |record| record.last + 1);
    let stored: u32 = records.iter().map(|record| record.count).sum();
    let len = end - first;
    let from = settlement.ranges.partition_point(|&(_, last)| last < first);
    let settled: Vec<(Position, Position)> = settlement
        .ranges
        .iter()
        .skip(from)
        .take_while(|&&(start, _)| start < end)
        .map(|&(start, last)| (start.max(first), last.min(end - 1)))
        .collect();
    let count: u64 = settled.iter().map(|(start, last)| last - start + 1).sum();
    let live = stored.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
    let plain = settled.is_empty() && u64::from(stored) == len && settlement.head <= first;
    if plain {
        return Segment::stored(records, Vec::new(), live);
    }
    let marks = (first..end).map(|position| {
        let done = settled
            .get(settled.partition_point(|&(_, last)| last < position))
            .is_some_and(|&(start, _)| start <= position);
        let delivered = position < settlement.head;
        STORED | if done { SETTLED } else { 0 } | if delivered { REDELIVERED } else { 0 }
    });
    Segment::stored(records, marks.collect(), live)
}
