//! What consumers have done with messages, gathered in `Session::settling`: each queue is locked once for all of it.

use amphora_core::queue::{Held, Return};

use super::channel::Outcome;
use super::session::Session;

impl Session {
    /// Settles what acknowledgements have gathered.
    pub(super) fn settle(&mut self) {
        if !self.settling.is_empty() {
            self.release(Outcome::Ack);
        }
    }

    /// Gives up what has been gathered in `settling`.
    pub(super) fn discard(&mut self) {
        self.release(Outcome::Discard);
    }

    /// Puts back what has been gathered in `settling`.
    pub(super) fn requeue(&mut self, why: Return) {
        self.release(Outcome::Requeue(why));
    }

    fn release(&mut self, outcome: Outcome) {
        let (committer, touched) = (&self.broker.committer, &mut self.touched);
        self.settling.drain(|taken| {
            if let Outcome::Requeue(_) = outcome {
                // What goes back in order makes the fewest holes.
                taken.positions.sort_unstable();
            }
            let held = Held {
                consumer: taken.consumer,
                positions: &taken.positions,
            };
            taken.queue.release(committer, touched, held, outcome);
        });
        self.dispatch_windows();
    }

    /// Dispatches queues that waited for a channel's own prefetch.
    pub(super) fn dispatch_windows(&mut self) {
        if !self.windows {
            return;
        }
        for (&number, _) in self
            .channels
            .iter()
            .filter(|(_, channel)| channel.info.has_window())
        {
            let mut outbox = self.peer.outbox.lock();
            let Some(out) = outbox.channel(number).filter(|out| out.window_left() > 0) else {
                continue;
            };
            let starved = std::mem::take(&mut out.starved);
            drop(outbox);
            for queue in starved {
                queue.with(&self.broker.committer, &mut self.touched, |model, sink| {
                    ((), model.dispatch(sink))
                });
            }
        }
    }
}
