//! How a task bears with letters that cannot be published now.

use std::collections::HashMap;
use std::time::Duration;

use amphora_core::store::Position;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Burials;
use crate::runtime::ingress::{Arrived, Journey};

/// Letters of one queue that are held up at most. With so many, no further one is tried: a million that nobody takes cost no more than
/// these. RabbitMQ has 32; those behind them wait there, too.
pub(super) const HELD_UP_MAX: usize = 256;

/// What is held up is tried again after this time, after twice as long if nothing came of that, and so on.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Tries are so far apart, whatever changes meanwhile, and so far if nothing came of the one before.
const APART: Duration = Duration::from_millis(10);
const APART_IN_VAIN: Duration = Duration::from_millis(100);

/// A queue whose letters a plugin on their way refuses gives them up after this time.
const REFUSED_MAX: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(super) struct Patience {
    /// Something has changed, so that a letter may find its way that did not.
    changed: watch::Receiver<()>,
    pub(super) journey: Journey,
    /// Where those of the letters are that do not come again only because others refuse them.
    arrived: HashMap<Position, Arrived>,
    /// Letters that are held up.
    pub(super) held_up: usize,
    /// When they were tried last.
    tried_at: Instant,
    /// Nothing could be published since.
    in_vain: bool,
    wait: Duration,
    /// Since when a plugin on their way refuses them.
    refused_since: Option<Instant>,
}

impl Patience {
    pub(super) fn new(burials: &Burials) -> Self {
        Self {
            changed: burials.changed.subscribe(),
            journey: Journey::default(),
            arrived: HashMap::new(),
            held_up: 0,
            tried_at: Instant::now(),
            in_vain: true,
            wait: WAIT,
            refused_since: None,
        }
    }

    /// Whether no further letter is to be tried.
    pub(super) fn is_full(&self) -> bool {
        self.held_up >= HELD_UP_MAX
    }

    /// The letter in hand is the one at `position`.
    pub(super) fn take_up(&mut self, position: Position) -> Arrived {
        self.arrived.remove(&position).unwrap_or_default()
    }

    /// A letter could be published, or is not to be tried again.
    pub(super) fn is_done_with_one(&mut self) {
        self.in_vain = false;
    }

    /// A letter is to be tried again.
    pub(super) fn hold_up(&mut self, position: Position, arrived: Arrived) {
        self.held_up += 1;
        if !arrived.is_nowhere() {
            self.arrived.insert(position, arrived);
        }
    }

    /// A plugin on a letter's way refuses it. Returns whether it has not done so for too long.
    pub(super) fn bears_refusal(&mut self) -> bool {
        let since = self.refused_since.get_or_insert_with(Instant::now);
        since.elapsed() < REFUSED_MAX
    }

    /// Letters were published.
    pub(super) fn end_round(&mut self) {
        if self.held_up == 0 {
            self.refused_since = None;
        }
    }

    /// Waits until what is held up is to be tried again, and returns true then; false if it `ended`, or something has `died` that may be
    /// tried at once.
    pub(super) async fn pause(
        &mut self,
        died: impl Future<Output = ()>,
        ended: &mut watch::Receiver<bool>,
    ) -> bool {
        let is_full = self.is_full();
        let apart = if self.in_vain { APART_IN_VAIN } else { APART };
        let (tried_at, changed) = (self.tried_at, &mut self.changed);
        let may_be_tried = async {
            sleep_until(tried_at + apart).await;
            // The sender is the committer's.
            let _ = changed.changed().await;
        };
        tokio::select! {
            () = may_be_tried => true,
            () = sleep_until(tried_at + self.wait) => true,
            () = died, if !is_full => false,
            _ = ended.wait_for(|&ended| ended) => false,
        }
    }

    /// All that is held up is tried again.
    pub(super) fn try_again(&mut self) {
        self.wait = if self.in_vain {
            (self.wait * 2).min(WAIT_MAX)
        } else {
            WAIT
        };
        self.in_vain = true;
        self.tried_at = Instant::now();
        self.journey.full.clear();
    }
}
