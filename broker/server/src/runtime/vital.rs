//! What the broker cannot do without: if one of these tasks panics, the broker ends. One that ran on would take messages and never
//! commit, release or expire them, and say so to nobody.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Watches over the tasks and threads that all clients depend on.
#[derive(Clone, Debug)]
pub(super) struct Vital {
    /// The first that has panicked.
    failed: watch::Sender<Option<&'static str>>,
}

impl Default for Vital {
    fn default() -> Self {
        Self {
            failed: watch::Sender::new(None),
        }
    }
}

impl Vital {
    /// Spawns a task on this runtime; `name` says in the log what it does.
    pub(super) fn spawn(
        &self,
        runtime: &Handle,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let guard = self.guard(name);
        runtime.spawn(async move {
            let _guard = guard;
            task.await;
        })
    }

    /// As long as the guard is there, a panic of the thread that drops it is told.
    pub(super) fn guard(&self, name: &'static str) -> Guard {
        Guard {
            vital: self.clone(),
            name,
        }
    }

    /// Which of them has panicked: waits until one has.
    pub(super) fn failed(&self) -> impl Future<Output = &'static str> + use<> {
        let mut failed = self.failed.subscribe();
        // The sender is kept here, so that the end of all tasks is no failure.
        let sender = self.failed.clone();
        async move {
            let found = failed.wait_for(Option::is_some).await;
            let name = found.ok().and_then(|found| *found);
            drop(sender);
            name.unwrap_or_default()
        }
    }
}

/// See [`Vital::guard`].
#[derive(Debug)]
pub(super) struct Guard {
    vital: Vital,
    name: &'static str,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "panicked, and the broker ends");
            self.vital.failed.send_if_modified(|failed| {
                let first = failed.is_none();
                failed.get_or_insert(self.name);
                first
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn only_a_panic_is_a_failure() {
        let vital = Vital::default();
        let failed = vital.failed();
        tokio::pin!(failed);
        let runtime = Handle::current();
        vital
            .spawn(&runtime, "ending", async {})
            .await
            .expect("it ends");
        let endless = vital.spawn(&runtime, "endless", std::future::pending());
        endless.abort();
        assert!(endless.await.expect_err("aborted").is_cancelled());
        let soon = Duration::from_millis(50);
        assert!(timeout(soon, &mut failed).await.is_err());
        let task = async { panic!("as the test wants it") };
        let panicked = vital.spawn(&runtime, "panicking", task).await;
        assert!(panicked.expect_err("panicked").is_panic());
        assert_eq!(failed.await, "panicking");
        // Whoever asks later learns of it, too.
        assert_eq!(vital.failed().await, "panicking");
    }

    #[test]
    fn a_thread_is_watched_as_well() {
        let vital = Vital::default();
        let guard = vital.guard("thread");
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            panic!("as the test wants it");
        });
        assert!(thread.join().is_err());
        assert_eq!(*vital.failed.borrow(), Some("thread"));
    }
}
