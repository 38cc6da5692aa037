//! `amphora perf throughput`: how many messages per second.

use std::process::ExitCode;

use clap::Args as ClapArgs;

use super::interrupt::Interrupt;
use super::load::engine;
use super::load::options::Options;
use super::progress::Progress;
use super::report::{self, Output};
use super::usage;
use crate::cli::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  One producer and one consumer for ten seconds, as fast as they can:
    amphora perf throughput
  What applications that must not lose anything do, with the broker's CPU time:
    amphora perf throughput --size 1024 --persistent --confirm 1000 \\
      --ack-every 100 --prefetch 1000 --pid $(pidof amphora)
  One message at a time, each confirmed before the next:
    amphora perf throughput --persistent --confirm 1 --ack-every 1
  Four pairs, each with its own queue:
    amphora perf throughput -x 4 -y 4 --queues 4
  A topic exchange with 10,000 other bindings and 50 routing keys:
    amphora perf throughput --exchange-type topic --bindings 10000 --routing-keys 50
  Fill a queue with a million messages, then empty it:
    amphora perf throughput --drain --count 1000000
  As PerfTest's -x 2 -y 4 -s 100 -r 5000 -c 100 -q 50 -A 10 -z 30, whose rate is per producer:
    amphora perf throughput -x 2 -y 4 -s 100 -r 10000 -c 100 -q 50 -A 10 -z 30

Every message is counted and its order checked, per producer, routing key and queue, by a
number in its body. Rates are from the start until the broker has handled the last publish,
or until the last delivery has arrived. The command fails if anything was lost, disordered,
duplicated, refused, changed in size, or is still in a queue that was consumed.";

/// Measure throughput
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    output: Output,
}

/// Runs the load and reports.
///
/// # Errors
/// If the options make no sense, the load cannot run, or its result is not clean.
pub(crate) fn run(args: Args) -> Result<ExitCode, Exit> {
    let options = usage(args.options.checked())?;
    let interrupt = Interrupt::listen()?;
    let mut progress = Progress::new("", args.output.quiet);
    let outcome = engine::run(&options, false, &interrupt, &mut progress)?;
    args.output.print(&report::outcome(&outcome), &outcome)?;
    outcome.ensure_clean()?;
    Ok(interrupt.exit_code())
}
