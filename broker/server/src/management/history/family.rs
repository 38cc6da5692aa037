//! The series of all things of a kind, and what is told of one.

use std::collections::HashMap;
use std::hash::Hash;

use serde_json::{Map, Value, json};

use super::series::Series;
use super::window::{Kind, Window, Windows};

/// A figure's name, as answers have it, and what it is about.
pub(super) type Column = (&'static str, Kind);

/// The series of all things of a kind.
#[derive(Debug)]
pub(super) struct Family<K> {
    pub(super) columns: &'static [Column],
    /// So many things have more than their last change kept: those that changed last.
    long_max: usize,
    series: HashMap<K, Series>,
}

/// The moments of the last two samples, in milliseconds since 1970; 0 if there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) before: u64,
    pub(super) last: u64,
}

/// How the figures of one thing change.
#[derive(Debug)]
pub(in crate::management) struct Details(Vec<(&'static str, Value)>);

impl<K: Eq + Hash + Clone> Family<K> {
    pub(super) fn new(columns: &'static [Column], long_max: usize) -> Self {
        Self {
            columns,
            long_max,
            series: HashMap::new(),
        }
    }

    /// Takes the figures of one thing.
    pub(super) fn take(&mut self, now: u64, key: K, row: &[u64]) {
        match self.series.get_mut(&key) {
            Some(series) => series.take(now, row),
            None => _ = self.series.insert(key, Series::new(now, row)),
        }
    }

    /// Forgets what was not there at the last sample, and the past of what did least.
    pub(super) fn finish(&mut self, now: u64) {
        self.series.retain(|_, series| series.seen == now);
        let mut long: Vec<_> = self
            .series
            .values_mut()
            .filter(|series| series.is_long())
            .collect();
        let Some(excess) = long
            .len()
            .checked_sub(self.long_max)
            .filter(|excess| *excess > 0)
        else {
            return;
        };
        let by_age = |series: &&mut Series| series.changed();
        long.select_nth_unstable_by_key(excess - 1, by_age);
        for series in long.into_iter().take(excess) {
            series.shorten();
        }
    }

    /// How the figures of a thing change. One that was never seen does nothing.
    pub(super) fn details(&self, key: &K, ticks: Ticks, windows: &Windows) -> Details {
        let series = self.series.get(key);
        let columns = self.columns.iter().enumerate();
        let detail = |(index, (name, kind)): (usize, &Column)| {
            let look = Look {
                series,
                index,
                kind: *kind,
                ticks,
            };
            (*name, look.detail(windows.of(*kind)))
        };
        Details(columns.map(detail).collect())
    }

    /// The rate of one figure.
    pub(super) fn rate(&self, key: &K, ticks: Ticks, column: &str) -> Option<f64> {
        let index = self.columns.iter().position(|(name, _)| *name == column)?;
        let (_, kind) = *self.columns.get(index)?;
        let series = self.series.get(key);
        Some(
            Look {
                series,
                index,
                kind,
                ticks,
            }
            .rate(),
        )
    }
}

impl Details {
    /// Adds `NAME_details` for each figure that the object has.
    pub(in crate::management) fn join(&self, object: &mut Map<String, Value>) {
        for (name, detail) in &self.0 {
            if object.contains_key(*name) {
                object.insert(format!("{name}_details"), detail.clone());
            }
        }
    }

    /// As [`Details::join`].
    pub(in crate::management) fn beside(&self, object: Value) -> Value {
        match object {
            Value::Object(mut object) => {
                self.join(&mut object);
                Value::Object(object)
            }
            other => other,
        }
    }
}

/// A look at one figure.
struct Look<'a> {
    series: Option<&'a Series>,
    index: usize,
    kind: Kind,
    ticks: Ticks,
}

impl Look<'_> {
    fn at(&self, moment: u64) -> Option<u64> {
        self.series?.at(moment)?.get(self.index).copied()
    }

    /// Per second, between the last two samples.
    fn rate(&self) -> f64 {
        let changed = self
            .series
            .is_some_and(|series| series.changed() > self.ticks.before);
        if !changed {
            return 0.0;
        }
        let Some(before) = self.at(self.ticks.before) else {
            return 0.0;
        };
        let last = self.series.and_then(|series| series.last().get(self.index));
        let last = last.copied().unwrap_or(before);
        self.per_second((self.ticks.before, before), (self.ticks.last, last))
    }

    fn per_second(&self, (from, before): (u64, u64), (to, after): (u64, u64)) -> f64 {
        let rise = signed(after) - signed(before);
        let seconds = signed(to.saturating_sub(from).max(1)) / 1000.0;
        // A counter that fell was set back.
        let rise = if self.kind.is_counter() {
            rise.max(0.0)
        } else {
            rise
        };
        (rise / seconds * 100.0).round() / 100.0
    }

    fn detail(&self, window: Option<Window>) -> Value {
        let mut detail = json!({ "rate": self.rate() });
        let Some(window) = window else {
            return detail;
        };
        // Moments that are asked for again are the same ones.
        let newest = self.ticks.last / window.apart * window.apart;
        let count = window.age / window.apart;
        let moments = (0..=count).filter_map(|index| newest.checked_sub(index * window.apart));
        let known: Vec<_> = moments
            .filter_map(|moment| Some((moment, self.at(moment)?)))
            .collect();
        let sum: f64 = known.iter().map(|(_, value)| signed(*value)).sum();
        if let (Some(newest), Some(oldest)) = (known.first(), known.last()) {
            detail["avg_rate"] = self.per_second(*oldest, *newest).into();
            #[expect(clippy::cast_precision_loss, reason = "at most some hundred")]
            let count = known.len() as f64;
            detail["avg"] = (sum / count).into();
        }
        detail["samples"] = known
            .iter()
            .map(|(moment, value)| json!({ "sample": value, "timestamp": moment }))
            .collect();
        detail
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "rates need no more than 52 bits"
)]
fn signed(value: u64) -> f64 {
    value as f64
}
