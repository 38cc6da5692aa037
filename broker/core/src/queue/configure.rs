//! What a queue's arguments and policies say, taken over at its beginning and whenever they change.

use std::time::Duration;

use crate::queue_arguments::{QueueArguments, QueueType};

use super::Queue;
use super::levels::Levels;

impl<C> Queue<C> {
    /// Takes over what the arguments say, merged with the policies that are in force. Messages that are there already keep
    /// the time to live that they came with. Priorities and a single active consumer are for a queue's whole life: only the first
    /// call sees them. Dispatch is due afterwards.
    pub fn configure(&mut self, arguments: &QueueArguments) {
        self.expiry.ttl = arguments.message_ttl.map(millis);
        self.expiry.lease = arguments.expires.map(millis);
        self.expiry.messages |= self.expiry.ttl.is_some();
        if self.levels.is_none()
            && let Some(max) = arguments.max_priority.filter(|&max| max > 0)
        {
            self.levels = Some(Box::new(Levels::new(max, &self.log)));
            self.returned.clear();
            self.head = self.log.tail();
        }
        if self.consumers.len() == 0 {
            self.consumers.set_single(arguments.single_active_consumer);
        }
        self.keeps_all = arguments.queue_type == QueueType::Quorum;
        self.limits.configure(arguments);
        self.deaths.configure(arguments);
        self.returns.configure(arguments);
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
