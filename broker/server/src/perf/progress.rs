//! The line on stderr that shows a run while it goes on.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::load::outcome::float;
use super::report::quantity;

/// Shows rates or counts once a second: in place on a terminal, line by line in a log, or not at all.
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
        if !self.is_due() {
            return;
        }
        let span = self.shown.elapsed().as_secs_f64();
        let rate = |now: u64, before: u64| quantity(float(now.saturating_sub(before)) / span);
        let rates = format!(
            "published {:>9}/s  delivered {:>9}/s  waiting {:>9}",
            rate(published, self.published),
            rate(delivered, self.delivered),
            quantity(float(waiting)),
        );
        self.show(phase, &rates);
        (self.published, self.delivered) = (published, delivered);
    }

    /// Shows how many connections there are by now, of `total` if that is known, if the last time is a second ago.
    pub(crate) fn count(&mut self, phase: &str, connections: u64, total: Option<u64>) {
        if self.is_due() {
            let total = total.map_or_else(String::new, |total| format!(" of {total}"));
            self.show(phase, &format!("{connections}{total} connections"));
        }
    }

    fn is_due(&self) -> bool {
        !self.quiet && self.shown.elapsed() >= Duration::from_secs(1)
    }

    fn show(&mut self, phase: &str, text: &str) {
        let time = self.start.elapsed().as_secs_f64();
        self.print(&format!("{}{time:6.1} s  {phase:<9}  {text}", self.label));
        self.shown = Instant::now();
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
