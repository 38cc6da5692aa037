//! Since when deliveries wait for their acknowledgement, and what is taken back from a consumer that keeps them for too long.
//!
//! Times are noted for stretches of deliveries, not for each: they are up to [`STRETCH_MS`] too early.

use std::collections::{BTreeSet, VecDeque};

use crate::queue::ConsumerKey;
use crate::store::Position;

use super::unacked::{Settling, SourceKey, Unacked};

/// Deliveries within so many milliseconds share a time.
const STRETCH_MS: u64 = 100;

/// Fewer stretches than this are not worth a look at which of them are needed.
const STRETCHES_MIN: usize = 64;

/// Tags of deliveries that were taken back and may still be acknowledged, at most.
const RECALLED_MAX: usize = 65_536;

/// The times of a channel's deliveries.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// From which tag on, and since when, in milliseconds since the Unix epoch.
    stretches: VecDeque<(u64, u64)>,
    /// What was taken back: an acknowledgement of it is no error, and does nothing.
    recalled: BTreeSet<u64>,
}

impl Times {
    /// When the delivery with this tag was made.
    fn of(&self, tag: u64) -> u64 {
        let after = self.stretches.partition_point(|&(first, _)| first <= tag);
        let stretch = after.checked_sub(1).and_then(|at| self.stretches.get(at));
        stretch.map_or(0, |&(_, since)| since)
    }

    /// Forgets stretches in which nothing is outstanding any more: one delivery that nobody acknowledges must not keep the
    /// times of all that came after it. `tags` are outstanding, in ascending order.
    fn merge(&mut self, tags: impl Iterator<Item = u64>) {
        let mut kept: VecDeque<(u64, u64)> = VecDeque::new();
        for tag in tags {
            let after = self.stretches.partition_point(|&(first, _)| first <= tag);
            let stretch = after.checked_sub(1).and_then(|at| self.stretches.get(at));
            if let Some(&stretch) = stretch
                && kept.back() != Some(&stretch)
            {
                kept.push_back(stretch);
            }
        }
        self.stretches = kept;
    }

    /// Whether the delivery was taken back. Its tag is forgotten.
    pub(super) fn was_recalled(&mut self, tag: u64) -> bool {
        self.recalled.remove(&tag)
    }

    fn recall(&mut self, tag: u64) {
        self.recalled.insert(tag);
        if self.recalled.len() > RECALLED_MAX {
            self.recalled.pop_first();
        }
    }
}

/// A delivery that waits for its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding<'a, Q> {
    /// Its tag.
    pub tag: u64,
    /// The queue that it came from.
    pub queue: &'a Q,
    /// Where it is in that queue.
    pub position: Position,
    /// The consumer that has it, or nothing for basic.get.
    pub consumer: Option<ConsumerKey>,
    /// Since when, in milliseconds since the Unix epoch.
    pub since: u64,
}

impl<Q: Clone> Unacked<Q> {
    /// Says that the deliveries that come next are made at this time, in milliseconds since the Unix epoch. To be called once for
    /// all that are made together.
    pub fn tell_time(&mut self, now: u64) {
        let next = self.last_tag + 1;
        let oldest = self.entries.front().map_or(next, |entry| entry.tag);
        let stretches = &mut self.times.stretches;
        while stretches.get(1).is_some_and(|&(first, _)| first <= oldest) {
            stretches.pop_front();
        }
        if stretches.len() > STRETCHES_MIN.max(2 * self.entries.len()) {
            self.times.merge(self.entries.iter().map(|entry| entry.tag));
        }
        let stretches = &mut self.times.stretches;
        let is_new = stretches
            .back()
            .is_none_or(|&(_, since)| since + STRETCH_MS <= now);
        if is_new {
            stretches.push_back((next, now));
        }
    }

    /// All that is outstanding, oldest first.
    pub fn outstanding(&self) -> impl Iterator<Item = Outstanding<'_, Q>> {
        let open = self.entries.iter().filter(|entry| !entry.settled);
        open.filter_map(|entry| {
            let source = self.sources.get(entry.source as usize)?;
            Some(Outstanding {
                tag: entry.tag,
                queue: &source.queue,
                position: entry.position,
                consumer: source.consumer,
                since: self.times.of(entry.tag),
            })
        })
    }

    /// A delivery of this source may be outstanding for so many milliseconds, or without end.
    /// `own`: the consumer says so itself, and [`Unacked::renew_timeouts`] leaves it as it is.
    pub fn set_timeout(&mut self, source: SourceKey, timeout: Option<u64>, own: bool) {
        if let Some(source) = self.sources.get_mut(source as usize) {
            source.timeout = timeout;
            source.own_timeout = own;
        }
    }

    /// What queues say of timeouts has changed: `of` has it. This is also for consumers that are cancelled and still hold something.
    pub fn renew_timeouts(&mut self, of: impl Fn(&Q) -> Option<u64>) {
        for (_, source) in &mut self.sources {
            if !source.own_timeout {
                source.timeout = of(&source.queue);
            }
        }
    }

    /// The shortest time, in milliseconds, that a delivery of any source may be outstanding. Nothing if all may be without end.
    pub fn shortest_timeout(&self) -> Option<u64> {
        let sources = self.sources.iter();
        sources.filter_map(|(_, source)| source.timeout).min()
    }

    /// A source of which a delivery has been outstanding for longer than it may, and how long that is. Costs a look at each that is
    /// older than the shortest of the timeouts.
    pub fn overdue(&self, now: u64) -> Option<(SourceKey, u64)> {
        let shortest = self.shortest_timeout()?;
        // What a transaction has acknowledged waits for nobody but its commit.
        let open = self.entries.iter().filter(|entry| entry.is_open());
        open.map(|entry| (entry, now.saturating_sub(self.times.of(entry.tag))))
            .take_while(|&(_, age)| age > shortest)
            .find_map(|(entry, age)| {
                let timeout = self.sources.get(entry.source as usize)?.timeout?;
                // The delivery may have been made at the end of its stretch.
                (age > timeout + STRETCH_MS).then_some((entry.source, timeout))
            })
    }

    /// Takes everything of one source back, as from a consumer that holds it for too long. To acknowledge it later is no error.
    pub fn recall(&mut self, channel: u16, source: SourceKey, into: &mut Settling<Q>) {
        let open = self.entries.iter().filter(|entry| entry.is_open());
        let tags: Vec<u64> = open
            .filter(|entry| entry.source == source)
            .map(|entry| entry.tag)
            .collect();
        self.take_withheld(channel, &tags, into);
        for tag in tags {
            self.times.recall(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::UnknownTag;

    #[test]
    fn what_is_held_too_long_is_noticed_and_taken_back() {
        let mut unacked = Unacked::default();
        let mut settling = Settling::default();
        let patient = unacked.open_source("patient", None);
        let hasty = unacked.open_source("hasty", None);
        unacked.set_timeout(hasty, Some(1000), false);
        for (now, source) in [(5_000, patient), (5_010, hasty), (5_500, hasty)] {
            unacked.tell_time(now);
            unacked.push(source, now);
        }
        let times: Vec<_> = unacked
            .outstanding()
            .map(|held| (held.tag, *held.queue, held.since))
            .collect();
        // The second came within the stretch of the first.
        let expected = [
            (1, "patient", 5_000),
            (2, "hasty", 5_000),
            (3, "hasty", 5_500),
        ];
        assert_eq!(times, expected);
        assert_eq!(unacked.overdue(6_100), None);
        assert_eq!(unacked.overdue(6_101), Some((hasty, 1000)));
        unacked.recall(1, hasty, &mut settling);
        let mut taken = Vec::new();
        settling.drain(|run| taken.extend(run.positions.clone()));
        assert_eq!(taken, [5_010, 5_500]);
        assert_eq!((unacked.len(), unacked.overdue(99_999)), (1, None));
        assert_eq!(unacked.shortest_timeout(), Some(1000));
        unacked.close_source(hasty);
        assert_eq!(unacked.shortest_timeout(), None);
        assert_eq!(unacked.take(1, 2, false, &mut settling), Ok(0));
        assert_eq!(unacked.take(1, 2, false, &mut settling), Err(UnknownTag(2)));
        // With `multiple`, those before it are meant all the same.
        assert_eq!(unacked.take(1, 3, true, &mut settling), Ok(1));
    }

    #[test]
    fn times_are_forgotten_with_what_they_are_of() {
        let mut unacked = Unacked::default();
        let mut settling = Settling::default();
        let source = unacked.open_source("q", None);
        for now in 0..1_000 {
            unacked.tell_time(now * STRETCH_MS);
            let tag = unacked.push(source, now);
            assert_eq!(unacked.take(1, tag, true, &mut settling), Ok(1));
        }
        assert!(unacked.times.stretches.len() <= 2);
        // Nor does one that nobody acknowledges keep those of all others.
        unacked.push(source, 0);
        for now in 1_000..10_000 {
            unacked.tell_time(now * STRETCH_MS);
            let tag = unacked.push(source, now);
            assert_eq!(unacked.take(1, tag, false, &mut settling), Ok(1));
        }
        assert!(unacked.times.stretches.len() <= STRETCHES_MIN + 128);
        let oldest = unacked.outstanding().next().map(|held| held.since);
        assert_eq!(oldest, Some(999 * STRETCH_MS));
    }
}
