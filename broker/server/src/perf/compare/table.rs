//! The comparison as text: Markdown, so that it can be pasted into a page.

use std::fmt::Write;

use super::scenario::{Scenario, Unit};
use super::summary::{Comparison, Failure, Median, Row, Run};
use crate::perf::limit::Syncs;
use crate::perf::load::outcome::float;
use crate::perf::report::{bytes, duration, memory, pace, quantity};

/// Names, descriptions and commands.
pub(super) fn list(scenarios: &[Scenario], commands: &[String]) -> String {
    let mut text = String::new();
    for (scenario, command) in scenarios.iter().zip(commands) {
        let _ = writeln!(
            text,
            "{:<11} {}\n            {command}",
            scenario.name, scenario.about
        );
    }
    text
}

/// The table, with the machine above it.
pub(super) fn render(comparison: &Comparison) -> String {
    let base = &comparison.baseline;
    let mut text = heading(comparison);
    let head = [
        "scenario",
        "broker",
        "msg/s",
        "",
        "msg per CPU s",
        "",
        "p50",
        "p99",
        "memory",
        "faults",
        "runs",
    ]
    .map(str::to_owned);
    let mut lines = vec![head];
    lines[0][3] = format!("% of {base}");
    lines[0][5] = format!("% of {base}");
    lines.extend(comparison.rows.iter().map(|row| cells(comparison, row)));
    let widths: Vec<usize> = (0..11)
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].len())
                .max()
                .unwrap_or_default()
        })
        .collect();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = if column < 2 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = write!(
                    text,
                    "| {}{} ",
                    "-".repeat(width - 1),
                    if column < 2 { '-' } else { ':' }
                );
            }
            text.push_str("|\n");
        }
    }
    for lines in [
        counted(comparison),
        lacking(comparison),
        missed(comparison),
        synced(comparison),
    ] {
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// What was measured, where, when and how; ends with an empty line.
fn heading(comparison: &Comparison) -> String {
    let machine = &comparison.machine;
    let mut text = format!(
        "{}, measured by {}\n{}, {} cores, Linux {}\n{}\n",
        comparison.date,
        comparison.build,
        machine.processor,
        machine.cores,
        machine.kernel,
        comparison.command
    );
    for product in products(comparison) {
        let _ = writeln!(text, "{product}");
    }
    let runs = if comparison.interrupted {
        format!("at most {}", comparison.runs)
    } else {
        comparison.runs.to_string()
    };
    let _ = writeln!(text, "Medians of {runs} runs of {} s", comparison.seconds);
    if comparison.interrupted {
        text.push_str("A signal ended it before its time: runs are missing\n");
    }
    if let Some(fsync) = &comparison.fsync {
        let _ = writeln!(
            text,
            "An fsync of an appended KiB, in a loop: p50 {}, p99 {} ({} of them)",
            duration(fsync.p50_ns),
            duration(fsync.p99_ns),
            fsync.count
        );
    }
    text.push('\n');
    text
}

fn cells(comparison: &Comparison, row: &Row) -> [String; 11] {
    let none = || "-".to_owned();
    let median = &row.median;
    let base = comparison.baseline_of(row);
    let share = |own: Option<f64>, base: Option<f64>| match (own, base) {
        (Some(own), Some(base)) if base > 0.0 => format!("{:.1} %", own / base * 100.0),
        _ => none(),
    };
    let without_rate = || match &row.lacks {
        Some(lack) => format!("no {}", lack.exchange_type),
        None => "failed".to_owned(),
    };
    let (rate, per_cpu) = (median.messages_per_second, median.messages_per_cpu_second);
    [
        row.scenario.clone(),
        row.broker.clone(),
        rate.map_or_else(without_rate, quantity),
        share(rate, base.and_then(|base| base.messages_per_second)),
        per_cpu.map_or_else(none, quantity),
        share(per_cpu, base.and_then(|base| base.messages_per_cpu_second)),
        median.latency_p50_ns.map_or_else(none, duration),
        median.latency_p99_ns.map_or_else(none, duration),
        median.rss_max_kib.map_or_else(none, memory),
        rate.map_or_else(none, |_| median.faults.to_string()),
        runs(row.outcomes.len(), comparison.runs),
    ]
}

/// How many runs the medians are of, and of how many where some failed or did not take place.
fn runs(counted: usize, asked: usize) -> String {
    if counted < asked {
        format!("{counted} of {asked}")
    } else {
        counted.to_string()
    }
}

/// What one run has found.
pub(super) fn line(place: &str, unit: Unit, result: &Result<Run, Failure>) -> String {
    let run = match result {
        Ok(run) => run,
        Err(Failure::Lack(lack)) => return format!("{place} {}\n", lack.text),
        Err(Failure::Other(error)) => return format!("{place} failed: {error}\n"),
    };
    let found = Median::of(std::slice::from_ref(run));
    let none = || "-".to_owned();
    format!(
        "{place} {:>7} {}/s {:>7} per CPU s, p50 {}, p99 {}, {} faults\n",
        found.messages_per_second.map_or_else(none, quantity),
        unit.short(),
        found.messages_per_cpu_second.map_or_else(none, quantity),
        found.latency_p50_ns.map_or_else(none, duration),
        found.latency_p99_ns.map_or_else(none, duration),
        found.faults
    )
}

/// Where messages stand for something else, in words.
fn counted(comparison: &Comparison) -> Vec<String> {
    let others = (comparison.rows.iter()).filter(|row| row.counted == Unit::Connections);
    let mut lines: Vec<String> = others
        .map(|row| format!("{}: {}, in place of messages", row.scenario, row.about))
        .collect();
    lines.dedup();
    lines
}

/// Which broker lacks what a scenario asks for, in words.
fn lacking(comparison: &Comparison) -> Vec<String> {
    let of_row = |row: &Row| {
        let lack = row.lacks.as_ref()?;
        Some(format!("{} on {}: {}", row.scenario, row.broker, lack.text))
    };
    comparison.rows.iter().filter_map(of_row).collect()
}

/// The runs whose rate was not kept, in words.
fn missed(comparison: &Comparison) -> Vec<String> {
    let of_row = |row: &Row| {
        let kept = row.outcomes.iter().filter_map(|run| run.outcome.pace);
        let missed = kept.filter(|kept| {
            kept.unsent > 0 || kept.reached_per_second < 0.99 * float(kept.asked_per_second)
        });
        let at = format!("{} on {}", row.scenario, row.broker);
        missed
            .map(|kept| format!("{at}: {}", pace(&kept).trim_start()))
            .collect::<Vec<_>>()
    };
    comparison.rows.iter().flat_map(of_row).collect()
}

/// What the log of the frame limit synced in each scenario, in words.
fn synced(comparison: &Comparison) -> Vec<String> {
    let of_row = |row: &Row| {
        let at = format!("{} on {}", row.scenario, row.broker);
        Some(format!("{at}: {}", syncs(row.median.syncs?)))
    };
    comparison.rows.iter().filter_map(of_row).collect()
}

fn syncs(syncs: Syncs) -> String {
    let each = float(syncs.bytes) / float(syncs.count.max(1));
    format!(
        "{} syncs of {}, p50 {}, p99 {}",
        syncs.count,
        bytes(each),
        duration(syncs.p50_ns),
        duration(syncs.p99_ns)
    )
}

/// What each broker called itself.
fn products(comparison: &Comparison) -> Vec<String> {
    let mut products: Vec<String> = Vec::new();
    for row in &comparison.rows {
        let Some(server) = row.outcomes.first().map(|run| &run.outcome.broker) else {
            continue;
        };
        let product = format!("{}: {} {}", row.broker, server.product, server.version);
        if !products.contains(&product) {
            products.push(product);
        }
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_are_missing_are_told() {
        assert_eq!(runs(3, 3), "3");
        assert_eq!(runs(2, 3), "2 of 3");
        assert_eq!(runs(0, 3), "0 of 3");
    }

    #[test]
    fn syncs_are_told_with_what_one_covers() {
        let found = Syncs {
            count: 4123,
            bytes: 4123 * 1126,
            p50_ns: 380_000,
            p99_ns: 12_000_000,
        };
        assert_eq!(syncs(found), "4123 syncs of 1.1 KiB, p50 380 us, p99 12 ms");
        assert_eq!(
            syncs(Syncs::default()),
            "0 syncs of 0 bytes, p50 0 ns, p99 0 ns"
        );
    }
}
