//! Which messages a stream lets go: whole segments, the oldest first, and never the one that is written to.
//!
//! A segment is as many chunks as `x-stream-max-segment-size-bytes` allows. Where the active one begins is stored; the borders of those
//! before it are found by counting, so that they may lie elsewhere after a restart.

use std::time::Duration;

use crate::queue::Effects;
use crate::queue_arguments::QueueArguments;
use crate::store::Position;

use super::Stream;

/// What a segment may hold if the arguments do not say.
const SEGMENT_BYTES: u64 = 500_000_000;

/// Each segment takes memory, so one is at least this part of a stream, whatever the arguments say.
const SEGMENTS_MAX: u64 = 1024;

#[derive(Debug)]
pub(super) struct Retention {
    /// `x-max-age`, in milliseconds.
    age: Option<u64>,
    /// `x-max-length-bytes`
    bytes: Option<u64>,
    segment_bytes: u64,
    /// Where the active segment begins.
    pub(super) active: Position,
}

/// The oldest segment, if it is not the active one.
struct Oldest {
    /// How many chunks it has.
    chunks: usize,
    /// When its last message was published, if that is known.
    newest: Option<u64>,
}

impl Retention {
    pub(super) fn new(arguments: &QueueArguments) -> Self {
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let segment_bytes = arguments.stream_max_segment_bytes;
        Self {
            age: arguments.max_age.map(millis),
            bytes: arguments.max_length_bytes,
            segment_bytes: segment_bytes.unwrap_or(SEGMENT_BYTES).max(1),
            active: 0,
        }
    }

    /// As [`Retention::new`], and the active segment stays where it is.
    pub(super) fn configure(&mut self, arguments: &QueueArguments) {
        *self = Self {
            active: self.active,
            ..Self::new(arguments)
        };
    }

    /// What a segment holds, in a stream that has so many bytes.
    pub(super) fn segment_bytes(&self, stream: u64) -> u64 {
        self.segment_bytes.max(stream / SEGMENTS_MAX)
    }

    fn is_limited(&self) -> bool {
        self.age.is_some() || self.bytes.is_some()
    }
}

impl<C> Stream<C> {
    /// Lets go of segments that are too old, or too many.
    pub(super) fn retain(&mut self) -> Effects {
        let mut effects = Effects::default();
        while self.retention.is_limited()
            && let Some(oldest) = self.oldest_segment()
        {
            let too_many = self.retention.bytes.is_some_and(|max| self.bytes > max);
            let too_old = match (self.retention.age, oldest.newest) {
                (Some(age), Some(newest)) => newest.saturating_add(age) <= self.now,
                (Some(_), None) if !too_many => {
                    // The message that was published last says how old the segment is.
                    return effects.and(self.want(oldest.chunks - 1));
                }
                _ => false,
            };
            if !too_many && !too_old {
                break;
            }
            for _ in 0..oldest.chunks {
                self.drop_chunk(0);
            }
            effects.settle = true;
        }
        effects
    }

    /// When the oldest segment becomes too old.
    pub(super) fn retention_deadline(&self) -> Option<u64> {
        let age = self.retention.age?;
        let newest = self.oldest_segment()?.newest?;
        Some(newest.saturating_add(age))
    }

    fn oldest_segment(&self) -> Option<Oldest> {
        let segment_bytes = self.retention.segment_bytes(self.bytes);
        let mut bytes = 0;
        let mut chunks: usize = 0;
        let closed = self
            .chunks
            .iter()
            .take_while(|chunk| chunk.end() <= self.retention.active);
        for chunk in closed {
            bytes += chunk.bytes;
            if chunks > 0 && bytes > segment_bytes {
                break;
            }
            chunks += 1;
        }
        let last = self.chunks.get(chunks.checked_sub(1)?)?;
        // What was taken but is not durable yet must not be removed before it is written.
        (last.end() <= self.durable).then_some(Oldest {
            chunks,
            newest: last.times.map(|(_, newest)| newest),
        })
    }
}
