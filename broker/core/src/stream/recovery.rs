//! A stream as it was when the broker ended.

use crate::codec::Malformed;
use crate::queue::RecoveryError;
use crate::queue::log::SEGMENT_BYTES as CHUNK_BYTES;
use crate::queue::recovery::grouped;
use crate::queue_arguments::QueueArguments;
use crate::store::{Part, RecordRef, RecoveredQueue};

use super::Stream;
use super::chunk::Chunk;
use super::state::State;
use super::tracking::Tracking;

/// Builds the stream; messages stay in the store until somebody reads them. Costs work in proportion to the records.
///
/// # Errors
/// The state cannot be read, or records overlap.
pub fn recover<C>(
    recovered: RecoveredQueue,
    arguments: &QueueArguments,
) -> Result<Stream<C>, RecoveryError> {
    let queue = recovered.queue;
    let error = |reason: String| RecoveryError { queue, reason };
    let mut settlement = recovered.settlement;
    let stored = settlement.remove(&Part::WHOLE);
    let state = match &stored {
        Some(bytes) => State::decode(bytes)
            .map_err(|Malformed(reason)| error(format!("the state is damaged: {reason}")))?,
        None => State::default(),
    };
    let parts = Tracking::recover(&settlement);
    let parts =
        parts.map_err(|Malformed(reason)| error(format!("the state is damaged: {reason}")))?;
    let mut stream = Stream::new(queue, arguments);
    let bytes = recovered.records.iter().map(RecordRef::bytes_read).sum();
    let segment_bytes = stream.retention.segment_bytes(bytes);
    let segment_bytes = usize::try_from(segment_bytes).unwrap_or(usize::MAX);
    let groups = grouped(recovered.records, CHUNK_BYTES.min(segment_bytes))
        .map_err(|reason| error(reason.to_owned()))?;
    for records in groups {
        // Within a record, every position is there.
        if records
            .iter()
            .any(|record| record.last - record.first + 1 != u64::from(record.count))
        {
            return Err(error(
                "a record does not hold all of its positions".to_owned(),
            ));
        }
        let chunk = Chunk::stored(records);
        stream.count += u64::from(chunk.len);
        stream.bytes += chunk.bytes;
        stream.chunks.push_back(chunk);
    }
    let end = stream.chunks.back().map_or(0, Chunk::end);
    stream.tail = state.tail.max(end);
    (stream.taken, stream.durable) = (stream.tail, stream.tail);
    stream.paused = state.paused;
    stream.retention.active = state.active;
    stream.tracking = state.tracking.unwrap_or(parts);
    stream.state = stored.unwrap_or_default();
    Ok(stream)
}
