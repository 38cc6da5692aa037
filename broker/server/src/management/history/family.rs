//! The series of all things of a kind, and what is told of one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

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
    /// When something of them changed, came or went last.
    pub(super) changed: u64,
}

/// The moments of the last two samples, in milliseconds since 1970; 0 if there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) before: u64,
    pub(super) last: u64,
}

/// How the figures of one thing change: `NAME_details` for each.
#[derive(Debug, Default)]
pub(in crate::management) struct Details(Vec<(&'static str, Rate)>);

/// How a figure changes.
#[derive(Debug, Serialize, JsonSchema)]
struct Rate {
    /// Per second, of late.
    rate: f64,
    /// The mean of the samples, if some were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    avg: Option<f64>,
    /// Per second, over the samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_rate: Option<f64>,
    /// The newest first, if some were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<Vec<Sample>>,
}

/// What a figure was at a moment.
#[derive(Debug, Serialize, JsonSchema)]
struct Sample {
    /// The figure.
    sample: u64,
    /// Milliseconds since 1970.
    timestamp: u64,
}

impl<K: Eq + Hash + Clone> Family<K> {
    pub(super) fn new(columns: &'static [Column], long_max: usize) -> Self {
        Self {
            columns,
            long_max,
            series: HashMap::new(),
            changed: 0,
        }
    }

    /// Takes the figures of one thing.
    pub(super) fn take(&mut self, now: u64, key: K, row: &[u64]) {
        let series = match self.series.entry(key) {
            Entry::Occupied(known) => {
                let series = known.into_mut();
                series.take(now, row);
                series
            }
            Entry::Vacant(place) => place.insert(Series::new(now, row)),
        };
        self.changed = self.changed.max(series.changed());
    }

    /// Forgets what was not there at the last sample, and the past of what did least.
    pub(super) fn finish(&mut self, now: u64) {
        let count = self.series.len();
        self.series.retain(|_, series| series.seen == now);
        if self.series.len() < count {
            self.changed = now;
        }
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
    /// Takes those of some figures out.
    pub(in crate::management) fn take(&mut self, names: &[&str]) -> Self {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(name, _)| names.contains(name));
        self.0 = left;
        Self(taken)
    }
}

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let details = self.0.iter();
        serializer.collect_map(details.map(|(name, rate)| (format!("{name}_details"), rate)))
    }
}

impl JsonSchema for Details {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Details".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let rate = schemas.subschema_for::<Rate>();
        json_schema!({ "type": "object", "patternProperties": { "_details$": rate } })
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

    fn detail(&self, window: Option<Window>) -> Rate {
        let mut detail = Rate {
            rate: self.rate(),
            avg: None,
            avg_rate: None,
            samples: None,
        };
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
            detail.avg_rate = Some(self.per_second(*oldest, *newest));
            #[expect(clippy::cast_precision_loss, reason = "at most some hundred")]
            let count = known.len() as f64;
            detail.avg = Some(sum / count);
        }
        let samples = known.iter();
        let samples = samples.map(|&(timestamp, sample)| Sample { sample, timestamp });
        detail.samples = Some(samples.collect());
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
