//! The order of a queue with priorities: higher levels first, within one by position.
//!
//! All that is ready in such a queue is listed here, so that what comes back finds its place by itself. `Queue::head` stays
//! at the log's end. After a restart, segments are listed when they have been read; nothing is delivered before all are.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use amphora_protocol::wire::properties::{RawProperties, flag};

use crate::store::Position;

use super::Queue;
use super::block::SETTLED;
use super::log::Log;

/// A message's level stands in the upper half of its flags.
const LEVEL_SHIFT: u32 = 8;

/// The properties that stand before the delivery mode, and the mark of further flags.
const BEFORE_DELIVERY_MODE: u16 =
    flag::CONTENT_TYPE | flag::CONTENT_ENCODING | flag::HEADERS | FURTHER_FLAGS;

/// Another word of flags follows.
const FURTHER_FLAGS: u16 = 1;

#[derive(Debug)]
pub(super) struct Levels {
    /// What is ready, by level; the last is served first.
    ready: Vec<Level>,
    /// Nothing is ready in a higher one.
    top: usize,
    /// Where segments begin that were not read since the restart: all that is live in them is ready.
    unread: BTreeSet<Position>,
}

impl Levels {
    /// Levels from 0 to `max` for the messages of `log`, of which none is held.
    pub(super) fn new(max: u8, log: &Log) -> Self {
        Self {
            ready: vec![Level::default(); usize::from(max) + 1],
            top: 0,
            unread: log.segments.iter().map(|segment| segment.base).collect(),
        }
    }

    /// The flags that a message with these properties has for its level: what is above the highest counts as the highest.
    pub(super) fn flags_of(&self, properties: &[u8]) -> u16 {
        let flags = properties.first_chunk().copied().map(u16::from_be_bytes);
        let Some(flags) = flags.filter(|flags| flags & flag::PRIORITY != 0) else {
            return 0;
        };
        // Most often nothing of a length of its own stands before it.
        let priority = if flags & BEFORE_DELIVERY_MODE == 0 {
            let at = size_of_val(&flags) + usize::from(flags & flag::DELIVERY_MODE != 0);
            properties.get(at).copied()
        } else {
            let priority = RawProperties::new(properties).and_then(RawProperties::priority);
            priority.ok().flatten()
        };
        let priority = priority.unwrap_or(0);
        let max = u8::try_from(self.ready.len() - 1).unwrap_or(u8::MAX);
        u16::from(priority.min(max)) << LEVEL_SHIFT
    }

    /// A message with these flags is ready.
    pub(super) fn insert(&mut self, position: Position, flags: u16) {
        let number = usize::from(flags >> LEVEL_SHIFT);
        if let Some(level) = self.ready.get_mut(number) {
            level.insert(position);
            self.top = self.top.max(number);
        }
    }

    /// The message is ready no more. Costs little for one that is next.
    pub(super) fn remove(&mut self, position: Position) {
        let levels = self.ready.iter_mut().take(self.top + 1).rev();
        let found = levels.into_iter().any(|level| level.remove(position));
        debug_assert!(found, "position {position} is not ready");
        while self.top > 0 && self.ready.get(self.top).is_some_and(Level::is_empty) {
            self.top -= 1;
        }
    }

    /// The next to go out; one that is away, if it cannot be known.
    pub(super) fn first(&self, log: &Log) -> Option<Position> {
        if let Some(&base) = self.unread.first() {
            return Some(log.next_live(base));
        }
        let levels = self.ready.iter().take(self.top + 1);
        levels.rev().find_map(Level::first)
    }

    /// What is listed as ready of a stretch of the log.
    pub(super) fn range(&self, positions: Range<Position>) -> Vec<Position> {
        let levels = self.ready.iter();
        levels
            .flat_map(Level::all)
            .filter(|position| positions.contains(position))
            .collect()
    }

    /// The segment is gone.
    pub(super) fn forget_unread(&mut self, base: Position) {
        self.unread.remove(&base);
    }

    /// Empties itself and settles all that was ready, but what is in segments that were not read.
    pub(super) fn purge(&mut self, log: &mut Log) {
        for level in &mut self.ready {
            for position in std::mem::take(level).all() {
                log.settle(position);
            }
        }
        self.top = 0;
    }
}

/// What is ready of one level. Nearly all comes in order and goes in order, and costs little.
#[derive(Clone, Debug, Default)]
struct Level {
    /// Ascending.
    fresh: VecDeque<Position>,
    /// What came when a later one was there already.
    back: BTreeSet<Position>,
}

impl Level {
    fn insert(&mut self, position: Position) {
        if self.fresh.back().is_none_or(|&last| last < position) {
            self.fresh.push_back(position);
        } else {
            self.back.insert(position);
        }
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.back.is_empty()
    }

    fn first(&self) -> Option<Position> {
        let fresh = self.fresh.front().copied();
        if self.back.is_empty() {
            return fresh;
        }
        let back = self.back.first().copied();
        fresh.into_iter().chain(back).min()
    }

    /// Costs little for the first.
    fn remove(&mut self, position: Position) -> bool {
        if self.fresh.front() == Some(&position) {
            self.fresh.pop_front();
            return true;
        }
        if self.back.remove(&position) {
            return true;
        }
        let found = self.fresh.binary_search(&position);
        found.is_ok_and(|at| self.fresh.remove(at).is_some())
    }

    fn all(&self) -> impl Iterator<Item = Position> {
        self.fresh.iter().chain(&self.back).copied()
    }
}

/// The level of a message with these flags.
pub(super) fn level_of(flags: u16) -> u8 {
    u8::try_from(flags >> LEVEL_SHIFT).unwrap_or(u8::MAX)
}

impl<C> Queue<C> {
    /// The flags of the message that is appended next, which is listed, if the queue has priorities.
    pub(super) fn enlist(&mut self, properties: &[u8]) -> u16 {
        let Some(levels) = &mut self.levels else {
            return 0;
        };
        let flags = levels.flags_of(properties);
        levels.insert(self.log.tail(), flags);
        self.head = self.log.tail() + 1;
        flags
    }

    /// The level of the message at `position`, if the queue has priorities.
    pub(super) fn level_at(&self, position: Position) -> Option<u8> {
        self.levels.as_ref()?;
        let segment = self.log.segments.get(self.log.find(position)?)?;
        Some(level_of(segment.flags(segment.index(position))))
    }

    /// Lists the messages of a segment that came back for the first time since the restart.
    pub(super) fn enlist_segment(&mut self, base: Position) {
        let Some(levels) = &mut self.levels else {
            return;
        };
        if !levels.unread.remove(&base) {
            return;
        }
        let Some(segment) = self.log.segment_of(base) else {
            return;
        };
        for position in segment.base..segment.end() {
            let flags = segment.flags(segment.index(position));
            let aside = self.deaths.reason(position).is_some() || self.returns.waits(position);
            if flags & SETTLED == 0 && !aside {
                levels.insert(position, flags);
            }
        }
    }

    /// A message that is not settled is ready again.
    pub(super) fn relist(&mut self, position: Position) {
        let Some(levels) = &mut self.levels else {
            // All that is live ahead of the head is ready.
            if position < self.head {
                self.returned.insert(position);
            }
            return;
        };
        if let Some(segment) = self.log.segment_of(position)
            // All that is ready in one that was not read is listed when it is.
            && !levels.unread.contains(&segment.base)
        {
            levels.insert(position, segment.flags(segment.index(position)));
        }
    }
}
