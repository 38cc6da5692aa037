//! How much a queue holds, for listings: sums over its segments, each of which keeps its own.

use crate::message::Message;

use super::Queue;
use super::block::{AWAY, Block, SETTLED};
use super::log::{At, Log};
use super::segment::Segment;

/// What a listing shows of the messages that a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The bodies of the messages that wait for a consumer, in bytes.
    pub ready_bytes: u64,
    /// The bodies of the messages that were delivered and are not settled, in bytes.
    pub unacked_bytes: u64,
    /// Messages, ready or not, that survive a restart.
    pub persistent_count: u64,
    /// Their bodies, in bytes.
    pub persistent_bytes: u64,
    /// Messages, ready or not, whose bodies are in memory.
    pub in_memory_count: u64,
    /// Those of them that wait for a consumer.
    pub ready_in_memory_count: u64,
    /// The bodies that are in memory, in bytes.
    pub in_memory_bytes: u64,
}

impl<C> Queue<C> {
    /// More of its messages than is needed all the time. Costs a look at every segment: one for each MiB or so. Exact,
    /// unless the store has lost messages from before the restart.
    pub fn contents(&self) -> Contents {
        let (persistent_count, persistent_bytes) = self.log.persistent();
        Contents {
            ready_bytes: self.ready_bytes,
            unacked_bytes: self.log.live_bytes().saturating_sub(self.ready_bytes),
            persistent_count,
            persistent_bytes,
            in_memory_count: self.log.in_memory(),
            ready_in_memory_count: self.ready.saturating_sub(self.ready_away()),
            in_memory_bytes: self.log.in_memory_bytes(),
        }
    }

    /// The bodies of the messages that wait for a consumer, in bytes.
    pub fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    /// Messages that consumers have acknowledged, or have got without having to.
    pub fn taken_count(&self) -> u64 {
        self.counters.acked + self.counters.delivered_no_ack
    }

    /// Shows the oldest message, be it ready or not, if there is one and it is in memory.
    pub fn oldest<R>(&self, look: impl FnOnce(Message<'_>) -> R) -> Option<R> {
        let first = self.log.segments.front()?.base;
        match self.log.at(self.log.next_live(first)) {
            At::Message { message, .. } => Some(look(message)),
            At::Away | At::Settled => None,
        }
    }

    /// Whether a message that came now would go out at once.
    pub fn is_served(&self) -> bool {
        !self.paused && self.consumers.has_room(self.ready > 0)
    }

    /// Ready messages that are only in the store.
    fn ready_away(&self) -> u64 {
        let away = |segment: &Segment| {
            let away = u64::from(segment.live).saturating_sub(segment.in_memory());
            let all_ready = segment.base >= self.head.max(self.aside_to);
            if away == 0 || self.levels.is_some() || all_ready {
                return away;
            }
            let mut positions = segment.base..segment.end();
            if segment.unread {
                // Which positions its records have is not known yet, but how many.
                positions.end = positions.end.min(self.aside_to);
                let aside = positions.filter(|&position| self.is_aside(position));
                return away.saturating_sub(aside.count() as u64);
            }
            let came_back = self.returned.range(positions.clone()).count() as u64;
            came_back + self.ready_ahead(positions).count() as u64
        };
        self.log.segments.iter().map(away).sum()
    }
}

impl Log {
    /// The bodies of all messages that are not settled, in bytes.
    pub(super) fn live_bytes(&self) -> u64 {
        let known = self.segments.iter().map(|segment| segment.live_bytes);
        known.sum::<u64>() + self.unread_bytes
    }

    /// The number of messages that survive a restart, and their bodies in bytes.
    pub(super) fn persistent(&self) -> (u64, u64) {
        let mut total = (0, self.unread_bytes);
        for segment in &self.segments {
            total.0 += u64::from(segment.persistent);
            total.1 += segment.persistent_bytes;
        }
        total
    }

    /// The number of messages whose bodies are in memory.
    pub(super) fn in_memory(&self) -> u64 {
        self.segments.iter().map(Segment::in_memory).sum()
    }

    /// The bodies that are in memory, in bytes.
    fn in_memory_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::in_memory_bytes).sum()
    }
}

impl Segment {
    /// The messages that are here.
    fn in_memory(&self) -> u64 {
        let Some(block) = &self.block else {
            return 0;
        };
        let away = self.away_in(block).count() as u64;
        u64::from(self.live).saturating_sub(away)
    }

    /// The bodies that are here, in bytes.
    fn in_memory_bytes(&self) -> u64 {
        let Some(block) = &self.block else {
            return 0;
        };
        let away = self
            .away_in(block)
            .map(|index| block.body_len(index) as u64);
        self.live_bytes.saturating_sub(away.sum())
    }

    /// The messages of levels that are not here.
    fn away_in<'a>(&self, block: &'a Block) -> impl Iterator<Item = usize> + use<'a> {
        let end = if self.is_partial() { block.len() } else { 0 };
        (0..end).filter(|index| block.flags(*index) & (AWAY | SETTLED) == AWAY)
    }
}
