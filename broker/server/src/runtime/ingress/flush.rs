//! What was collected goes to its queues.

use std::sync::Arc;

use super::Ingress;
use crate::runtime::batch::Collected;
use crate::runtime::peer::Touched;
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::Handle;

/// What a flush leaves to do.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Flushed {
    /// Something must become durable.
    pub(in crate::runtime) commit: bool,
    /// A queue whose consumers cannot follow.
    pub(in crate::runtime) over: Option<Handle>,
}

impl Ingress {
    /// Hands all that was collected to its queues.
    pub(in crate::runtime) fn flush(&mut self, buffer: &[u8], touched: &mut Touched) -> Flushed {
        self.flush_in_steps(buffer, touched, |_| {})
    }

    /// Likewise; after each queue but the last one, `between` may write what there is already. No lock is held then.
    pub(in crate::runtime) fn flush_in_steps(
        &mut self,
        buffer: &[u8],
        touched: &mut Touched,
        mut between: impl FnMut(&mut Touched),
    ) -> Flushed {
        self.touched.append(touched);
        let mut active = std::mem::take(&mut self.active);
        let last = active.pop();
        for index in active.drain(..) {
            self.hand_on(index, buffer);
            between(&mut self.touched);
        }
        self.active = active;
        // Whoever flushes writes the rest, when the committer knows of all.
        if let Some(index) = last {
            self.hand_on(index, buffer);
        }
        self.tell_refused();
        touched.append(&mut self.touched);
        self.flushed.commit |= self.deduplicating.flush(&self.vhost.committer);
        self.expiring = false;
        self.owned.clear();
        self.collected = 0;
        self.references = 0;
        self.traffic.tell();
        if std::mem::take(&mut self.asked_plugins) {
            self.slow = false;
            self.vhost.plugins.let_go();
        }
        if std::mem::take(&mut self.delayed) {
            self.vhost.delays.look();
        }
        std::mem::take(&mut self.flushed)
    }

    /// Hands what was collected for one queue to it, if there is anything.
    pub(super) fn hand_on(&mut self, index: u32, buffer: &[u8]) {
        let kept = (MESSAGES_KEPT_MAX / self.slots.len().max(1)).max(MESSAGES_KEPT_MIN);
        let Some(slot) = self
            .slots
            .get_mut(index as usize)
            .filter(|slot| !slot.messages.is_empty())
        else {
            return;
        };
        let committer = &self.vhost.committer;
        let now = self.expiring.then(now_ms);
        let deduplicating = &mut self.deduplicating;
        let published = slot
            .queue
            .with(committer, &mut self.touched, |model, sink| {
                if let Some(now) = now {
                    model.tell_time(now);
                }
                let (queue, messages) = (&slot.queue, &mut slot.messages);
                let fresh = deduplicating.filter(queue, messages, (buffer, &self.owned), committer);
                let batch = Collected {
                    input: buffer,
                    owned: &self.owned,
                    messages,
                };
                let effects = model.publish(&batch, sink);
                if effects.commit {
                    // Before the queue is noted, so that the group which that brings lets them go. Counted later, they could wait for a group that nobody asks for.
                    committer.published(slot.bytes);
                }
                (fresh, effects)
            });
        if let Some((fresh, effects)) = published {
            self.flushed.commit |= effects.commit;
            deduplicating.note_queue(&slot.queue, &fresh, committer);
        }
        if slot.queue.is_over() {
            self.flushed.over = Some(Arc::clone(&slot.queue));
        }
        slot.messages.clear();
        slot.messages.shrink_to(kept);
        slot.bytes = 0;
        slot.body_bytes = 0;
    }
}

/// References for which the lists are kept, in all of a connection's queues together, and in each of very many.
const MESSAGES_KEPT_MAX: usize = 4096;
const MESSAGES_KEPT_MIN: usize = 64;
