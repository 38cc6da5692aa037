//! The rounds of a comparison.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;

use super::Args;
use super::broker::{Broker, Kind, LimitServer};
use super::fsync;
use super::scenario::Scenario;
use super::summary::{Comparison, Failure, Machine, Row, Run, command};
use super::table;
use crate::perf::interrupt::Interrupt;
use crate::perf::measure::histogram::Histogram;
use crate::perf::progress::Progress;

/// What is measured, and what is known so far.
#[derive(Debug)]
pub(super) struct Rounds<'a> {
    args: &'a Args,
    interrupt: &'a Interrupt,
    scenarios: Vec<Scenario>,
    brokers: Vec<Broker>,
    /// The frame limit with a log, if it is one of them.
    synced: Option<LimitServer>,
    baseline: String,
    began: SystemTime,
    /// By the numbers of scenario and broker; of a run that failed, why.
    results: BTreeMap<(usize, usize), Vec<Result<Run, Failure>>>,
    fsyncs: Histogram,
    /// Whether runs are missing because of an interrupt.
    interrupted: bool,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(
        args: &'a Args,
        interrupt: &'a Interrupt,
        scenarios: Vec<Scenario>,
        brokers: Vec<Broker>,
        synced: Option<LimitServer>,
        baseline: String,
    ) -> Self {
        Self {
            args,
            interrupt,
            scenarios,
            brokers,
            synced,
            baseline,
            began: SystemTime::now(),
            results: BTreeMap::new(),
            fsyncs: Histogram::default(),
            interrupted: false,
        }
    }

    /// Lets all brokers take their turn in each scenario of each round, until an interrupt. What a run has found is printed and written at once, so that
    /// not even an end without a warning loses anything.
    ///
    /// # Errors
    /// If there is no place for results, or an fsync cannot be measured. A run that fails becomes a part of the result.
    pub(super) fn run(mut self) -> Result<Comparison> {
        self.take_turns()?;
        self.args.output.print_part("\n")?;
        Ok(self.comparison())
    }

    fn take_turns(&mut self) -> Result<()> {
        for round in 1..=self.args.runs {
            for at in 0..self.scenarios.len() {
                let scenario = &self.scenarios[at];
                if let Some(log) = self
                    .args
                    .limit_log
                    .as_ref()
                    .filter(|_| scenario.is_persistent())
                {
                    fsync::measure(log, &mut self.fsyncs)?;
                }
                let suits = |&broker: &usize| self.scenarios[at].suits(&self.brokers[broker]);
                for broker in in_turn(round, (0..self.brokers.len()).filter(suits).collect()) {
                    if self.interrupt.has_come() {
                        self.interrupted = true;
                        return Ok(());
                    }
                    self.run_one(round, at, broker)?;
                }
            }
        }
        Ok(())
    }

    fn run_one(&mut self, round: usize, at: usize, broker_at: usize) -> Result<()> {
        // What a broker has not got, it has not got in the next round either.
        let before = self.results.get(&(at, broker_at));
        if before.is_some_and(|results| matches!(results.last(), Some(Err(Failure::Lack(_))))) {
            return Ok(());
        }
        let (scenario, broker) = (&self.scenarios[at], &self.brokers[broker_at]);
        let place = format!(
            "{round}/{} {:<11} {:<11}",
            self.args.runs, scenario.name, broker.name
        );
        let mut progress = Progress::new(&place, self.args.output.quiet);
        let outcome = scenario.run(broker, self.args.length(), self.interrupt, &mut progress);
        let synced = self.synced.as_mut();
        let synced = synced.filter(|_| broker.kind == Kind::SyncedLimit);
        // Also after a run that failed, or else its syncs would be the next one's.
        let syncs = synced.map(LimitServer::syncs).transpose();
        let result = outcome.and_then(|outcome| {
            Ok(Run {
                outcome,
                syncs: syncs?,
            })
        });
        let result = result.map_err(Failure::from);
        if result.as_ref().is_ok_and(|run| run.outcome.interrupted) {
            self.interrupted = true;
            let line = format!("{place} interrupted, and not counted\n");
            return self.args.output.print_part(&line);
        }
        let line = table::line(&place, scenario.unit(), &result);
        self.results
            .entry((at, broker_at))
            .or_default()
            .push(result);
        self.args.output.print_part(&line)?;
        self.args.output.write_part(&self.comparison())
    }

    /// A row per scenario and broker, in their order.
    fn comparison(&self) -> Comparison {
        let length = self.args.length();
        let rows = self.results.iter().map(|(&(scenario, broker), results)| {
            let broker = &self.brokers[broker];
            Row::new(&self.scenarios[scenario], length, broker, results)
        });
        Comparison {
            date: humantime::format_rfc3339_seconds(self.began).to_string(),
            command: command(std::env::args()),
            build: build(),
            machine: Machine::here(),
            baseline: self.baseline.clone(),
            seconds: length.as_secs_f64(),
            runs: self.args.runs,
            interrupted: self.interrupted,
            fsync: self.fsyncs.summary(),
            rows: rows.collect(),
        }
    }
}

/// What measures.
fn build() -> String {
    let kind = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    format!("amphora {} ({kind} build)", env!("CARGO_PKG_VERSION"))
}

/// The order in a round, counted from 1: each begins with another one, as what comes first finds a machine that has rested.
fn in_turn(round: usize, mut brokers: Vec<usize>) -> Vec<usize> {
    if !brokers.is_empty() {
        let first = (round - 1) % brokers.len();
        brokers.rotate_left(first);
    }
    brokers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_broker() {
        let rounds = [1, 2, 3, 4].map(|round| in_turn(round, vec![0, 2, 3]));
        let expected = [[0, 2, 3], [2, 3, 0], [3, 0, 2], [0, 2, 3]];
        assert_eq!(rounds, expected.map(|order| order.to_vec()));
        assert_eq!(in_turn(2, vec![1, 3]), [3, 1]);
        assert_eq!(in_turn(5, vec![7]), [7]);
        assert_eq!(in_turn(1, Vec::new()), [0; 0]);
    }
}
