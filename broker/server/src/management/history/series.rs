//! What one thing's figures were: closely for minutes, and ever further apart for a day.

use std::collections::VecDeque;
use std::sync::Arc;

/// Figures of one moment, in the order of the family's columns.
type Row = Arc<[u64]>;

/// A row, and since when it held, in milliseconds since 1970.
type Held = (u64, Row);

/// How far apart rows are, and how far back they reach, in milliseconds: all of ten minutes, one a minute for an hour, six an hour for a day.
const RINGS: [(u64, u64); 3] = [(1, 600_000), (60_000, 3_600_000), (600_000, 86_400_000)];

/// No ring has more rows, however often somebody takes samples.
const RING_ROWS_MAX: usize = 160;

/// The figures of one thing. A row is kept when it differs from the one before: what does nothing costs one row.
#[derive(Debug)]
pub(super) struct Series {
    last: Held,
    before: Option<Held>,
    long: Option<Box<[VecDeque<Held>; 3]>>,
    /// When it was last there.
    pub(super) seen: u64,
}

impl Series {
    /// Begins with these figures.
    pub(super) fn new(now: u64, row: &[u64]) -> Self {
        Self {
            last: (now, row.into()),
            before: None,
            long: None,
            seen: now,
        }
    }

    /// Takes the figures of a moment.
    pub(super) fn take(&mut self, now: u64, row: &[u64]) {
        self.seen = now;
        if *self.last.1 == *row {
            return;
        }
        let held = (now, Row::from(row));
        let before = std::mem::replace(&mut self.last, held.clone());
        let rings = self
            .long
            .get_or_insert_with(|| Box::new([const { VecDeque::new() }; 3]));
        if rings[0].is_empty() {
            for ring in rings.iter_mut() {
                ring.push_back(before.clone());
            }
        }
        for (ring, (apart, reach)) in rings.iter_mut().zip(RINGS) {
            keep(ring, &held, apart, now.saturating_sub(reach));
        }
        self.before = Some(before);
    }

    /// Since when the figures are as they are.
    pub(super) fn changed(&self) -> u64 {
        self.last.0
    }

    pub(super) fn is_long(&self) -> bool {
        self.long.is_some()
    }

    /// Forgets all but the last change.
    pub(super) fn shorten(&mut self) {
        self.long = None;
    }

    /// The last figures.
    pub(super) fn last(&self) -> &[u64] {
        &self.last.1
    }

    /// The figures as they were then, if that is known.
    pub(super) fn at(&self, moment: u64) -> Option<&[u64]> {
        if self.last.0 <= moment {
            return Some(&self.last.1);
        }
        let before = self.before.as_ref().filter(|held| held.0 <= moment);
        let rings = self.long.iter().flat_map(|rings| rings.iter());
        let covering = |ring: &&VecDeque<Held>| ring.front().is_some_and(|held| held.0 <= moment);
        let held = before.or_else(|| {
            let ring = rings.into_iter().find(covering)?;
            let after = ring.partition_point(|held| held.0 <= moment);
            ring.get(after.checked_sub(1)?)
        });
        held.map(|held| &*held.1)
    }
}

/// Adds a row in place of one of the same slot, and lets go what is older than `oldest`, except for the one that still held then.
fn keep(ring: &mut VecDeque<Held>, held: &Held, apart: u64, oldest: u64) {
    if let Some(back) = ring.back()
        && back.0 / apart == held.0 / apart
        && ring.len() > 1
    {
        ring.pop_back();
    }
    ring.push_back(held.clone());
    while ring.len() > RING_ROWS_MAX || ring.get(1).is_some_and(|second| second.0 <= oldest) {
        ring.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1000;
    const BEGIN: u64 = 1_700_000_000_000;

    /// A counter that rises by one a second, looked at every five.
    fn rising(seconds: u64) -> Series {
        let mut series = Series::new(BEGIN, &[0]);
        for second in (5..=seconds).step_by(5) {
            series.take(BEGIN + second * S, &[second]);
        }
        series
    }

    #[test]
    fn a_moment_is_known_as_closely_as_it_is_near() {
        let series = rising(7200);
        let off = |seconds_ago: u64| {
            let moment = BEGIN + (7200 - seconds_ago) * S;
            let known = series.at(moment).expect("it is known")[0];
            7200 - seconds_ago - known
        };
        assert_eq!(off(0), 0);
        assert!(off(300) < 5, "{}", off(300));
        assert!(off(1800) < 60, "{}", off(1800));
        assert!(off(7000) < 600, "{}", off(7000));
        assert!(series.at(BEGIN - S).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let series = rising(3 * 86_400);
        let rings = series.long.as_deref().expect("it has changed");
        for (ring, (apart, reach)) in rings.iter().zip(RINGS) {
            assert!(
                ring.len() <= RING_ROWS_MAX && ring.len() as u64 <= reach / apart.max(5 * S) + 2
            );
        }
        assert!(series.at(BEGIN + 86_400 * S).is_none());
        assert!(series.at(BEGIN + 2 * 86_400 * S + 600 * S).is_some());
    }

    #[test]
    fn what_does_not_change_keeps_one_row() {
        let mut series = Series::new(BEGIN, &[7, 8]);
        for second in 1..1000 {
            series.take(BEGIN + second * S, &[7, 8]);
        }
        assert!(!series.is_long());
        assert_eq!(series.at(BEGIN + 500 * S), Some([7, 8].as_slice()));
        series.take(BEGIN + 1000 * S, &[7, 9]);
        assert_eq!(series.at(BEGIN + 999 * S), Some([7, 8].as_slice()));
        assert_eq!(series.at(BEGIN + 1000 * S), Some([7, 9].as_slice()));
        series.shorten();
        assert_eq!(series.at(BEGIN + 999 * S), Some([7, 8].as_slice()));
    }
}
