//! The line on stderr that shows a run while it goes on.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::load::outcome::float;
use super::report::quantity;

/// Shows rates once a second: in place on a terminal, line by line in a log, or not at all.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    quiet: bool,
    in_place: bool,
    start: Instant,
    shown: Instant,
    published: u64,
    delivered: u64,
}

impl Progress {
    pub(crate) fn new(label: &str, quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            label: label.to_owned(),
            quiet,
            in_place: io::stderr().is_terminal(),
            start: now,
            shown: now,
            published: 0,
            delivered: 0,
        }
    }

    /// Shows the rates since the last time if that is a second ago.
    pub(crate) fn update(&mut self, phase: &str, published: u64, delivered: u64, waiting: u64) {
        let span = self.shown.elapsed();
        if self.quiet || span < Duration::from_secs(1) {
            return;
        }
        let rate = |now: u64, before: u64| {
            quantity(float(now.saturating_sub(before)) / span.as_secs_f64())
        };
        let line = format!(
            "{}{:6.1} s  {phase:<9}  published {:>9}/s  delivered {:>9}/s  waiting {:>9}",
            self.label,
            self.start.elapsed().as_secs_f64(),
            rate(published, self.published),
            rate(delivered, self.delivered),
            quantity(float(waiting)),
        );
        self.print(&line);
        self.shown = Instant::now();
        (self.published, self.delivered) = (published, delivered);
    }

    /// Removes the line from a terminal.
    pub(crate) fn clear(&mut self) {
        if self.in_place && !self.quiet {
            self.print("");
        }
    }

    /// A run does not fail because nobody can see its progress.
    fn print(&self, line: &str) {
        let mut stderr = io::stderr().lock();
        let _ = if self.in_place {
            write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
    }
}
