//! The scenarios, each of them a command line that can also be run alone.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use super::broker::{Broker, Kind};
use crate::perf::interrupt::Interrupt;
use crate::perf::load::engine;
use crate::perf::load::options::Options;
use crate::perf::load::outcome::Outcome;
use crate::perf::progress::Progress;

/// A load with a name.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    options: &'static str,
}

const fn scenario(name: &'static str, about: &'static str, options: &'static str) -> Scenario {
    Scenario {
        name,
        about,
        options,
    }
}

/// What brokers are usually compared by, and what this broker's figures are about.
pub(super) const STANDARD: &[Scenario] = &[
    scenario("t16", "16 bytes, transient, automatic acks", "--size 16"),
    scenario("t1k", "1 KiB, transient, automatic acks", "--size 1024"),
    scenario(
        "pub16",
        "publish only, 16 bytes, into a growing queue",
        "--size 16 --publish-only",
    ),
    scenario(
        "p1k",
        "1 KiB, persistent, confirms and acks in hundreds",
        "--size 1024 --persistent --confirm 1000 --ack-every 100 --prefetch 1000",
    ),
    scenario(
        "lat5k",
        "5,000 messages of 100 bytes per second",
        "--size 100 --rate 5000",
    ),
    scenario(
        "fan4",
        "64 bytes, fanout to 4 queues",
        "--size 64 --fanout 4",
    ),
    scenario(
        "topic100",
        "16 bytes, topic exchange with 100 other bindings",
        "--exchange-type topic --bindings 100",
    ),
    scenario(
        "headers100",
        "16 bytes, headers exchange with 100 other bindings",
        "--exchange-type headers --bindings 100",
    ),
    scenario(
        "q100",
        "64 bytes, 100 queues with a consumer each, 4 producers",
        "--size 64 -x 4 -y 100 --queues 100",
    ),
    scenario(
        "p1",
        "1 KiB, persistent, one at a time",
        "--size 1024 --persistent --confirm 1 --ack-every 1 --prefetch 1",
    ),
    scenario(
        "p1kq100",
        "as p1k, 100 queues with a consumer each, 4 producers",
        "--size 1024 -x 4 -y 100 --queues 100 --persistent --confirm 1000 --ack-every 100 --prefetch 1000",
    ),
    scenario(
        "drain16",
        "16 bytes, published first, then consumed",
        "--size 16 --drain",
    ),
    scenario(
        "ack50",
        "16 bytes, prefetch 100, acks in fifties",
        "--ack-every 50 --prefetch 100",
    ),
    scenario(
        "fan100",
        "64 bytes, fanout to 100 queues",
        "--size 64 --fanout 100",
    ),
    scenario(
        "topic10k",
        "16 bytes, topic exchange with 10,000 other bindings",
        "--exchange-type topic --bindings 10000",
    ),
    scenario(
        "headers1k",
        "16 bytes, headers exchange with 1,000 other bindings",
        "--exchange-type headers --bindings 1000",
    ),
];

/// What the full suite has besides.
pub(super) const MORE: &[Scenario] = &[
    scenario(
        "p4q4",
        "16 bytes, four pairs with a queue each",
        "-x 4 -y 4 --queues 4",
    ),
    scenario("t64k", "64 KiB, transient, automatic acks", "--size 65536"),
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    STANDARD.iter().chain(MORE)
}

impl Scenario {
    /// The command that runs it alone.
    pub(super) fn command(&self, seconds: u64) -> String {
        let kind = if self.is_paced() {
            "latency"
        } else {
            "throughput"
        };
        format!("amphora perf {kind} {} --duration {seconds}", self.options)
    }

    /// Whether it says anything about `broker`: the frame limit stores nothing, and the synced one is for persistence.
    pub(super) fn suits(&self, broker: &Broker) -> bool {
        match broker.kind {
            Kind::Broker => true,
            Kind::Limit => !self.has("--drain"),
            Kind::SyncedLimit => self.is_persistent(),
        }
    }

    /// Runs it once.
    pub(super) fn run(
        &self,
        broker: &Broker,
        seconds: u64,
        interrupt: &Interrupt,
        progress: &mut Progress,
    ) -> Result<Outcome> {
        let mut options = self.options()?;
        options.uri = broker.uri.clone();
        options.pid = broker.pid;
        options.duration = Duration::from_secs(seconds);
        engine::run(&options, self.is_paced(), interrupt, progress)
    }

    /// Whether messages are persistent, so that a sync of the disk is part of what is measured.
    pub(super) fn is_persistent(&self) -> bool {
        self.has("--persistent")
    }

    fn is_paced(&self) -> bool {
        self.has("--rate")
    }

    fn has(&self, option: &str) -> bool {
        self.options.split_whitespace().any(|word| word == option)
    }

    fn options(&self) -> Result<Options> {
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let words = std::iter::once("perf").chain(self.options.split_whitespace());
        Line::try_parse_from(words)
            .with_context(|| format!("scenario {}", self.name))?
            .options
            .checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_a_valid_command() {
        for scenario in all() {
            let options = scenario.options().unwrap();
            assert_eq!(
                scenario.is_paced(),
                options.rate.is_some(),
                "{}",
                scenario.name
            );
        }
        assert_eq!(
            STANDARD[0].command(3),
            "amphora perf throughput --size 16 --duration 3"
        );
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count());
    }
}
