//! Whether anything happens, for who looks at the broker's figures now and then: while nothing does, nobody has to look.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells one who watches that something may have been counted.
#[derive(Debug, Default)]
pub struct Stirring {
    /// Nothing has happened since the watcher looked.
    still: AtomicBool,
    stirred: Notify,
}

impl Stirring {
    /// Something happens. Costs a load of what hardly ever changes, but for the first call after a look.
    pub fn stir(&self) {
        // What is counted just now may be missed by a look that has begun. A watcher therefore waits for a whole interval without a call
        // before it looks no more.
        if self.still.load(Ordering::Relaxed) && self.still.swap(false, Ordering::Relaxed) {
            self.stirred.notify_one();
        }
    }

    /// Watches from now on. Returns whether nothing has happened since this was called before.
    pub(crate) fn watch(&self) -> bool {
        self.still.swap(true, Ordering::Relaxed)
    }

    /// Waits until something has happened since [`Self::watch`].
    pub(crate) async fn stirred(&self) {
        // There may be a permit left of what was noticed in between.
        while self.still.load(Ordering::Relaxed) {
            self.stirred.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn only_what_happens_after_the_look_wakes() {
        let stirring = Stirring::default();
        assert!(!stirring.watch());
        stirring.stir();
        stirring.stirred().await;
        assert!(!stirring.watch());
        assert!(stirring.watch());

        stirring.stir();
        assert!(!stirring.watch());
        let soon = Duration::from_millis(50);
        assert!(timeout(soon, stirring.stirred()).await.is_err());
        tokio::join!(stirring.stirred(), async { stirring.stir() });
    }
}
