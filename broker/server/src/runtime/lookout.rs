//! Whether the committer looks out for the next group before it sleeps.
//!
//! Who sends one message at a time is back with the next one a moment after the confirm, and threads that wake each other take longer than what
//! they do meanwhile. So the committer stays awake for a moment after a group that was small, that somebody waited for, and that itself came within such a
//! moment. After any other it sleeps at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long it stays awake.
const LOOK_OUT: Duration = Duration::from_micros(100);
/// Who has more than this committed at a time has more on its way, for which the processors are needed.
const SMALL_BYTES: usize = 16 << 10;

/// What a group was like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Committed {
    /// How many bytes of messages and definitions it wrote, 0 if nothing had gathered.
    pub(super) bytes: usize,
    /// Somebody waited for it when it was gathered.
    pub(super) awaited: bool,
}

/// What is known of the groups so far.
#[derive(Debug)]
pub(super) struct Lookout {
    /// To look out on the only processor would keep it from whoever is waited for.
    possible: bool,
    /// The last group that wrote something gives reason to it.
    worthwhile: bool,
}

impl Lookout {
    pub(super) fn new(processors: usize) -> Self {
        Self {
            possible: processors > 1,
            worthwhile: false,
        }
    }

    /// Returns when somebody waits, or it is time to sleep.
    pub(super) fn look_out(&self, awaited: &AtomicBool) {
        let begun = Instant::now();
        while self.worthwhile && !awaited.load(Ordering::Relaxed) && begun.elapsed() < LOOK_OUT {
            std::hint::spin_loop();
        }
    }

    /// A group is done; the committer had waited so long for it.
    pub(super) fn learn(&mut self, group: Committed, waited: Duration) {
        // Nothing had gathered: what was waited for was in the group before, as a publisher was faster with its message than with the wish to
        // hear of it. That says nothing of when the next one comes.
        if group.bytes > 0 {
            let came_soon = waited < LOOK_OUT;
            self.worthwhile =
                self.possible && came_soon && group.awaited && group.bytes <= SMALL_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Committed = Committed {
        bytes: SMALL_BYTES,
        awaited: true,
    };
    const SOON: Duration = Duration::from_micros(99);

    fn after(groups: &[(Committed, Duration)]) -> Lookout {
        let mut lookout = Lookout::new(2);
        for &(group, waited) in groups {
            lookout.learn(group, waited);
        }
        lookout
    }

    #[test]
    fn it_looks_out_after_a_small_group_that_was_awaited_and_came_soon() {
        assert!(!Lookout::new(2).worthwhile, "nothing is known yet");
        assert!(after(&[(SMALL, SOON)]).worthwhile);
        let large = Committed {
            bytes: SMALL_BYTES + 1,
            ..SMALL
        };
        let unawaited = Committed {
            awaited: false,
            ..SMALL
        };
        for last in [(large, SOON), (unawaited, SOON), (SMALL, LOOK_OUT)] {
            assert!(!after(&[(SMALL, SOON), last]).worthwhile, "{last:?}");
            assert!(after(&[last, (SMALL, SOON)]).worthwhile, "{last:?}");
        }
    }

    #[test]
    fn an_empty_group_changes_nothing() {
        let empty = Committed {
            bytes: 0,
            awaited: true,
        };
        assert!(after(&[(SMALL, SOON), (empty, LOOK_OUT)]).worthwhile);
        assert!(!after(&[(SMALL, LOOK_OUT), (empty, SOON)]).worthwhile);
    }

    #[test]
    fn it_never_looks_out_on_a_single_processor() {
        let mut lookout = Lookout::new(1);
        lookout.learn(SMALL, SOON);
        assert!(!lookout.worthwhile);
    }

    #[test]
    fn looking_out_ends_when_somebody_waits_and_otherwise_in_time() {
        let lookout = after(&[(SMALL, SOON)]);
        let took = |awaited: bool| {
            let begun = Instant::now();
            lookout.look_out(&AtomicBool::new(awaited));
            begun.elapsed()
        };
        assert!(took(false) >= LOOK_OUT);
        // The machine may have taken the processor from some of them.
        let shortest = (0..100).map(|_| took(true)).min();
        assert!(shortest < Some(LOOK_OUT), "{shortest:?}");
    }
}
