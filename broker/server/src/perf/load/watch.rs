//! Follows a run from outside: the broker's CPU time and memory, and the progress line.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::gauge::Gauge;
use super::options::Options;
use super::outcome::{Cost, WarmUp, float};
use super::plan::Plan;
use crate::perf::measure::clock::nanoseconds;
use crate::perf::measure::usage::Meter;
use crate::perf::progress::Progress;

/// How often the broker's memory is looked at: it costs a walk through `/proc`.
const SAMPLE: Duration = Duration::from_millis(500);

/// Follows a run: the broker's usage and the progress line.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    options: &'a Options,
    plan: &'a Plan,
    gauge: &'a Gauge,
    progress: &'a mut Progress,
    /// What has happened before the part that is measured.
    before: Before,
    warming_up: bool,
    started: u64,
    sampled: Instant,
    meter: Meter,
}

/// Messages that are in no rate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
}

impl<'a> Watch<'a> {
    /// Begins to measure, or the warm-up if there is one.
    pub(crate) fn start(
        options: &'a Options,
        plan: &'a Plan,
        gauge: &'a Gauge,
        progress: &'a mut Progress,
    ) -> Result<Self> {
        let meter = Meter::start(options.pid)?;
        let started = gauge.clock.now();
        gauge.count_from(started + nanoseconds(options.warm_up));
        Ok(Self {
            options,
            plan,
            gauge,
            progress,
            before: Before::default(),
            warming_up: !options.warm_up.is_zero(),
            started,
            sampled: Instant::now(),
            meter,
        })
    }

    /// When it began to measure, by the run's clock.
    pub(crate) fn started(&self) -> u64 {
        self.started
    }

    /// What is in no rate.
    pub(crate) fn before(&self) -> Before {
        self.before
    }

    /// What the warm-up was, if there was one. It ends with the publishing at the latest.
    pub(crate) fn warmed_up(&mut self) -> Result<Option<WarmUp>> {
        if self.options.warm_up.is_zero() {
            return Ok(None);
        }
        if self.warming_up {
            self.restart()?;
        }
        let begin = self.gauge.counted_from() - nanoseconds(self.options.warm_up);
        Ok(Some(WarmUp {
            seconds: float(self.started - begin) / 1e9,
            published: self.before.published,
            delivered: self.before.delivered,
        }))
    }

    /// Begins a new part, with its own time and cost: after the warm-up, or when everything is published and is to be consumed.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.meter = Meter::start(self.options.pid)?;
        self.started = self.gauge.clock.now();
        self.before = Before {
            published: self.gauge.published(),
            delivered: self.gauge.delivered(),
        };
        self.warming_up = false;
        Ok(())
    }

    /// Shows the progress, and looks at the broker's memory if that is due.
    pub(crate) fn look(&mut self, phase: &str) -> Result<()> {
        if self.warming_up && self.gauge.clock.now() >= self.gauge.counted_from() {
            self.restart()?;
        }
        let phase = if self.warming_up { "warm-up" } else { phase };
        if self.sampled.elapsed() > SAMPLE {
            self.meter.sample()?;
            self.sampled = Instant::now();
        }
        let (published, delivered) = (self.gauge.published(), self.gauge.delivered());
        let waiting = (published * u64::from(self.plan.copies)).saturating_sub(delivered);
        self.progress.update(phase, published, delivered, waiting);
        Ok(())
    }

    /// What the broker used since the start, for so many messages.
    pub(crate) fn cost(&mut self, messages: u64) -> Result<Option<Cost>> {
        let used = self.meter.sample()?;
        Ok(used.map(|used| Cost::new(used, self.meter.rss_max_kib(), messages)))
    }
}
