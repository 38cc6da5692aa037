//! The thread that waits for changes.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::folders::Folders;
use super::round::Reload;

/// How long nothing may change before the files are looked at: a save is several changes.
const QUIET: Duration = Duration::from_millis(200);

/// How long changes may go on before the files are looked at nevertheless.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread that waits for changes and takes them in force.
#[derive(Debug)]
pub struct Watch {
    events: Sender<Event>,
    thread: JoinHandle<()>,
}

/// Asks for what SIGHUP asks for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trigger(Sender<Event>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A file may have changed.
    Changed,
    /// Somebody wants everything to be looked at.
    Asked,
    /// There is nothing to wait for any more.
    Stop,
}

impl Reload {
    /// Takes changes in force from now on, on a thread of its own. What changed since the configuration was read counts as well.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn watch(self) -> io::Result<Watch> {
        let (events, received) = mpsc::channel();
        let changed = events.clone();
        let thread = std::thread::Builder::new().name("reload".to_owned());
        let thread = thread.spawn(move || run(self, &changed, &received))?;
        Ok(Watch { events, thread })
    }
}

impl Watch {
    /// What makes it look at everything again.
    pub fn trigger(&self) -> Trigger {
        Trigger(self.events.clone())
    }

    /// Waits for no more changes. Returns when a load under way is done. Blocks.
    pub fn stop(self) {
        // It does not wait any more if nobody receives.
        let _ = self.events.send(Event::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that waits for changes did not end as it should");
        }
    }
}

impl Trigger {
    /// Reads the configuration and all components again, and tries again what could not be loaded. Nothing happens after
    /// [`Watch::stop`].
    pub fn reload(&self) {
        let _ = self.0.send(Event::Asked);
    }
}

/// Reloads at every SIGHUP, for as long as it is polled.
///
/// # Errors
/// The system does not let signals be received.
pub async fn on_hangup(trigger: Trigger) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    while hangups.recv().await.is_some() {
        trigger.reload();
    }
    Ok(())
}

fn run(mut reload: Reload, changed: &Sender<Event>, events: &Receiver<Event>) {
    let changed = changed.clone();
    let folders = Folders::new(move || {
        // Nobody receives any more when the broker stops.
        let _ = changed.send(Event::Changed);
    });
    let mut folders = match folders {
        Ok(folders) => Some(folders),
        Err(error) => {
            tracing::warn!(%error, "changes of files are not noticed; send SIGHUP");
            None
        }
    };
    loop {
        // A folder that appears may hold what is missing, and a link that changes may lead to another folder.
        while folders
            .as_mut()
            .is_some_and(|folders| folders.watch(&reload.files()))
        {
            reload.round();
        }
        match wait(events) {
            Event::Changed => reload.round(),
            Event::Asked => reload.round_again(),
            Event::Stop => return,
        }
    }
}

/// Waits for an event, and then until nothing more happens. What counts is the most that was asked for.
fn wait(events: &Receiver<Event>) -> Event {
    let Ok(mut event) = events.recv() else {
        return Event::Stop;
    };
    let until = Instant::now() + PATIENCE;
    while event == Event::Changed {
        let left = until.saturating_duration_since(Instant::now());
        match events.recv_timeout(QUIET.min(left)) {
            Ok(next) => event = next,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return Event::Stop,
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_gathered_and_what_was_asked_for_is_not_kept_waiting() {
        let (events, received) = mpsc::channel();
        for event in [Event::Changed, Event::Changed, Event::Changed] {
            events.send(event).expect("it is received");
        }
        let began = Instant::now();
        assert_eq!(wait(&received), Event::Changed);
        assert!(began.elapsed() >= QUIET);
        assert!(received.try_recv().is_err());

        for event in [Event::Changed, Event::Asked, Event::Stop] {
            events.send(event).expect("it is received");
        }
        assert_eq!(wait(&received), Event::Asked);
        assert_eq!(wait(&received), Event::Stop);
        drop(events);
        assert_eq!(wait(&received), Event::Stop);
    }

    #[test]
    fn changes_without_end_are_looked_at_after_a_while() {
        let (events, received) = mpsc::channel();
        let writer = std::thread::spawn(move || {
            while events.send(Event::Changed).is_ok() {
                std::thread::sleep(QUIET / 10);
            }
        });
        let began = Instant::now();
        assert_eq!(wait(&received), Event::Changed);
        assert!(began.elapsed() < PATIENCE + 10 * QUIET);
        drop(received);
        assert!(writer.join().is_ok());
    }
}
