//! The scenarios, each of them a command line that can also be run alone.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};
use serde::Serialize;

use super::broker::{Broker, Kind};
use crate::perf::amqp::client::Client;
use crate::perf::churn::{self, Churn};
use crate::perf::interrupt::Interrupt;
use crate::perf::load::engine;
use crate::perf::load::options::Options;
use crate::perf::load::outcome::Outcome;
use crate::perf::measure::ledger::Tally;
use crate::perf::progress::Progress;

/// A load with a name.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) about: String,
    line: String,
    load: Load,
}

#[derive(Clone, Debug)]
enum Load {
    Messages(Box<Options>),
    /// Connections with a channel each, opened and closed.
    Connections,
}

/// What a scenario's figures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Messages,
    Connections,
}

impl Unit {
    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Messages => "msg",
            Self::Connections => "conn",
        }
    }
}

/// In place of options: connections.
const CONNECTIONS: &str = "connections";

/// Name, description and options of a scenario.
type Known = (&'static str, &'static str, &'static str);

/// What brokers are usually compared by, and what this broker's figures are about.
pub(super) const STANDARD: &[Known] = &[
    ("t16", "16 bytes, transient, automatic acks", "--size 16"),
    ("t1k", "1 KiB, transient, automatic acks", "--size 1024"),
    (
        "pub16",
        "publish only, 16 bytes, into a growing queue",
        "--size 16 --publish-only",
    ),
    (
        "p1k",
        "1 KiB, persistent, confirms and acks in hundreds",
        "--size 1024 --persistent --confirm 1000 --ack-every 100 --prefetch 1000",
    ),
    (
        "lat5k",
        "5,000 messages of 100 bytes per second",
        "--size 100 --rate 5000",
    ),
    (
        "fan4",
        "64 bytes, fanout to 4 queues",
        "--size 64 --fanout 4",
    ),
    (
        "topic100",
        "16 bytes, topic exchange with 100 other bindings",
        "--exchange-type topic --bindings 100",
    ),
    (
        "headers100",
        "16 bytes, headers exchange with 100 other bindings",
        "--exchange-type headers --bindings 100",
    ),
    (
        "q100",
        "64 bytes, 100 queues with a consumer each, 4 producers",
        "--size 64 -x 4 -y 100 --queues 100",
    ),
    (
        "p1",
        "1 KiB, persistent, one at a time",
        "--size 1024 --persistent --confirm 1 --ack-every 1 --prefetch 1",
    ),
    (
        "p1kq100",
        "as p1k, 100 queues",
        "--size 1024 --queues 100 --persistent --confirm 1000 --ack-every 100 --prefetch 1000",
    ),
    (
        "drain16",
        "16 bytes, published first, then consumed",
        "--size 16 --drain",
    ),
    (
        "ack50",
        "16 bytes, prefetch 100, acks in fifties",
        "--ack-every 50 --prefetch 100",
    ),
    (
        "fan100",
        "64 bytes, fanout to 100 queues",
        "--size 64 --fanout 100",
    ),
    (
        "topic10k",
        "16 bytes, topic exchange with 10,000 other bindings",
        "--exchange-type topic --bindings 10000",
    ),
    (
        "headers1k",
        "16 bytes, headers exchange with 1,000 other bindings",
        "--exchange-type headers --bindings 1000",
    ),
    (
        "churn",
        "connections with a channel each, opened and closed",
        CONNECTIONS,
    ),
];

/// What the full suite has besides.
pub(super) const MORE: &[Known] = &[
    (
        "p1kq100c100",
        "as p1k, 100 queues with a consumer each, 4 producers",
        "--size 1024 -x 4 -y 100 --queues 100 --persistent --confirm 1000 --ack-every 100 --prefetch 1000",
    ),
    (
        "p4q4",
        "16 bytes, four pairs with a queue each",
        "-x 4 -y 4 --queues 4",
    ),
    (
        "directkeys",
        "16 bytes, direct exchange, 50,000 routing keys in turn",
        "--exchange-type direct --routing-keys 50000",
    ),
    (
        "topickeys",
        "as topic10k, 500 routing keys in turn",
        "--exchange-type topic --bindings 10000 --routing-keys 500",
    ),
    (
        "headerskinds",
        "as headers1k, 100 sets of headers and routing keys in turn",
        "--exchange-type headers --bindings 1000 --routing-keys 100",
    ),
    ("t64k", "64 KiB, transient, automatic acks", "--size 65536"),
];

/// Those of a list.
pub(super) fn parse(known: &[Known]) -> Result<Vec<Scenario>> {
    let parse = |&(name, about, line): &Known| Scenario::new(name, about, line);
    known.iter().map(parse).collect()
}

impl FromStr for Scenario {
    type Err = anyhow::Error;

    /// Parses `name=options`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, line) = text.split_once('=').context("a scenario is NAME=OPTIONS")?;
        ensure!(
            !name.is_empty() && !name.contains(['-', ' ', ',']),
            "a scenario is NAME=OPTIONS, and {name:?} is no name"
        );
        Self::new(name, "one's own", line)
    }
}

impl Scenario {
    fn new(name: &str, about: &str, line: &str) -> Result<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let load = if words == [CONNECTIONS] {
            Load::Connections
        } else {
            let options = options(&words).with_context(|| format!("scenario {name}"))?;
            Load::Messages(Box::new(options))
        };
        Ok(Self {
            name: name.to_owned(),
            about: about.to_owned(),
            load,
            line: words.join(" "),
        })
    }

    /// What its figures count.
    pub(super) fn unit(&self) -> Unit {
        match self.load {
            Load::Messages(_) => Unit::Messages,
            Load::Connections => Unit::Connections,
        }
    }

    /// The same on durable queues, also if its messages are transient.
    pub(super) fn durable(mut self) -> Self {
        if let Load::Messages(options) = &mut self.load
            && !(options.durable || options.persistent)
        {
            options.durable = true;
            self.line.push_str(" --durable");
        }
        self
    }

    /// The command that runs it alone.
    pub(super) fn command(&self, length: Duration) -> String {
        let seconds = length.as_secs_f64();
        let kind = match &self.load {
            Load::Connections => {
                return format!("amphora perf connections --open 1 --churn {seconds}");
            }
            Load::Messages(options) if options.rate.is_some() => "latency",
            Load::Messages(_) => "throughput",
        };
        format!("amphora perf {kind} {} --duration {seconds}", self.line)
    }

    /// Whether it says anything about `broker`: the frame limit stores nothing and matches whole keys, and the synced one is for
    /// persistence.
    pub(super) fn suits(&self, broker: &Broker) -> bool {
        let limited = match &self.load {
            Load::Messages(options) => {
                !options.drain && !options.stream && options.binding_key.is_none()
            }
            Load::Connections => true,
        };
        match broker.kind {
            Kind::Broker => true,
            Kind::Limit => limited,
            Kind::SyncedLimit => limited && self.is_persistent(),
        }
    }

    /// Runs it once.
    pub(super) fn run(
        &self,
        broker: &Broker,
        length: Duration,
        interrupt: &Interrupt,
        progress: &mut Progress,
    ) -> Result<Outcome> {
        let Load::Messages(options) = &self.load else {
            return churn(broker, length, interrupt, progress);
        };
        let mut options = options.clone();
        options.uri = broker.uri.clone();
        options.pid = broker.pid;
        options.duration = length;
        engine::run(&options, options.rate.is_some(), interrupt, progress)
    }

    /// Whether messages are persistent, so that a sync of the disk is part of what is measured.
    pub(super) fn is_persistent(&self) -> bool {
        matches!(&self.load, Load::Messages(options) if options.persistent)
    }
}

fn churn(
    broker: &Broker,
    length: Duration,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<Outcome> {
    let first = Client::open(&broker.uri)?;
    let server = first.server().clone();
    first.close()?;
    let churn = Churn {
        uri: &broker.uri,
        pid: broker.pid,
        threads: churn::threads(),
        at_once: churn::AT_ONCE,
        length,
    };
    let churned = churn.run(interrupt, progress)?;
    // Each connection counts as a message that was published.
    Ok(Outcome {
        broker: server,
        interrupted: interrupt.has_come(),
        warm_up: None,
        published: churned.throughput,
        pace: None,
        delivered: None,
        confirms: None,
        latency: churned.latency,
        tally: Tally::default(),
        remaining: 0,
        cost: churned.cost(),
        publish_cost: None,
    })
}

/// What the comparison decides for every scenario.
const DECIDED: [&str; 3] = ["uri", "pid", "duration"];

fn options(words: &[&str]) -> Result<Options> {
    #[derive(Parser)]
    #[command(no_binary_name = true, disable_help_flag = true)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
    // The usage that comes behind what is wrong is that of another command.
    let shorten = |error: clap::Error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        anyhow!("{}", line.trim_start_matches("error: "))
    };
    let matches = Line::command()
        .try_get_matches_from(words)
        .map_err(shorten)?;
    for name in DECIDED {
        ensure!(
            matches.value_source(name) != Some(ValueSource::CommandLine),
            "--{name} is the comparison's to decide"
        );
    }
    Line::from_arg_matches(&matches)
        .map_err(shorten)?
        .options
        .checked()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Scenario> {
        [STANDARD, MORE]
            .iter()
            .flat_map(|known| parse(known).unwrap())
            .collect()
    }

    #[test]
    fn every_scenario_is_a_valid_command() {
        let commands: Vec<_> = all()
            .iter()
            .map(|scenario| scenario.command(Duration::from_secs(3)))
            .collect();
        assert_eq!(
            commands[0],
            "amphora perf throughput --size 16 --duration 3"
        );
        assert!(commands[4].starts_with("amphora perf latency "));
        let churn = "amphora perf connections --open 1 --churn 3".to_owned();
        assert!(commands.contains(&churn));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().into_iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn ones_own_has_a_name_and_options() {
        let text = "x=-t x-topic --like topic  -r 5";
        let own: Scenario = text.parse().unwrap();
        assert_eq!(
            own.command(Duration::from_millis(500)),
            "amphora perf latency -t x-topic --like topic -r 5 --duration 0.5"
        );
        for (wrong, says) in [
            ("x", "NAME=OPTIONS"),
            ("--size=16", "no name"),
            ("x=--sise 5", "unexpected argument '--sise'"),
            ("x=--size 5", "at least 16"),
            (
                "x=connections --open 5",
                "unexpected argument 'connections'",
            ),
            ("x=-z 5", "--duration is the comparison's"),
            ("x=--uri amqp://h", "--uri is the comparison's"),
        ] {
            let error = format!("{:#}", wrong.parse::<Scenario>().unwrap_err());
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn all_of_them_can_have_durable_queues() {
        let commands = all().into_iter().map(|scenario| {
            let scenario = scenario.durable();
            if let Load::Messages(options) = &scenario.load {
                assert!(options.durable || options.persistent);
            }
            scenario.command(Duration::from_secs(3))
        });
        let commands: Vec<_> = commands.collect();
        assert_eq!(
            commands[0],
            "amphora perf throughput --size 16 --durable --duration 3"
        );
        let stream: Scenario = "x=--stream --prefetch 10 --ack-every 5".parse().unwrap();
        assert!(!stream.durable().line.contains("--durable"));
    }

    #[test]
    fn the_limit_is_asked_what_it_can_do() {
        let limit: Broker = "limit=amqp://h".parse().unwrap();
        let limit = Broker {
            kind: Kind::Limit,
            ..limit
        };
        for (line, suits) in [
            ("x=-t x-topic --like topic", true),
            ("x=--drain", false),
            ("x=connections", true),
            ("x=--stream --prefetch 10 --ack-every 5", false),
            ("x=-t x-consistent-hash --binding-key 1", false),
        ] {
            assert_eq!(
                line.parse::<Scenario>().unwrap().suits(&limit),
                suits,
                "{line}"
            );
        }
    }
}
