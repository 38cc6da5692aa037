//! The signals that end a load before its time.

use std::io::{self, IsTerminal, Write};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::{Condvar, Mutex};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell adds to the number of the signal that has ended a program.
const SIGNALLED: u8 = 128;

/// Whether a signal has asked for the end.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    signal: Mutex<Option<u8>>,
    came: Condvar,
}

impl Interrupt {
    /// Keeps the first SIGINT or SIGTERM for whoever asks; the second one ends the process at once.
    ///
    /// # Errors
    /// If the system does not let signals be received.
    pub(crate) fn listen() -> Result<Arc<Self>> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot listen for signals")?;
        let entered = runtime.enter();
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let mut interrupts = listen(SignalKind::interrupt())?;
        let mut terminations = listen(SignalKind::terminate())?;
        drop(entered);
        let own = Arc::new(Self::default());
        let shared = Arc::clone(&own);
        let mut next = move || {
            runtime.block_on(async {
                let kind = tokio::select! {
                    _ = interrupts.recv() => SignalKind::interrupt(),
                    _ = terminations.recv() => SignalKind::terminate(),
                };
                u8::try_from(kind.as_raw_value()).unwrap_or_default()
            })
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                shared.raise(next());
                explain();
                process::exit(i32::from(SIGNALLED + next()));
            })
            .context("cannot start a thread")?;
        Ok(own)
    }

    /// Notes that the signal of this number has come.
    pub(crate) fn raise(&self, signal: u8) {
        *self.signal.lock() = Some(signal);
        self.came.notify_all();
    }

    pub(crate) fn has_come(&self) -> bool {
        self.signal.lock().is_some()
    }

    /// Waits until a signal comes, at most for `patience`.
    pub(crate) fn wait(&self, patience: Duration) {
        let mut signal = self.signal.lock();
        self.came
            .wait_while_for(&mut signal, |signal| signal.is_none(), patience);
    }

    /// That of a command that has done all that it could until then.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let signal = *self.signal.lock();
        signal.map_or(ExitCode::SUCCESS, |signal| {
            ExitCode::from(SIGNALLED + signal)
        })
    }
}

/// Says what happens now, as it may take a while. That nobody can see it changes nothing.
fn explain() {
    let mut stderr = io::stderr().lock();
    // On a terminal the cursor is behind the progress line.
    let start = if stderr.is_terminal() { "\n" } else { "" };
    let _ = writeln!(
        stderr,
        "{start}interrupted: waiting for what is outstanding; one more signal ends at once and leaves the queues"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ends_a_wait_and_makes_the_exit_code() {
        let interrupt = Interrupt::default();
        interrupt.wait(Duration::from_millis(1));
        assert!(!interrupt.has_come());
        assert_eq!(interrupt.exit_code(), ExitCode::SUCCESS);
        thread::scope(|scope| {
            scope.spawn(|| interrupt.raise(15));
            interrupt.wait(Duration::from_mins(1));
        });
        assert!(interrupt.has_come());
        assert_eq!(interrupt.exit_code(), ExitCode::from(143));
    }
}
