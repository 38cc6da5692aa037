//! `amphora perf`: a load generator for any AMQP 0-9-1 broker.
//!
//! It has its own sockets and its own encoder instead of a client library, so that a broker is measured and not the client: one
//! thread per connection (one for many that only come and go), messages prepared as templates, and everything that arrives counted and its order checked.
//! On two cores it moves more than ten million small messages per second against its own [`limit`] server, which does nothing but frame.
//!
//! - [`throughput`]: messages per second, confirms, and what the broker used for it
//! - [`latency`]: percentiles at a fixed rate
//! - [`connections`]: memory per connection, and how many can be opened and closed per second
//! - [`limit`]: a server without features, for what sockets and copying allow on this machine
//! - [`compare`]: a set of scenarios against several brokers in turn
//!
//! The layers: [`amqp`] (bytes), [`measure`] (figures), [`load`] (producers and consumers), and a file per subcommand.

mod amqp;
mod churn;
mod compare;
mod connections;
mod files;
mod interrupt;
mod latency;
mod limit;
mod load;
mod measure;
mod progress;
mod report;
#[cfg(test)]
mod tests;
mod throughput;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::exit::Exit;

const ENDS: &str = "\
SIGINT (Ctrl+C) and SIGTERM end a load as if its time were over: what is outstanding arrives,
the report is printed, and the queues are deleted. A second one ends at once and leaves them.
Exit codes: 0 if all is well, 1 if a load failed or lost something, 2 for a wrong command
line, and 130 or 143 if SIGINT or SIGTERM came and nothing was lost.";

/// Measure a broker: Amphora, RabbitMQ, LavinMQ, or any other that speaks AMQP 0-9-1
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = ENDS)]
pub struct Args {
    #[command(subcommand)]
    command: Box<Command>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    Throughput(throughput::Args),
    Latency(latency::Args),
    Connections(connections::Args),
    Limit(limit::Args),
    Compare(compare::Args),
}

/// Runs the subcommand; results go to stdout, progress to stderr. If a signal has ended it before its time, the exit code says which.
///
/// # Errors
/// If the options make no sense, or the broker cannot be reached, refuses something, or did not keep what it promised.
pub(crate) fn run(args: Args) -> Result<ExitCode, Exit> {
    files::raise_limit();
    match *args.command {
        Command::Throughput(args) => throughput::run(args),
        Command::Latency(args) => latency::run(args),
        Command::Connections(args) => Ok(connections::run(&args)?),
        Command::Limit(args) => {
            limit::run(&args)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Compare(args) => compare::run(&args),
    }
}

/// Of options that make no sense, the command line is to blame and not the load.
fn usage<T>(checked: anyhow::Result<T>) -> Result<T, Exit> {
    checked.map_err(|error| Exit::Usage(format!("{error:#}")))
}
