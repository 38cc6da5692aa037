//! The last lines of the log, kept for who looks at it through the management API.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::time::SystemTime;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many lines are kept.
const LINES_MAX: usize = 2000;

/// How long one of them may be; what is beyond is cut.
const LINE_BYTES_MAX: usize = 4096;

/// How long most of them are.
const LINE_BYTES_USUAL: usize = 128;

static RECENT: Mutex<Recent> = Mutex::new(Recent {
    lines: VecDeque::new(),
    next: 1,
});

#[derive(Debug)]
struct Recent {
    lines: VecDeque<Line>,
    next: u64,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// Which part of the broker says it.
    pub target: &'static str,
    /// What it says, and the fields behind that.
    pub text: String,
}

/// The lines from a number on, as far as they are kept, at most so many, and the number to ask for next.
pub fn since(number: u64, most: usize) -> (Vec<Line>, u64) {
    let recent = RECENT.lock();
    let first = recent.lines.front().map_or(recent.next, |line| line.number);
    let skipped = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
    let lines: Vec<_> = recent.lines.iter().skip(skipped).take(most).collect();
    let next = lines.last().map_or(recent.next, |line| line.number + 1);
    (lines.into_iter().cloned().collect(), next)
}

/// Keeps what is logged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::with_capacity(LINE_BYTES_USUAL));
        event.record(&mut text);
        let Text(mut text) = text;
        if text.len() > LINE_BYTES_MAX {
            text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
            text.push('…');
        }
        let metadata = event.metadata();
        let mut recent = RECENT.lock();
        let number = recent.next;
        recent.next += 1;
        if recent.lines.len() >= LINES_MAX {
            recent.lines.pop_front();
        }
        recent.lines.push_back(Line {
            number,
            at: SystemTime::now(),
            level: level(*metadata.level()),
            target: metadata.target(),
            text,
        });
    }
}

fn level(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

/// The message and the fields of an event, as the lines of text on standard error have them. The message is the first that an event brings.
struct Text(String);

impl Text {
    /// What is before a value.
    fn begin(&mut self, field: &Field) {
        if field.name() != "message" {
            self.0.push(' ');
            self.0.push_str(field.name());
            self.0.push('=');
        }
    }
}

/// Writes to a string, which does not fail.
impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.begin(field);
        let _ = write!(self.0, "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.begin(field);
        self.0.push_str(value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.begin(field);
        let _ = write!(self.0, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn lines_are_kept_with_their_fields_and_numbers() {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Keep), || {
            let (_, begun) = since(u64::MAX, 1);
            tracing::info!(target: "ours", queue = "orders", count = 3, "messages moved");
            tracing::warn!(target: "ours", "{}", "ä".repeat(LINE_BYTES_MAX));
            // Other tests may log at the same time.
            let (mut lines, next) = since(begun, usize::MAX);
            lines.retain(|line| line.target == "ours");
            let [moved, long] = &lines[..] else {
                panic!("{lines:?}");
            };
            assert_eq!(moved.text, "messages moved queue=orders count=3");
            assert_eq!(long.text.len(), LINE_BYTES_MAX + "…".len());
            assert_eq!((moved.level, long.level), ("info", "warn"));
            assert!(next > long.number && long.number > moved.number);
            assert_eq!(since(moved.number, 1).1, moved.number + 1);
            for _ in 0..LINES_MAX {
                tracing::info!("more");
            }
            assert_eq!(since(0, usize::MAX).0.len(), LINES_MAX);
        });
    }
}
