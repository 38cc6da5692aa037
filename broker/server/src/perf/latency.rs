//! `amphora perf latency`: how long a message takes at a given rate.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args as ClapArgs;

use super::interrupt::Interrupt;
use super::load::engine;
use super::load::options::Options;
use super::progress::Progress;
use super::report::{self, Output};
use super::usage;
use crate::cli::exit::Exit;

const RATE: u64 = 1000;

const EXAMPLES: &str = "\
Examples:
  At 5,000 messages of 100 bytes per second:
    amphora perf latency --rate 5000 --size 100
  With all guarantees, through a fanout to four queues:
    amphora perf latency --rate 2000 --fanout 4 --persistent --confirm 100 \\
      --ack-every 1 --prefetch 100
  After five seconds that are checked, but in no figure:
    amphora perf latency --rate 5000 --warm-up 5 --duration 30

Messages are sent by a timetable that does not wait for the broker, and latency is counted
from the time when a message was due, not from when it could be sent at last: a stall of the
broker counts for every message that was due during it (coordinated omission corrected), and
so for confirms. What was due until the end is published even if a stall delays it, for up
to ten seconds; the report says which rate was asked for, which was reached, and how late.
Without --rate it is 1,000 messages per second.";

/// Measure latency at a fixed rate
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    output: Output,
}

/// Refuses loads whose latency would be something else, or nothing.
fn with_latency(options: Options) -> Result<Options> {
    ensure!(
        !options.drain,
        "--drain has no latency but the time until its consumers begin; it is for throughput"
    );
    ensure!(
        !options.publish_only || options.confirm > 0,
        "--publish-only has no latency but that of confirms: it needs --confirm"
    );
    Ok(options)
}

/// Runs the load and reports.
///
/// # Errors
/// If the options make no sense, the load cannot run, or its result is not clean.
pub(crate) fn run(args: Args) -> std::result::Result<ExitCode, Exit> {
    let mut options = usage(args.options.checked().and_then(with_latency))?;
    options.rate.get_or_insert(RATE);
    let interrupt = Interrupt::listen()?;
    let mut progress = Progress::new("", args.output.quiet);
    let outcome = engine::run(&options, true, &interrupt, &mut progress)?;
    args.output.print(&report::outcome(&outcome), &outcome)?;
    outcome.ensure_clean()?;
    Ok(interrupt.exit_code())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn loads_without_latency_are_refused() {
        let with = |line: &str| {
            let line = Line::try_parse_from(["latency"].into_iter().chain(line.split(' ')));
            with_latency(line.expect("it is one").options)
        };
        for (line, says) in [
            ("--drain", "until its consumers begin"),
            ("--drain --stream", "until its consumers begin"),
            ("--publish-only", "it needs --confirm"),
        ] {
            let error = with(line).expect_err(line).to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
        with("--publish-only --confirm 10").expect("confirms have one");
    }
}
