//! Follows a run from outside: the broker's CPU time and memory, and the progress line.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::gauge::Gauge;
use super::options::Options;
use super::outcome::Cost;
use super::plan::Plan;
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
    started: u64,
    sampled: Instant,
    meter: Meter,
}

impl<'a> Watch<'a> {
    /// Begins to measure.
    pub(crate) fn start(
        options: &'a Options,
        plan: &'a Plan,
        gauge: &'a Gauge,
        progress: &'a mut Progress,
    ) -> Result<Self> {
        let meter = Meter::start(options.pid)?;
        Ok(Self {
            options,
            plan,
            gauge,
            progress,
            started: gauge.clock.now(),
            sampled: Instant::now(),
            meter,
        })
    }

    /// When it began to measure, by the run's clock.
    pub(crate) fn started(&self) -> u64 {
        self.started
    }

    /// Begins a second part, with its own time and cost.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.meter = Meter::start(self.options.pid)?;
        self.started = self.gauge.clock.now();
        Ok(())
    }

    /// Shows the progress, and looks at the broker's memory if that is due.
    pub(crate) fn look(&mut self, phase: &str) -> Result<()> {
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
