//! What a broker writes to standard error, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::bail;

use crate::PATIENCE;

/// The lines so far. It fills in the background until the broker has ended.
#[derive(Debug, Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
    /// Nobody reads on.
    unread: bool,
}

impl Log {
    /// Takes all that can be read from `source`.
    pub(crate) fn follow(source: impl Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self::default());
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                writer.wait_while_unread();
                writer.change(|state| state.lines.push(line));
            }
            writer.change(|state| state.ended = true);
        });
        log
    }

    /// From now on, nothing is read, or everything again.
    pub(crate) fn leave_unread(&self, unread: bool) {
        self.change(|state| state.unread = unread);
    }

    fn wait_while_unread(&self) {
        let state = self.lock();
        let waited = self.changed.wait_while(state, |state| state.unread);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// All lines so far, as one text.
    pub(crate) fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    /// Waits for a line with this text in it.
    pub(crate) fn line(&self, wanted: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.iter().find(|line| line.contains(wanted)) {
                return Ok(line.clone());
            }
            if state.ended {
                bail!("the broker ended without saying '{wanted}'");
            }
            state = self.wait(state, deadline, wanted)?;
        }
    }

    /// Waits until so many lines have this text in them, and returns all that have.
    pub(crate) fn lines(&self, wanted: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            let found = state.lines.iter().filter(|line| line.contains(wanted));
            let found: Vec<String> = found.cloned().collect();
            if found.len() >= count {
                return Ok(found);
            }
            if state.ended {
                bail!("the broker ended without saying '{wanted}' {count} times");
            }
            state = self.wait(state, deadline, wanted)?;
        }
    }

    /// Waits for the end.
    pub(crate) fn end(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !state.ended {
            state = self.wait(state, deadline, "the end")?;
        }
        Ok(())
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
        wanted: &str,
    ) -> anyhow::Result<MutexGuard<'a, State>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("the log does not come to '{wanted}' in {PATIENCE:?}");
        }
        let woken = self.changed.wait_timeout(state, left);
        Ok(woken.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
