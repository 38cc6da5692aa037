//! How far a command is that may take long: a line on standard error, if that is a terminal.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// What takes less is not worth a line.
const QUIET: Duration = Duration::from_millis(400);

/// Cells of the bar.
const WIDTH: u64 = 24;

/// The line. It is removed when this is dropped.
pub(super) struct Progress {
    shared: Arc<Shared>,
    drawing: Option<JoinHandle<()>>,
}

struct Shared {
    label: String,
    /// 0 if nobody knows.
    total: u64,
    done: AtomicU64,
    over: AtomicBool,
    begun: Instant,
}

impl Progress {
    /// Begins something that has so many steps, if that is known.
    pub(super) fn begin(label: &str, total: Option<u64>) -> Self {
        let shared = Arc::new(Shared {
            label: label.to_owned(),
            total: total.unwrap_or(0),
            done: AtomicU64::new(0),
            over: AtomicBool::new(false),
            begun: Instant::now(),
        });
        let drawing = std::io::stderr().is_terminal().then(|| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || draw(&shared))
        });
        Self { shared, drawing }
    }

    /// So many more steps are done.
    pub(super) fn advance(&self, steps: u64) {
        self.shared.done.fetch_add(steps, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(drawing) = self.drawing.take() {
            // It only draws.
            let _ = drawing.join();
        }
    }
}

fn draw(shared: &Shared) {
    let mut is_drawn = false;
    while !shared.over.load(Ordering::Relaxed) {
        if shared.begun.elapsed() >= QUIET {
            write(&shared.line());
            is_drawn = true;
        }
        std::thread::sleep(EVERY);
    }
    if is_drawn {
        write("");
    }
}

/// A command does not fail because nobody can see how far it is.
fn write(line: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
}

impl Shared {
    fn line(&self) -> String {
        let (label, done) = (&self.label, self.done.load(Ordering::Relaxed));
        let seconds = self.begun.elapsed().as_secs();
        if self.total == 0 {
            return format!("{label}: {done} done, {seconds} s");
        }
        let done = done.min(self.total);
        let filled = usize::try_from(done * WIDTH / self.total).unwrap_or(0);
        let empty = usize::try_from(WIDTH).unwrap_or(0) - filled;
        let (bar, rest) = ("█".repeat(filled), "░".repeat(empty));
        let percent = done * 100 / self.total;
        format!(
            "{label} {bar}{rest} {percent:>3} %  {done} of {}, {seconds} s",
            self.total
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_is_done() {
        let progress = Progress::begin("moving", Some(200));
        progress.advance(50);
        assert_eq!(
            progress.shared.line(),
            format!(
                "moving {}{}  25 %  50 of 200, 0 s",
                "█".repeat(6),
                "░".repeat(18)
            )
        );
        progress.advance(500);
        assert!(progress.shared.line().contains("100 %  200 of 200"));
        let endless = Progress::begin("importing", None);
        endless.advance(5);
        assert_eq!(endless.shared.line(), "importing: 5 done, 0 s");
    }
}
