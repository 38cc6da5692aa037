//! Emptying a queue.

use crate::store::Position;

use super::log::{At, Log};
use super::segment::Segment;
use super::{Effects, Queue};

impl<C> Queue<C> {
    /// Settles all that is ready, or will be after a while. Returns how many there were. Spec: queue.purge.
    pub fn purge(&mut self) -> (u64, Effects) {
        let purged = self.ready + self.returns.due.len() as u64;
        self.purge_unread();
        self.purge_delayed();
        for position in std::mem::take(&mut self.returned) {
            self.log.settle(position);
        }
        if let Some(levels) = &mut self.levels {
            levels.purge(&mut self.log);
        }
        let among_asides: Vec<Position> = self.ready_ahead(self.head..self.aside_to).collect();
        for position in among_asides {
            self.log.settle(position);
        }
        self.log.settle_from(self.head.max(self.aside_to));
        self.head = self.log.tail();
        self.ready = 0;
        self.ready_bytes = 0;
        self.forget_purged();
        let effects = Effects {
            settle: self.durable,
            ..Effects::default()
        };
        (purged, effects)
    }

    /// Settles what is in segments that were not read since the restart, but for what is dying: that is still to be published.
    fn purge_unread(&mut self) {
        let deaths = &self.deaths;
        let gone = self
            .log
            .purge_unread(|position| deaths.reason(position).is_some());
        if let Some(levels) = &mut self.levels {
            for base in gone {
                levels.forget_unread(base);
            }
        }
    }

    /// Settles those that wait.
    fn purge_delayed(&mut self) {
        self.returns.due_bytes = 0;
        for (_, position) in std::mem::take(&mut self.returns.due).into_keys() {
            self.log.settle(position);
        }
    }

    /// Forgets what was counted for messages that are settled.
    fn forget_purged(&mut self) {
        let log = &self.log;
        self.returns
            .attempts
            .retain(|&position, _| !matches!(log.at(position), At::Settled));
    }
}

impl Log {
    /// Settles everything in segments that were not read, but some messages of known length. Returns where the segments began that have
    /// nothing left.
    fn purge_unread(&mut self, is_kept: impl Fn(Position) -> bool) -> Vec<Position> {
        let mut gone = Vec::new();
        let mut at = 0;
        while let Some(segment) = self.segments.get_mut(at) {
            if !segment.unread || segment.purge_unread(&is_kept) > 0 {
                at += 1;
                continue;
            }
            gone.push(segment.base);
            // It has no block to be kept, so it goes.
            self.drained(at);
        }
        let unread = self.segments.iter().filter(|segment| segment.unread);
        self.unread_bytes = unread.map(Segment::known_bytes).sum();
        gone
    }

    /// Settles everything from `from` on, without looking at messages one by one where possible.
    pub(super) fn settle_from(&mut self, from: Position) {
        let mut at = self
            .segments
            .partition_point(|segment| segment.end() <= from);
        while let Some(segment) = self.segments.get_mut(at) {
            let first = if segment.base >= from {
                0
            } else {
                segment.index(from)
            };
            if first == 0 {
                segment.settle_all();
            } else {
                for index in first..segment.len as usize {
                    segment.settle(index);
                }
                if self.durable {
                    self.changed.note_all(from..segment.end());
                }
            }
            if segment.live == 0 && segment.len > 0 {
                let before = self.segments.len();
                self.drained(at);
                if self.segments.len() < before {
                    continue;
                }
            }
            at += 1;
        }
    }

    /// Settles everything in the segment that begins at `base`.
    pub(super) fn drop_segment(&mut self, base: Position) {
        if let Some(at) = self.find(base)
            && let Some(segment) = self.segments.get_mut(at)
        {
            segment.settle_all();
            self.drained(at);
        }
    }
}
