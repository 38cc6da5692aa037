//! Outstanding publisher confirms of one channel.

use std::collections::VecDeque;

use anyhow::{Result, ensure};

use crate::perf::measure::histogram::Histogram;

/// Knows for every unconfirmed message since when it waits: since it was sent, or with a pace, since it was due.
/// Confirms may come for one message or for all up to one, in any order.
#[derive(Debug)]
pub(crate) struct Window {
    size: usize,
    /// Delivery tag of the first entry.
    first: u64,
    entries: VecDeque<Entry>,
    outstanding: usize,
    /// The latency of what was sent, or due, before does not count.
    counted_from: u64,
    nacked: u64,
    latencies: Histogram,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    since: u64,
    outstanding: bool,
}

/// A `basic.ack` or `basic.nack` from the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirm {
    pub(crate) tag: u64,
    pub(crate) multiple: bool,
    pub(crate) positive: bool,
}

/// What came of a producer's confirms.
#[derive(Debug)]
pub(crate) struct Confirmed {
    pub(crate) latencies: Histogram,
    pub(crate) nacked: u64,
    pub(crate) unconfirmed: u64,
}

impl Window {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            first: 1,
            entries: VecDeque::new(),
            outstanding: 0,
            counted_from: 0,
            nacked: 0,
            latencies: Histogram::default(),
        }
    }

    /// Leaves out the latencies of what is sent, or due, before this time.
    pub(crate) fn count_from(&mut self, time: u64) {
        self.counted_from = time;
    }

    /// How many more messages may be sent.
    pub(crate) fn room(&self) -> u64 {
        self.size.saturating_sub(self.outstanding) as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outstanding == 0
    }

    /// Notes `count` messages that were sent, and whose latency counts from `since`.
    pub(crate) fn sent(&mut self, count: usize, since: u64) {
        self.entries.extend(std::iter::repeat_n(
            Entry {
                since,
                outstanding: true,
            },
            count,
        ));
        self.outstanding += count;
    }

    /// Takes a confirm that arrived at `now`, and what it says of latency unless it refuses. Tag 0 with `multiple` is all that is outstanding.
    ///
    /// # Errors
    /// If nothing is outstanding for its delivery tag: the broker confirmed twice, or something that was not sent.
    pub(crate) fn confirm(&mut self, confirm: Confirm, now: u64) -> Result<()> {
        let before = self.outstanding;
        let end = self.first + self.entries.len() as u64;
        let last = if confirm.multiple && confirm.tag == 0 {
            end - 1
        } else {
            confirm.tag
        };
        let at = last.checked_sub(self.first).filter(|_| last < end);
        if let Some(at) = at.and_then(|at| usize::try_from(at).ok()) {
            let from = if confirm.multiple { 0 } else { at };
            for entry in self
                .entries
                .range_mut(from..=at)
                .filter(|entry| entry.outstanding)
            {
                entry.outstanding = false;
                self.outstanding -= 1;
                if confirm.positive && entry.since >= self.counted_from {
                    self.latencies.record(now.saturating_sub(entry.since));
                }
            }
        }
        while self.entries.front().is_some_and(|entry| !entry.outstanding) {
            self.entries.pop_front();
            self.first += 1;
        }
        let settled = (before - self.outstanding) as u64;
        ensure!(
            settled > 0,
            "the broker confirmed delivery tag {}, which is not outstanding",
            confirm.tag
        );
        if !confirm.positive {
            self.nacked += settled;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Confirmed {
        Confirmed {
            latencies: self.latencies,
            nacked: self.nacked,
            unconfirmed: self.outstanding as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(tag: u64, multiple: bool) -> Confirm {
        Confirm {
            tag,
            multiple,
            positive: true,
        }
    }

    #[test]
    fn single_and_multiple_in_any_order() {
        let mut window = Window::new(5);
        window.sent(3, 10);
        window.sent(2, 20);
        assert_eq!(window.room(), 0);
        window.confirm(ack(4, false), 30).unwrap();
        window.confirm(ack(2, false), 30).unwrap();
        assert_eq!(window.room(), 2);
        window.confirm(ack(4, true), 110).unwrap();
        assert_eq!(window.room(), 4);
        window
            .confirm(
                Confirm {
                    positive: false,
                    ..ack(5, false)
                },
                110,
            )
            .unwrap();
        assert!(window.is_empty());
        let confirmed = window.finish();
        assert_eq!((confirmed.nacked, confirmed.unconfirmed), (1, 0));
        let summary = confirmed.latencies.summary().unwrap();
        assert_eq!(
            (summary.count, summary.p50_ns, summary.max_ns),
            (4, 20, 100)
        );
    }

    #[test]
    fn what_was_sent_before_the_counting_has_no_latency() {
        let mut window = Window::new(5);
        window.count_from(20);
        window.sent(2, 19);
        window.sent(1, 20);
        window.confirm(ack(0, true), 25).unwrap();
        let confirmed = window.finish();
        let summary = confirmed.latencies.summary().unwrap();
        assert_eq!((summary.count, summary.max_ns), (1, 5));
        assert_eq!(confirmed.unconfirmed, 0);
    }

    #[test]
    fn what_is_not_outstanding_is_an_error() {
        let mut window = Window::new(5);
        assert!(window.confirm(ack(0, true), 1).is_err());
        window.sent(2, 0);
        for wrong in [ack(3, false), ack(3, true), ack(0, false)] {
            assert!(window.confirm(wrong, 1).is_err(), "{wrong:?}");
        }
        window.confirm(ack(0, true), 1).unwrap();
        assert!(window.confirm(ack(2, false), 1).is_err());
    }

    #[test]
    fn the_rest_counts_as_unconfirmed() {
        let mut window = Window::new(5);
        window.sent(2, 0);
        window.confirm(ack(1, false), 1).unwrap();
        assert_eq!(window.finish().unconfirmed, 1);
    }
}
