//! `amphora plugin bench`: what a component costs for each message.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use amphora_core::hook::{BATCH_MAX, ExchangeHook, Origin, PackedBatch, TransformHook};
use anyhow::{Context, bail, ensure};

use super::cases::Cases;
use super::trial::{Trial, origin};

/// Measure what a component costs for each message
///
/// The messages of the cases are passed over and over, to a type of exchange in calls of 1, 8, 64 and 256. Nothing is
/// kept of answers, as if none were pure. The time is that of one thread, with all that a broker does for a call.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The component.
    file: PathBuf,
    /// The cases that the exchange and the messages are taken from, written as for `amphora plugin test`.
    #[arg(long, value_name = "FILE", default_value = "cases.toml")]
    cases: PathBuf,
    /// How long to measure each row.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    seconds: f64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!(
        (0.01..=3600.0).contains(&args.seconds),
        "--seconds is to be from 0.01 to 3600"
    );
    let cases = Cases::read(&args.cases)?;
    ensure!(
        !cases.messages.is_empty(),
        "{} has no [[message]]",
        args.cases.display()
    );
    let trial = Trial::for_cases(&args.file, &cases)?;
    let span = Duration::from_secs_f64(args.seconds);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>10} {:>14} {:>14}",
        "per call", "ns/message", "messages/s"
    )?;
    let mut row = |batch: usize, measured: Measured| {
        let ns = measured.spent.as_secs_f64() * 1e9 / measured.messages;
        let rate = measured.messages / measured.spent.as_secs_f64();
        writeln!(out, "{batch:>10} {ns:>14.0} {rate:>14.0}")
    };
    let headers: Vec<_> = cases
        .messages
        .iter()
        .map(|message| message.properties.to_bytes())
        .collect();
    let messages: Vec<Origin<'_>> = cases
        .messages
        .iter()
        .zip(&headers)
        .map(|(message, properties)| origin(message, properties))
        .collect();
    if cases.exchanges.is_empty() {
        let queues = cases
            .messages
            .iter()
            .map(|message| message.queue.as_deref());
        let queues: Vec<Option<&str>> = queues.collect();
        row(1, transform(&*trial.transform(), &messages, &queues, span)?)?;
        return Ok(());
    }
    let declared = cases
        .exchanges
        .iter()
        .find(|declared| declared.refused.is_none());
    let Some(declared) = declared else {
        bail!("all exchanges of {} are refused", args.cases.display());
    };
    let mut exchange = trial.declare(declared)?;
    for binding in declared
        .bindings
        .iter()
        .filter(|binding| binding.refused.is_none())
    {
        trial.bind(&declared.vhost, &mut exchange, binding)?;
    }
    for batch in [1, 8, 64, BATCH_MAX] {
        row(batch, route(&*exchange.hook, &messages, batch, span)?)?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    messages: f64,
    spent: Duration,
}

/// Passes messages over and over until the time is up. `pass` says how many it passed.
fn measure(
    span: Duration,
    mut pass: impl FnMut() -> anyhow::Result<u32>,
) -> anyhow::Result<Measured> {
    // The first calls make the instance, and find the caches cold.
    for _ in 0..3 {
        pass()?;
    }
    let begun = Instant::now();
    let mut messages = 0.0;
    while begun.elapsed() < span {
        messages += f64::from(pass()?);
    }
    Ok(Measured {
        messages,
        spent: begun.elapsed(),
    })
}

fn route(
    hook: &dyn ExchangeHook,
    messages: &[Origin<'_>],
    size: usize,
    span: Duration,
) -> anyhow::Result<Measured> {
    let needs = hook.needs()?;
    let mut next = messages.iter().cycle();
    let (mut batch, mut answer) = (PackedBatch::default(), Vec::new());
    let count = u32::try_from(size).context("a batch is small")?;
    measure(span, || {
        batch.clear();
        answer.clear();
        for message in next.by_ref().take(size) {
            batch.push(&needs, message)?;
        }
        hook.route(&batch, &mut answer)?;
        Ok(count)
    })
}

fn transform(
    hook: &dyn TransformHook,
    messages: &[Origin<'_>],
    queues: &[Option<&str>],
    span: Duration,
) -> anyhow::Result<Measured> {
    let mut next = messages.iter().zip(queues).cycle();
    measure(span, || {
        if let Some((message, queue)) = next.next() {
            hook.apply(message, *queue)?;
        }
        Ok(1)
    })
}
