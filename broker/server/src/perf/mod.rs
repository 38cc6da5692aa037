//! `amphora perf`: a load generator for any AMQP 0-9-1 broker.
//!
//! It has its own sockets and its own encoder instead of a client library, so that a broker is measured and not the client: one
//! thread per connection, messages prepared as templates, and everything that arrives counted and its order checked.
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
mod compare;
mod connections;
mod files;
mod latency;
mod limit;
mod load;
mod measure;
mod progress;
mod report;
#[cfg(test)]
mod tests;
mod throughput;

use clap::Subcommand;

/// Measure a broker: Amphora, RabbitMQ, LavinMQ, or any other that speaks AMQP 0-9-1
#[derive(Clone, Debug, clap::Args)]
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

/// Runs the subcommand; results go to stdout, progress to stderr.
///
/// # Errors
/// If the broker cannot be reached, refuses something, or did not keep what it promised.
pub fn run(args: Args) -> anyhow::Result<()> {
    files::raise_limit();
    match *args.command {
        Command::Throughput(args) => throughput::run(args),
        Command::Latency(args) => latency::run(args),
        Command::Connections(args) => connections::run(&args),
        Command::Limit(args) => limit::run(&args),
        Command::Compare(args) => compare::run(&args),
    }
}
