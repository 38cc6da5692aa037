//! Medians over the rounds.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::Error;
use serde::Serialize;

use super::broker::{Broker, Kind};
use super::scenario::{Scenario, Unit};
use crate::perf::limit::Syncs;
use crate::perf::load::outcome::Outcome;
use crate::perf::load::topology::NoSuchType;
use crate::perf::measure::histogram::Percentiles;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// When it began, UTC.
    pub(super) date: String,
    /// Without passwords.
    pub(super) command: String,
    /// Of the program that measured.
    pub(super) build: String,
    pub(super) machine: Machine,
    pub(super) baseline: String,
    /// Length of a run.
    pub(super) seconds: f64,
    pub(super) runs: usize,
    /// Whether a signal has ended it, so that runs are missing; one that was cut short is not among the outcomes.
    pub(super) interrupted: bool,
    /// An fsync of an appended KiB, one after the other between the runs; with `--limit-log`.
    pub(super) fsync: Option<Percentiles>,
    pub(super) rows: Vec<Row>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
}

/// A scenario on a broker.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) scenario: String,
    pub(super) about: String,
    pub(super) command: String,
    pub(super) broker: String,
    /// What its figures count, also where they speak of messages.
    pub(super) counted: Unit,
    /// Whether that is the frame limit, which takes any exchange type.
    pub(super) frame_limit: bool,
    pub(super) median: Median,
    pub(super) outcomes: Vec<Run>,
    pub(super) errors: Vec<String>,
    /// What the broker has not got, so that there are no figures.
    pub(super) lacks: Option<Lack>,
}

/// What one run has found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    /// What the log of the frame limit synced meanwhile.
    pub(super) syncs: Option<Syncs>,
}

/// Why a run has no figures.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Lack(Lack),
    Other(String),
}

/// An exchange type that a broker has not got.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lack {
    pub(super) exchange_type: String,
    /// In words, with the broker's own.
    pub(super) text: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = format!("{error:#}");
        match error.downcast::<NoSuchType>() {
            Ok(NoSuchType { exchange_type, .. }) => Self::Lack(Lack {
                exchange_type,
                text,
            }),
            Err(_) => Self::Other(text),
        }
    }
}

/// The middle of each figure over the rounds that succeeded.
#[derive(Debug, Default, Serialize)]
pub(super) struct Median {
    pub(super) messages_per_second: Option<f64>,
    pub(super) messages_per_cpu_second: Option<f64>,
    /// End to end where that was measured, else of the confirms.
    pub(super) latency_p50_ns: Option<u64>,
    pub(super) latency_p99_ns: Option<u64>,
    pub(super) rss_max_kib: Option<u64>,
    /// Each figure by itself.
    pub(super) syncs: Option<Syncs>,
    /// Lost, kept back, disordered, duplicated or refused messages; the sum, not the median.
    pub(super) faults: u64,
}

impl Comparison {
    /// What went wrong, a line for each. That a broker lacks something is a result; that all of them lack it is a mistake.
    pub(super) fn failures(&self) -> Vec<String> {
        let failures = |row: &Row| {
            let at = format!("{} on {}", row.scenario, row.broker);
            let errors = row.errors.iter().map(|error| format!("{at}: {error}"));
            let faults = (row.median.faults > 0).then(|| {
                format!(
                    "{at}: {} messages lost, kept back, disordered, duplicated or refused",
                    row.median.faults
                )
            });
            let nowhere = self.lacked_by_all(row).map(|lack| {
                format!(
                    "{}: no broker has the exchange type '{}'",
                    row.scenario, lack.exchange_type
                )
            });
            errors.chain(faults).chain(nowhere).collect::<Vec<_>>()
        };
        self.rows.iter().flat_map(failures).collect()
    }

    /// What no broker has of what the scenario of `row` asks for, if that is the first row of the scenario.
    fn lacked_by_all<'a>(&'a self, row: &'a Row) -> Option<&'a Lack> {
        let mut others = self
            .rows
            .iter()
            .filter(|other| other.scenario == row.scenario && !other.frame_limit);
        let first = others.next()?;
        if self.interrupted {
            // Those whose turn had not come may have it.
            return None;
        }
        let all = std::ptr::eq(first, row) && others.all(|other| other.lacks.is_some());
        row.lacks.as_ref().filter(|_| all)
    }

    /// The baseline's figures in the scenario of `row`.
    pub(super) fn baseline_of(&self, row: &Row) -> Option<&Median> {
        let found = self
            .rows
            .iter()
            .find(|other| other.scenario == row.scenario && other.broker == self.baseline);
        found.map(|row| &row.median)
    }
}

impl Machine {
    pub(super) fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processor: model
                .map_or("unknown processor", |(_, model)| model.trim())
                .to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }
    }
}

impl Row {
    pub(super) fn new(
        scenario: &Scenario,
        length: Duration,
        broker: &Broker,
        results: &[Result<Run, Failure>],
    ) -> Self {
        let mut runs = Vec::new();
        let mut errors = Vec::new();
        let mut lacks = None;
        for result in results {
            match result {
                Ok(run) => runs.push(run.clone()),
                Err(Failure::Lack(lack)) => lacks = Some(lack.clone()),
                Err(Failure::Other(error)) => errors.push(error.clone()),
            }
        }
        Self {
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            command: scenario.command(length),
            broker: broker.name.clone(),
            counted: scenario.unit(),
            frame_limit: broker.kind != Kind::Broker,
            median: Median::of(&runs),
            outcomes: runs,
            errors,
            lacks,
        }
    }
}

impl Median {
    pub(super) fn of(runs: &[Run]) -> Self {
        let outcomes = || runs.iter().map(|run| &run.outcome);
        let latency = |figure: fn(Percentiles) -> u64| {
            let of_one = |outcome: &Outcome| {
                outcome
                    .latency
                    .or(outcome.confirms.and_then(|confirms| confirms.latency))
                    .map(figure)
            };
            middle(outcomes().filter_map(of_one), u64::cmp, u64::midpoint)
        };
        let costs = || outcomes().filter_map(|outcome| outcome.cost);
        Self {
            messages_per_second: middle(
                outcomes().map(Outcome::rate),
                f64::total_cmp,
                f64::midpoint,
            ),
            messages_per_cpu_second: middle(
                costs().map(|cost| cost.messages_per_cpu_second),
                f64::total_cmp,
                f64::midpoint,
            ),
            latency_p50_ns: latency(|latency| latency.p50_ns),
            latency_p99_ns: latency(|latency| latency.p99_ns),
            rss_max_kib: middle(
                costs().map(|cost| cost.rss_max_kib),
                u64::cmp,
                u64::midpoint,
            ),
            syncs: middle_syncs(runs),
            faults: outcomes().map(Outcome::faults).sum(),
        }
    }
}

fn middle_syncs(runs: &[Run]) -> Option<Syncs> {
    let of = |figure: fn(Syncs) -> u64| {
        let found = runs.iter().filter_map(|run| run.syncs);
        middle(found.map(figure), u64::cmp, u64::midpoint)
    };
    Some(Syncs {
        count: of(|syncs| syncs.count)?,
        bytes: of(|syncs| syncs.bytes)?,
        p50_ns: of(|syncs| syncs.p50_ns)?,
        p99_ns: of(|syncs| syncs.p99_ns)?,
    })
}

/// A command line as one could type it, without the passwords in URIs.
pub(super) fn command(arguments: impl Iterator<Item = String>) -> String {
    let shown = arguments.map(|argument| {
        let masked = without_password(&argument).unwrap_or(argument);
        let plain = |letter: char| letter.is_alphanumeric() || "-_=/.,:@%+*".contains(letter);
        if masked.chars().all(plain) {
            masked
        } else {
            format!("'{}'", masked.replace('\'', r"'\''"))
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// `scheme://user:password@host` with `***` for the password, if there is one.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (login, _) = authority.rsplit_once('@')?;
    let (user, _) = login.split_once(':')?;
    Some(format!("{scheme}://{user}:***{}", &rest[login.len()..]))
}

/// The middle value, or what is halfway between the two in the middle.
fn middle<T: Copy>(
    values: impl Iterator<Item = T>,
    order: fn(&T, &T) -> std::cmp::Ordering,
    halfway: fn(T, T) -> T,
) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_by(order);
    let upper = values.len() / 2;
    let lower = values.len().checked_sub(1)? / 2;
    Some(halfway(values[lower], values[upper]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_without_passwords() {
        let arguments = ["amphora", "--broker", "a=amqp://u:p@ss@h:1/v,pid=7", "it's"];
        assert_eq!(
            command(arguments.into_iter().map(str::to_owned)),
            r"amphora --broker a=amqp://u:***@h:1/v,pid=7 'it'\''s'"
        );
    }

    #[test]
    fn the_middle_of_none_one_and_several() {
        let of = |values: &[u64]| middle(values.iter().copied(), u64::cmp, u64::midpoint);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3]), Some(3));
        assert_eq!(of(&[9, 1, 5]), Some(5));
        assert_eq!(of(&[9, 1, 6, 2]), Some(4));
        let of = |values: &[f64]| middle(values.iter().copied(), f64::total_cmp, f64::midpoint);
        assert_eq!(of(&[0.5, -1.0, 8.0]), Some(0.5));
        assert_eq!(of(&[8.0, 0.5]), Some(4.25));
    }
}
