//! `amphora perf connections`: what connections cost, and how fast they come and go.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args as ClapArgs;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;

use super::amqp::client::Client;
use super::amqp::dialogue::Server;
use super::amqp::endpoint::Endpoint;
use super::churn::{self, AT_ONCE, Churn};
use super::interrupt::Interrupt;
use super::load::length::seconds;
use super::load::outcome::{Throughput, float};
use super::load::threads::{LOOK, on_threads};
use super::measure::clock::nanoseconds;
use super::measure::histogram::Percentiles;
use super::measure::usage::Usage;
use super::progress::Progress;
use super::report::{self, Output, duration, memory, quantity};

/// How long connections are held where nobody says.
const HOLD: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  A thousand idle connections with a channel each, then five seconds of churn:
    amphora perf connections --pid $(pidof amphora)
  Only the memory of ten thousand connections:
    amphora perf connections --open 10000 --churn 0 --pid $(pidof amphora)";

/// Measure memory per connection, and connections opened and closed per second
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The broker
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672")]
    uri: Endpoint,
    /// Process of the broker: its CPU time and memory are read from /proc, with those of all its descendants
    #[arg(long)]
    pid: Option<u32>,
    /// Connections, with a channel each, to hold open
    #[arg(long, default_value_t = 1000, value_name = "N")]
    open: usize,
    /// How long to hold them, idle, to see what they cost then, which needs --pid [default: 2]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "pid")]
    hold: Option<Duration>,
    /// How long to open and close connections afterwards, as fast as possible
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    churn: Duration,
    /// Threads that open connections [default: half as many as there are processors]
    #[arg(long, default_value_t = churn::threads(), hide_default_value = true, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    threads: usize,
    /// Connections that each thread opens and closes at a time
    #[arg(long, default_value_t = AT_ONCE, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    at_once: usize,
    #[command(flatten)]
    output: Output,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Outcome {
    broker: Server,
    /// Whether a signal has ended it before its time.
    interrupted: bool,
    opened: Throughput,
    held: Option<Held>,
    churned: Option<Throughput>,
    /// Of a TCP connect, login, channel, and close.
    churn_latency: Option<Percentiles>,
    /// What the broker used for that, by its process id.
    churn_cost: Option<ChurnCost>,
    /// What this program used for that, on the same machine.
    churn_own_cost: Option<ChurnCost>,
}

/// CPU time for the connections that were opened and closed.
#[derive(Debug, Serialize)]
struct ChurnCost {
    cpu_seconds: f64,
    cpu_us_per_connection: f64,
}

impl ChurnCost {
    fn new(used: Usage, connections: u64) -> Self {
        let cpu_seconds = used.cpu_seconds();
        Self {
            cpu_seconds,
            cpu_us_per_connection: cpu_seconds * 1e6 / float(connections.max(1)),
        }
    }
}

/// What the open connections cost the broker.
#[derive(Debug, Serialize)]
struct Held {
    rss_before_kib: u64,
    rss_kib: u64,
    kib_per_connection: f64,
    idle_seconds: f64,
    idle_cpu_seconds: f64,
}

/// Opens, holds, closes, churns, reports. An interrupt makes each of it end, and leaves out the churn if that has not begun.
///
/// # Errors
/// If the broker refuses a connection or closes one.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let mut progress = Progress::new("", args.output.quiet);
    let outcome = measure(args, &interrupt, &mut progress);
    progress.clear();
    let outcome = outcome?;
    args.output.print(&text(&outcome), &outcome)?;
    Ok(interrupt.exit_code())
}

fn measure(args: &Args, interrupt: &Interrupt, progress: &mut Progress) -> Result<Outcome> {
    // The first connection makes the broker load and allocate what is not a connection's share.
    let first = Client::open(&args.uri)?;
    let broker = first.server().clone();
    first.close()?;
    let before = args.pid.map(Usage::of).transpose()?;
    let start = Instant::now();
    let total = Some(args.open as u64);
    let open = |index: usize, opened: &AtomicU64| {
        let share = (args.open + args.threads - 1 - index) / args.threads;
        (0..share)
            .take_while(|_| !interrupt.has_come())
            .map(|_| {
                let client = Client::open(&args.uri)?;
                opened.fetch_add(1, Ordering::Relaxed);
                Ok(client)
            })
            .collect::<Result<Vec<_>>>()
    };
    let look = |opened| progress.count("open", opened, total);
    let clients = on_threads(args.threads, look, open)?;
    let clients: Vec<Client> = clients.into_iter().flatten().collect();
    let opened = Throughput::new(clients.len() as u64, nanoseconds(start.elapsed()));
    let held = before
        .map(|before| hold(args, opened.count, before, interrupt, progress))
        .transpose()?;
    clients.into_iter().try_for_each(Client::close)?;
    let mut outcome = Outcome {
        broker,
        interrupted: false,
        opened,
        held,
        churned: None,
        churn_latency: None,
        churn_cost: None,
        churn_own_cost: None,
    };
    if !args.churn.is_zero() && !interrupt.has_come() {
        let churn = Churn {
            uri: &args.uri,
            pid: args.pid,
            threads: args.threads,
            at_once: args.at_once,
            length: args.churn,
        };
        let churned = churn.run(interrupt, progress)?;
        let cost = |used: Usage| ChurnCost::new(used, churned.throughput.count);
        outcome.churned = Some(churned.throughput);
        outcome.churn_latency = churned.latency;
        outcome.churn_cost = churned.used.map(cost);
        outcome.churn_own_cost = churned.own_used.map(cost);
    }
    outcome.interrupted = interrupt.has_come();
    Ok(outcome)
}

fn hold(
    args: &Args,
    connections: u64,
    before: Usage,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<Held> {
    let pid = args.pid.unwrap_or_default();
    let start = Usage::of(pid)?;
    let begin = Instant::now();
    let wanted = args.hold.unwrap_or(HOLD);
    while begin.elapsed() < wanted && !interrupt.has_come() {
        interrupt.wait(LOOK.min(wanted.saturating_sub(begin.elapsed())));
        progress.count("hold", connections, None);
    }
    let length = begin.elapsed();
    let end = Usage::of(pid)?;
    let growth = end.rss_kib.saturating_sub(before.rss_kib);
    Ok(Held {
        rss_before_kib: before.rss_kib,
        rss_kib: end.rss_kib,
        kib_per_connection: float(growth) / float(connections.max(1)),
        idle_seconds: length.as_secs_f64(),
        idle_cpu_seconds: (end - start).cpu_seconds(),
    })
}

fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    let rate = |throughput: &Throughput| {
        format!(
            "{}/s  ({} in {:.2} s)",
            quantity(throughput.per_second),
            throughput.count,
            throughput.seconds
        )
    };
    report::line(
        &mut text,
        "broker",
        &format!("{} {}", outcome.broker.product, outcome.broker.version),
    );
    if outcome.interrupted {
        report::line(
            &mut text,
            report::INTERRUPTED,
            "a signal ended it before its time",
        );
    }
    report::line(&mut text, "opened", &rate(&outcome.opened));
    if let Some(held) = &outcome.held {
        let [before, after] = [held.rss_before_kib, held.rss_kib].map(memory);
        report::line(
            &mut text,
            "memory",
            &format!(
                "{:.1} KiB per connection  ({before} before, {after} with all)",
                held.kib_per_connection
            ),
        );
        report::line(
            &mut text,
            "idle",
            &format!(
                "{:.2} CPU s in {:.1} s",
                held.idle_cpu_seconds, held.idle_seconds
            ),
        );
    }
    if let Some(churned) = &outcome.churned {
        report::line(&mut text, "churned", &rate(churned));
    }
    if let Some(Percentiles { p50_ns, p99_ns, .. }) = &outcome.churn_latency {
        report::line(
            &mut text,
            "open+close",
            &format!("p50 {}, p99 {}", duration(*p50_ns), duration(*p99_ns)),
        );
    }
    let costs = [
        ("broker used", &outcome.churn_cost),
        ("perf used", &outcome.churn_own_cost),
    ];
    for (name, cost) in costs {
        if let Some(cost) = cost {
            report::line(
                &mut text,
                name,
                &format!(
                    "{:.2} CPU s, {:.1} us per connection",
                    cost.cpu_seconds, cost.cpu_us_per_connection
                ),
            );
        }
    }
    text
}
