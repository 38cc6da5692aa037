//! `amphora perf compare`: a set of scenarios against several brokers in turn.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::builder::RangedU64ValueParser;
use clap::{Args as ClapArgs, ValueEnum};

use broker::{Broker, LIMIT, LimitServer, SYNCED_LIMIT};
use rounds::Rounds;
use scenario::Scenario;

use super::interrupt::Interrupt;
use super::load::length::seconds;
use super::report::Output;
use super::usage;
use crate::cli::exit::Exit;

mod broker;
mod fsync;
mod rounds;
mod scenario;
mod summary;
mod table;

const EXAMPLES: &str = "\
Examples:
  Three brokers and the frame limit, three rounds of the standard scenarios:
    amphora perf compare --limit \\
      --broker amphora=amqp://127.0.0.1:5672,pid=$(pidof amphora) \\
      --broker rabbitmq=amqp://127.0.0.1:5673,pid=$(pidof beam.smp) \\
      --broker lavinmq=amqp://127.0.0.1:5674,pid=$(pidof lavinmq)
  Two scenarios, quickly, with all figures as JSON:
    amphora perf compare --limit --broker amphora=amqp:// \\
      --scenario t16,p1k --runs 1 --json=result.json
  Persistence beside a plain file that is synced as often:
    amphora perf compare --broker amphora=amqp:// --limit-log /var/tmp/limit.log \\
      --scenario p1k,p1 --baseline limit+fsync
  A plugin's exchange type beside the one that is built in; a broker that lacks it says so:
    amphora perf compare --broker amphora=amqp:// --scenario topic100 \\
      --own-scenario 'xtopic100=--exchange-type x-topic --like topic --bindings 100'
  What the scenarios are, as commands:
    amphora perf compare --list

The rounds are interleaved: every broker takes its turn in every scenario before the
next round begins, so that what else happens on the machine meets all of them, and each
round begins with another one. Each run is printed, and --json=FILE written, when it is
there; the table comes last, with medians. An interrupt (Ctrl+C) leaves out the runs to
come and the one that it cuts short. With --limit-log, what its syncs took in each run is
told below the table, and above it what one takes that follows another without a pause.
The standard suite takes about twenty minutes for two brokers, the limit and its log.
RabbitMQ from 4.3 on needs --durable. Messages per CPU second of the broker need its pid;
other load disturbs them less than messages per second. Brokers are started before, on
the same machine. A broker that lacks the exchange type of a scenario has a line without
figures; the command fails if all of them lack it.";

/// Measure several brokers in turn and print a table
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A broker: its name for the table, its URI, and its process if CPU time and memory are wanted; may be repeated
    #[arg(long, value_name = "NAME=URI[,pid=N]")]
    broker: Vec<Broker>,
    /// Measure the frame limit as well, and compare with it; its server is started for the time
    #[arg(long)]
    limit: bool,
    /// Measure the frame limit with every publish written to FILE and synced before its confirm, in the scenarios with
    /// persistent messages
    #[arg(long, value_name = "FILE")]
    limit_log: Option<PathBuf>,
    /// Set of scenarios: quick runs the standard ones for a second each, full has some more
    #[arg(long, value_enum, default_value = "standard")]
    suite: Suite,
    /// Only these scenarios, of any suite; separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Another scenario, with options of throughput or latency, such as the exchange type of a plugin, or just "connections" for some that come and
    /// go; may be repeated. The suite is left out then
    #[arg(long, value_name = "NAME=OPTIONS", allow_hyphen_values = true)]
    own_scenario: Vec<Scenario>,
    /// Durable queues and exchanges also for transient messages; RabbitMQ from 4.3 on refuses others
    #[arg(long)]
    durable: bool,
    /// How long each run publishes [default: 3, or 1 in the quick suite]
    #[arg(short = 'z', long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Rounds, of which the median is taken
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    runs: usize,
    /// The broker whose figures are 100 %; the frame limit or the first one without
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Show the scenarios instead of running them
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    Quick,
    Standard,
    Full,
}

/// Runs the scenarios and prints the table.
///
/// # Errors
/// If the options make no sense, the limit server cannot be started, or a run failed or was not clean: then after the table.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Exit> {
    let scenarios = usage(args.scenarios())?;
    if args.list {
        let lines: Vec<_> = scenarios
            .iter()
            .map(|scenario| scenario.command(args.length()))
            .collect();
        args.output
            .print(&table::list(&scenarios, &lines), &lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = usage(args.baseline())?;
    Ok(measure(args, scenarios, baseline)?)
}

fn measure(args: &Args, scenarios: Vec<Scenario>, baseline: String) -> Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let limit = args.limit.then(|| LimitServer::start(None)).transpose()?;
    let log = args.limit_log.as_deref();
    let synced = log.map(|log| LimitServer::start(Some(log))).transpose()?;
    let limits = limit.iter().chain(&synced);
    let mut brokers: Vec<Broker> = limits.map(LimitServer::broker).collect();
    brokers.extend(args.broker.iter().cloned());
    let rounds = Rounds::new(args, &interrupt, scenarios, brokers, synced, baseline);
    let comparison = rounds.run()?;
    args.output
        .print(&table::render(&comparison), &comparison)?;
    let failures = comparison.failures();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(interrupt.exit_code())
}

impl Args {
    /// How long each run publishes.
    fn length(&self) -> Duration {
        let of_suite = if self.suite == Suite::Quick { 1 } else { 3 };
        self.duration.unwrap_or(Duration::from_secs(of_suite))
    }

    /// What is to be run.
    fn scenarios(&self) -> Result<Vec<Scenario>> {
        let chosen = self.chosen()?.into_iter();
        Ok(if self.durable {
            chosen.map(Scenario::durable).collect()
        } else {
            chosen.collect()
        })
    }

    /// What is asked for by name and what is one's own, or else the suite.
    fn chosen(&self) -> Result<Vec<Scenario>> {
        let mut all = scenario::parse(scenario::STANDARD)?;
        if self.scenario.is_empty() && self.own_scenario.is_empty() {
            if self.suite == Suite::Full {
                all.extend(scenario::parse(scenario::MORE)?);
            }
            return Ok(all);
        }
        all.extend(scenario::parse(scenario::MORE)?);
        let mut chosen = Vec::new();
        for name in &self.scenario {
            let found = all.iter().find(|scenario| scenario.name == *name);
            chosen.push(found.cloned().with_context(|| {
                let names: Vec<_> = all.iter().map(|scenario| scenario.name.as_str()).collect();
                format!(
                    "there is no scenario {name}; there are {}",
                    names.join(", ")
                )
            })?);
        }
        for own in &self.own_scenario {
            ensure!(
                chosen.iter().all(|other: &Scenario| other.name != own.name),
                "there are two scenarios with the name {}",
                own.name
            );
            chosen.push(own.clone());
        }
        Ok(chosen)
    }

    /// The name of the broker whose figures are 100 %.
    fn baseline(&self) -> Result<String> {
        let names = self.names()?;
        let baseline = self.baseline.as_deref().or(names.first().copied());
        let baseline =
            baseline.context("there is nothing to compare: give a --broker or --limit")?;
        ensure!(
            names.contains(&baseline),
            "--baseline {baseline} is none of the brokers, which are {}",
            names.join(", ")
        );
        Ok(baseline.to_owned())
    }

    /// The names of all that take part, in their order. Rows and figures belong to a name, so each has one of its own.
    fn names(&self) -> Result<Vec<&str>> {
        let limits = [
            (self.limit, LIMIT),
            (self.limit_log.is_some(), SYNCED_LIMIT),
        ];
        let limits = limits
            .into_iter()
            .filter_map(|(asked, name)| asked.then_some(name));
        let mut names: Vec<&str> = limits.collect();
        let limits = names.len();
        for Broker { name, .. } in &self.broker {
            ensure!(
                !names[..limits].contains(&name.as_str()),
                "{name} is what the frame limit is called: give the --broker another name"
            );
            ensure!(
                !names.contains(&name.as_str()),
                "there are two brokers with the name {name}"
            );
            names.push(name);
        }
        Ok(names)
    }
}
