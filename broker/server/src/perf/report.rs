//! Results as text and as JSON.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::load::outcome::{Cost, Kept, Outcome, Throughput, float};
use super::measure::histogram::Percentiles;

/// The name of the line that says that a signal has come.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// Where results go.
#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// Print JSON instead of text; or write it to FILE, beside the text
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// No progress on stderr
    #[arg(long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

impl Output {
    /// Prints `text` at once, unless JSON is to be all that is printed.
    pub(crate) fn print_part(&self, text: &str) -> Result<()> {
        if self.is_json_only() {
            return Ok(());
        }
        write(text)
    }

    /// Writes `value` to the file, if there is one, in place of what is there: what is known so far.
    pub(crate) fn write_part(&self, value: &impl Serialize) -> Result<()> {
        match &self.json {
            Some(file) if !self.is_json_only() => fs::write(file, json(value)?)
                .with_context(|| format!("cannot write {}", file.display())),
            _ => Ok(()),
        }
    }

    /// Prints `text` or `value`, as asked for.
    pub(crate) fn print(&self, text: &str, value: &impl Serialize) -> Result<()> {
        if self.is_json_only() {
            return write(&json(value)?);
        }
        self.write_part(value)?;
        write(text)
    }

    fn is_json_only(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn write(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// The report of a run, several lines.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "broker",
        &format!("{} {}", outcome.broker.product, outcome.broker.version),
    );
    if outcome.interrupted {
        line(&mut text, INTERRUPTED, "a signal ended it before its time");
    }
    if let Some(warm_up) = &outcome.warm_up {
        let value = format!(
            "{:.2} s, in which {} messages were published that are only checked",
            warm_up.seconds, warm_up.published
        );
        line(&mut text, "warm-up", &value);
    }
    line(&mut text, "published", &throughput(&outcome.published));
    if let Some(kept) = &outcome.pace {
        line(&mut text, "rate", &pace(kept));
    }
    if let Some(cost) = &outcome.publish_cost {
        line(&mut text, "", &self::cost(cost));
    }
    if let Some(delivered) = &outcome.delivered {
        line(&mut text, "delivered", &throughput(delivered));
    }
    if let Some(cost) = &outcome.cost {
        line(&mut text, "broker used", &self::cost(cost));
    }
    if let Some(confirms) = &outcome.confirms {
        let latency = confirms
            .latency
            .as_ref()
            .map_or("none came".to_owned(), percentiles);
        line(&mut text, "confirms", &latency);
        if confirms.nacked + confirms.unconfirmed > 0 {
            line(
                &mut text,
                "",
                &format!(
                    "{} nacked, {} never came",
                    confirms.nacked, confirms.unconfirmed
                ),
            );
        }
    }
    if let Some(latency) = &outcome.latency {
        line(&mut text, "latency", &percentiles(latency));
    }
    line(&mut text, "checked", &checked(outcome));
    text
}

/// How the rate was kept, in words.
pub(crate) fn pace(kept: &Kept) -> String {
    let mut text = format!(
        "{:>9}/s asked, {}/s reached, at most {} late",
        quantity(float(kept.asked_per_second)),
        quantity(kept.reached_per_second),
        duration(kept.late_max_ns)
    );
    if kept.unsent > 0 {
        let _ = write!(
            text,
            "; {} messages that were due were never sent, and are in no latency",
            kept.unsent
        );
    }
    text
}

/// What was wrong, in words.
pub(crate) fn checked(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut text = format!(
        "{} lost, {} disordered, {} duplicates",
        tally.lost, tally.disordered, tally.duplicates
    );
    if tally.foreign > 0 {
        let _ = write!(text, ", {} never published", tally.foreign);
    }
    if outcome.remaining > 0 {
        let _ = write!(text, ", {} still in the queues", outcome.remaining);
    }
    text
}

/// Appends a line with its name.
pub(crate) fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<12} {value}");
}

/// A rate or a count with three or four digits: `8.31 M`.
pub(crate) fn quantity(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let digits = if unit.is_empty() || scaled >= 100.0 {
        0
    } else if scaled >= 10.0 {
        1
    } else {
        2
    };
    format!("{scaled:.digits$}{unit}")
}

/// A duration in the unit that suits it.
pub(crate) fn duration(nanoseconds: u64) -> String {
    let value = float(nanoseconds);
    let (scaled, unit) = match nanoseconds {
        0..10_000 => return format!("{nanoseconds} ns"),
        10_000..10_000_000 => (value / 1e3, "us"),
        10_000_000..10_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    format!("{scaled:.0} {unit}")
}

/// How much one of several has, on average.
pub(crate) fn bytes(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1024.0 * 1024.0 => (value / (1024.0 * 1024.0), "MiB"),
        value if value >= 1024.0 => (value / 1024.0, "KiB"),
        value => return format!("{value:.0} bytes"),
    };
    format!("{scaled:.1} {unit}")
}

/// Memory.
pub(crate) fn memory(kib: u64) -> String {
    if kib < 10 * 1024 {
        format!("{kib} KiB")
    } else {
        format!("{} MiB", kib / 1024)
    }
}

pub(crate) fn percentiles(latency: &Percentiles) -> String {
    let Percentiles {
        p50_ns,
        p90_ns,
        p99_ns,
        p999_ns,
        max_ns,
        ..
    } = *latency;
    let [p50, p90, p99, p999, max] = [p50_ns, p90_ns, p99_ns, p999_ns, max_ns].map(duration);
    format!("p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}")
}

fn throughput(throughput: &Throughput) -> String {
    let Throughput {
        count,
        seconds,
        per_second,
    } = *throughput;
    format!(
        "{:>9}/s  ({count} messages in {seconds:.2} s)",
        quantity(per_second)
    )
}

fn cost(cost: &Cost) -> String {
    let Cost {
        cpu_seconds,
        messages_per_cpu_second,
        rss_max_kib,
    } = *cost;
    format!(
        "{cpu_seconds:.2} CPU s, {} messages per CPU s, {} at most",
        quantity(messages_per_cpu_second),
        memory(rss_max_kib)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let shown = [0.0, 999.0, 9_999.0, 12_345.0, 123_456.0, 8_312_000.0, 5e9].map(quantity);
        assert_eq!(
            shown,
            ["0", "999", "9999", "12.3 k", "123 k", "8.31 M", "5.00 G"]
        );
        let shown = [9_999, 49_400, 7_000_000, 38_000_000, 61_000_000_000].map(duration);
        assert_eq!(shown, ["9999 ns", "49 us", "7000 us", "38 ms", "61 s"]);
        assert_eq!([5_000, 126 * 1024].map(memory), ["5000 KiB", "126 MiB"]);
        let shown = [1023.0, 1126.0, 2.5e6].map(bytes);
        assert_eq!(shown, ["1023 bytes", "1.1 KiB", "2.4 MiB"]);
    }
}
