//! What consumers have done with messages, gathered in `Session::settling`: each queue is locked once for all of it.

use std::sync::Arc;

use amphora_core::channel::Taken;
use amphora_core::queue::{Effects, Held, Return};

use super::channel::Outcome;
use super::committer::Committer;
use super::model::Model;
use super::peer::Touched;
use super::queue::SharedQueue;
use super::session::Session;

impl SharedQueue {
    /// Settles messages that were delivered, or puts them back, and delivers what that makes deliverable.
    pub(super) fn release(
        self: &Arc<Self>,
        committer: &Arc<Committer>,
        touched: &mut Touched,
        held: Held<'_>,
        outcome: Outcome,
    ) {
        self.with(committer, touched, |model, sink| {
            let effects = match outcome {
                Outcome::Ack => model.settle(held),
                Outcome::Discard => model.reject(held),
                Outcome::Requeue(why) => model.requeue(held, why),
            };
            ((), effects.and(model.dispatch(sink)))
        });
    }

    /// Puts back what consumers held before anything of that is delivered again: so it is in its order, whoever held it.
    pub(super) fn put_back(
        self: &Arc<Self>,
        committer: &Arc<Committer>,
        touched: &mut Touched,
        taken: &mut [Taken<Arc<Self>>],
        why: Return,
    ) {
        self.with(committer, touched, |model, sink| {
            let mut effects = Effects::default();
            let trims_returns = matches!(model, Model::Queue(queue) if queue.trims_returns());
            taken.sort_by_key(|run| run.consumer.is_none());
            for run in taken {
                // What goes back in order makes the fewest holes.
                run.positions.sort_unstable();
                let consumer = run.consumer;
                // As in RabbitMQ, what was fetched comes back one by one, and what somebody waits for is not too much.
                let one_by_one = consumer.is_none() && why != Return::Lost && trims_returns;
                let at_once = if one_by_one { 1 } else { usize::MAX };
                for positions in run.positions.chunks(at_once) {
                    let held = Held {
                        consumer,
                        positions,
                    };
                    effects = effects.and(model.requeue(held, why));
                    if one_by_one {
                        effects = effects.and(model.dispatch(sink));
                    }
                }
            }
            ((), effects.and(model.dispatch(sink)))
        });
    }
}

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
        let (committer, touched) = (&self.broker.committer, &mut self.touched);
        self.settling.drain_by_queue(Arc::as_ptr, |taken| {
            if let Some(first) = taken.first() {
                let queue = Arc::clone(&first.queue);
                queue.put_back(committer, touched, taken, why);
            }
        });
        self.dispatch_windows();
    }

    fn release(&mut self, outcome: Outcome) {
        let (committer, touched) = (&self.broker.committer, &mut self.touched);
        self.settling.drain(|taken| {
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
