//! What a run has measured.

use anyhow::{Result, ensure};
use serde::Serialize;

use super::producer::Timetable;
use super::window::Confirmed;
use crate::perf::amqp::dialogue::Server;
use crate::perf::measure::histogram::{Histogram, Percentiles};
use crate::perf::measure::ledger::Tally;
use crate::perf::measure::usage::Usage;

/// A count, the time that it took, and the rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
}

impl Throughput {
    /// `count` in `nanoseconds`.
    pub(crate) fn new(count: u64, nanoseconds: u64) -> Self {
        let seconds = float(nanoseconds) / 1e9;
        Self {
            count,
            seconds,
            per_second: if nanoseconds == 0 {
                0.0
            } else {
                float(count) / seconds
            },
        }
    }
}

/// What the broker used during a part of a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) cpu_seconds: f64,
    /// Deliveries, or publishes where nothing is delivered, per second of the broker's CPU time.
    pub(crate) messages_per_cpu_second: f64,
    pub(crate) rss_max_kib: u64,
}

impl Cost {
    pub(crate) fn new(used: Usage, rss_max_kib: u64, messages: u64) -> Self {
        let cpu_seconds = used.cpu_seconds();
        let messages_per_cpu_second = if cpu_seconds > 0.0 {
            float(messages) / cpu_seconds
        } else {
            0.0
        };
        Self {
            cpu_seconds,
            messages_per_cpu_second,
            rss_max_kib,
        }
    }
}

/// What came before the figures begin, and is in none but the checks.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct WarmUp {
    pub(crate) seconds: f64,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
}

/// Publisher confirms.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Confirms {
    pub(crate) latency: Option<Percentiles>,
    pub(crate) nacked: u64,
    pub(crate) unconfirmed: u64,
}

impl Confirms {
    /// Those of all producers together; `None` if confirms were off.
    pub(crate) fn merge(all: impl IntoIterator<Item = Confirmed>) -> Option<Self> {
        let mut latencies = Histogram::default();
        let mut merged: Option<Self> = None;
        for confirmed in all {
            latencies.merge(&confirmed.latencies);
            let sum = merged.get_or_insert(Self {
                latency: None,
                nacked: 0,
                unconfirmed: 0,
            });
            sum.nacked += confirmed.nacked;
            sum.unconfirmed += confirmed.unconfirmed;
        }
        merged.map(|sum| Self {
            latency: latencies.summary(),
            ..sum
        })
    }
}

/// What became of the rate that was asked for.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Kept {
    /// Messages per second over all producers.
    pub(crate) asked_per_second: u64,
    /// What was published per second, until the broker had handled the last one.
    pub(crate) reached_per_second: f64,
    /// Due, but never published, as the load was given up: their latency is not among the others.
    pub(crate) unsent: u64,
    /// The longest that a message waited from when it was due until it was published.
    pub(crate) late_max_ns: u64,
}

impl Kept {
    /// The timetables of all producers together.
    pub(crate) fn merge(
        asked_per_second: u64,
        published: Throughput,
        timetables: impl IntoIterator<Item = Timetable>,
    ) -> Self {
        let all = Self {
            asked_per_second,
            reached_per_second: published.per_second,
            unsent: 0,
            late_max_ns: 0,
        };
        timetables.into_iter().fold(all, |sum, one| Self {
            unsent: sum.unsent + one.unsent,
            late_max_ns: sum.late_max_ns.max(one.late_max_ns),
            ..sum
        })
    }
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) broker: Server,
    /// Whether a signal has ended the load before its time.
    pub(crate) interrupted: bool,
    pub(crate) warm_up: Option<WarmUp>,
    /// Until the broker had handled the last publish.
    pub(crate) published: Throughput,
    /// With a rate.
    pub(crate) pace: Option<Kept>,
    /// Until the last delivery arrived.
    pub(crate) delivered: Option<Throughput>,
    pub(crate) confirms: Option<Confirms>,
    /// From the time when a message was due to its arrival.
    pub(crate) latency: Option<Percentiles>,
    pub(crate) tally: Tally,
    /// Still in the queues at the end, by the broker's count, and not among the lost: a fault unless nobody consumed.
    pub(crate) remaining: u64,
    /// Over the whole run; only over the second part if everything was published first.
    pub(crate) cost: Option<Cost>,
    /// Over the first part if everything was published first.
    pub(crate) publish_cost: Option<Cost>,
}

impl Outcome {
    /// How many messages did not arrive exactly once and in order, or were not confirmed. With `--publish-only` they are
    /// to stay in the queues.
    pub(crate) fn faults(&self) -> u64 {
        let tally = self.tally;
        let refused = self
            .confirms
            .map_or(0, |confirms| confirms.nacked + confirms.unconfirmed);
        let kept_back = self.delivered.map_or(0, |_| self.remaining);
        tally.lost + tally.disordered + tally.duplicates + tally.foreign + kept_back + refused
    }

    /// An error if there were faults, so that a script sees it.
    pub(crate) fn ensure_clean(&self) -> Result<()> {
        ensure!(
            self.faults() == 0,
            "the broker did not keep its promises for {} messages",
            self.faults()
        );
        Ok(())
    }

    /// The rate that a scenario is judged by: deliveries, or publishes where nothing is delivered.
    pub(crate) fn rate(&self) -> f64 {
        self.delivered.unwrap_or(self.published).per_second
    }
}

/// A count as a number to divide.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run stay below 2^52"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
