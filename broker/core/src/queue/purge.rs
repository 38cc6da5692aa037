//! Emptying a queue.

use super::log::At;
use super::{Effects, Queue};

impl<C> Queue<C> {
    /// Settles all that is ready, or will be after a while. Returns how many there were. Spec: queue.purge.
    pub fn purge(&mut self) -> (u64, Effects) {
        let waiting = self.purge_delayed();
        let purged = self.ready + waiting;
        for position in std::mem::take(&mut self.returned) {
            self.log.settle(position);
        }
        if let Some(levels) = &mut self.levels {
            levels.purge(&mut self.log);
        }
        self.log.settle_from(self.head);
        self.head = self.log.tail();
        self.ready = 0;
        self.ready_bytes = 0;
        self.forget_purged();
        let effects = Effects {
            settle: self.durable,
            ..Effects::default()
        };
        (purged, effects)
    }

    /// Settles those that wait. Returns how many there were.
    fn purge_delayed(&mut self) -> u64 {
        let waiting = std::mem::take(&mut self.returns.due);
        for &(_, position) in &waiting {
            self.log.settle(position);
        }
        waiting.len() as u64
    }

    /// Forgets what was counted for messages that are settled.
    fn forget_purged(&mut self) {
        let log = &self.log;
        self.returns
            .attempts
            .retain(|&position, _| !matches!(log.at(position), At::Settled));
    }
}
