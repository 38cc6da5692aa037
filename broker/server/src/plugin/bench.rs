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
    let mut is_first = true;
    let mut row = |batch: usize, measured: Measured| {
        if std::mem::take(&mut is_first) {
            let (call, ns, rate) = ("per call", "ns/message", "messages/s");
            writeln!(out, "{call:>10} {ns:>14} {rate:>14}")?;
        }
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
    let names = cases.messages.iter().map(|message| message.name.as_str());
    let names: Vec<&str> = names.collect();
    if cases.exchanges.is_empty() {
        let queues = cases
            .messages
            .iter()
            .map(|message| message.queue.as_deref());
        let queues: Vec<Option<&str>> = queues.collect();
        let messages = messages.iter().zip(queues).zip(names);
        row(1, transform(&*trial.transform(), messages, span)?)?;
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
        let messages = messages.iter().zip(names.iter().copied());
        row(batch, route(&*exchange.hook, messages, batch, span)?)?;
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

fn route<'a>(
    hook: &dyn ExchangeHook,
    messages: impl Iterator<Item = (&'a Origin<'a>, &'a str)> + Clone,
    size: usize,
    span: Duration,
) -> anyhow::Result<Measured> {
    let needs = hook.needs()?;
    let mut next = messages.cycle();
    let (mut batch, mut answer) = (PackedBatch::default(), Vec::new());
    let count = u32::try_from(size).context("a batch is small")?;
    measure(span, || {
        batch.clear();
        answer.clear();
        let mut last = "";
        for (message, name) in next.by_ref().take(size) {
            batch.push(&needs, message)?;
            last = name;
        }
        let routed = hook.route(&batch, &mut answer);
        routed.with_context(|| match size {
            1 => last.to_owned(),
            _ => format!("{size} messages, the last of which is {last}"),
        })?;
        Ok(count)
    })
}

fn transform<'a>(
    hook: &dyn TransformHook,
    messages: impl Iterator<Item = ((&'a Origin<'a>, Option<&'a str>), &'a str)> + Clone,
    span: Duration,
) -> anyhow::Result<Measured> {
    let mut next = messages.cycle();
    measure(span, || {
        if let Some(((message, queue), name)) = next.next() {
            let applied = hook.apply(message, queue);
            applied.with_context(|| name.to_owned())?;
        }
        Ok(1)
    })
}
