//! How much room the disk has, and what is refused for want of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use amphora_core::store::StoreError;

use super::Shared;
use crate::plan::Plan;

/// What must stay of the reserve when messages are only settled and removed.
const CONSUMING_FACTOR: u64 = 4;
/// With this much to spare, the disk is not asked before each group: asking takes as long as writing one.
const PLENTY_BYTES: u64 = 1 << 30;
/// Hardly anyone fills as much in this time; if so, the commit fails as on a full disk.
const PLENTY_LASTS: Duration = Duration::from_millis(50);

impl Shared {
    pub(super) fn free_bytes(&self) -> Result<u64, StoreError> {
        let path = self.directory.path();
        let stat = rustix::fs::statvfs(path).map_err(|error| {
            StoreError::Unavailable(format!(
                "cannot ask how full {} is: {error}",
                path.display()
            ))
        })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Refuses what would leave less than the reserve on the disk. Returns how much is free.
    pub(super) fn require_space(&self, bytes: u64, reserve: u64) -> Result<u64, StoreError> {
        let free = self.free_bytes()?;
        if free >= reserve.saturating_add(bytes) {
            return Ok(free);
        }
        Err(StoreError::Unavailable(format!(
            "the disk of {} is full: {free} bytes are free, {bytes} are needed and {reserve} are kept in reserve",
            self.directory.path().display()
        )))
    }
}

/// What is known of the disk's room without asking.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// When it was last asked for.
    asked: Option<Instant>,
    /// What was free then, less what groups may have written since.
    free: u64,
}

impl Space {
    /// Refuses a group that would use the reserve. Consuming may use a part of it, for that is how a full disk becomes empty.
    pub(super) fn require(&mut self, shared: &Shared, plan: &Plan<'_>) -> Result<(), StoreError> {
        let reserve = shared.reserve.load(Ordering::Relaxed);
        let reserve = if plan.only_shrinks() {
            reserve / CONSUMING_FACTOR
        } else {
            reserve
        };
        // Once for the journal and once for the tables; and so may be what is recent.
        let bytes = plan.bytes() + shared.recent.read().bytes() as u64;
        let bytes = bytes.saturating_mul(2);
        if !self.is_plenty_for(bytes.saturating_add(reserve)) {
            self.free = shared.require_space(bytes, reserve)?;
            self.asked = Some(Instant::now());
        }
        self.free = self.free.saturating_sub(bytes);
        Ok(())
    }

    fn is_plenty_for(&self, bytes: u64) -> bool {
        let is_fresh = |asked: Instant| asked.elapsed() < PLENTY_LASTS;
        self.free >= bytes.saturating_add(PLENTY_BYTES) && self.asked.is_some_and(is_fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_enough_while_it_is_fresh_and_plenty() {
        let now = Instant::now();
        // In the future, so that it stays fresh however long the test takes.
        let fresh = Some(now + Duration::from_mins(1));
        for (asked, free, needed, is_plenty) in [
            (None, u64::MAX, 100, false),
            (now.checked_sub(PLENTY_LASTS), u64::MAX, 100, false),
            (fresh, PLENTY_BYTES + 99, 100, false),
            (fresh, PLENTY_BYTES + 100, 100, true),
            (fresh, u64::MAX - 1, u64::MAX, false),
        ] {
            let space = Space { asked, free };
            assert_eq!(space.is_plenty_for(needed), is_plenty, "{asked:?}, {free}");
        }
    }
}
