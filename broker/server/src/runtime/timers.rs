//! Wakes queues whose head expires, that nobody uses any more, or that have more to give up than one turn is for. Nothing is looked at before it is due.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amphora_core::store::QueueId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::broker::Broker;
use super::peer::Touched;
use super::queue::SharedQueue;

/// Which queue is to be woken when, in milliseconds since the Unix epoch. A leaf in the order of locks.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: Mutex<BTreeMap<(u64, QueueId), Weak<SharedQueue>>>,
    earlier: Notify,
}

impl Timers {
    /// Moves the queue's alarm forward to `deadline`. One that rings too early only costs a look, so it is never moved back:
    /// with a steady flow through the queue, the deadline changes with each message.
    pub(super) fn set(&self, queue: &Arc<SharedQueue>, alarm: &mut Option<u64>, deadline: u64) {
        if alarm.is_some_and(|at| at <= deadline) {
            return;
        }
        let mut due = self.due.lock();
        if let Some(at) = alarm.replace(deadline) {
            due.remove(&(at, queue.id));
        }
        let first = due
            .first_key_value()
            .is_none_or(|(&(at, _), _)| deadline < at);
        due.insert((deadline, queue.id), Arc::downgrade(queue));
        drop(due);
        if first {
            self.earlier.notify_one();
        }
    }

    /// The queue is deleted.
    pub(super) fn clear(&self, id: QueueId, alarm: &mut Option<u64>) {
        if let Some(at) = alarm.take() {
            self.due.lock().remove(&(at, id));
        }
    }

    /// The next queue whose time has come, or how long there is none.
    fn next(&self, now: u64) -> Result<Weak<SharedQueue>, Option<Duration>> {
        let mut due = self.due.lock();
        let first = due.first_entry().ok_or(None)?;
        match first.key().0.checked_sub(now) {
            None | Some(0) => Ok(first.remove()),
            Some(wait) => Err(Some(Duration::from_millis(wait))),
        }
    }
}

/// Milliseconds since the Unix epoch: expiries outlive a restart.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Runs as long as the broker.
pub(super) async fn run(broker: Arc<Broker>) {
    let timers = &broker.committer.timers;
    loop {
        match timers.next(now_ms()) {
            Ok(queue) => {
                if let Some(queue) = queue.upgrade() {
                    ring(&broker, &queue);
                    // One that has much to do is due again at once, and others must not wait for the end of it.
                    tokio::task::yield_now().await;
                }
            }
            Err(None) => timers.earlier.notified().await,
            Err(Some(wait)) => {
                // Either way, the next look says what to do.
                let _ = tokio::time::timeout(wait, timers.earlier.notified()).await;
            }
        }
    }
}

fn ring(broker: &Broker, queue: &Arc<SharedQueue>) {
    let mut touched = Touched::default();
    // What has expired goes with every change. If it was too much for one, what is behind it could not be delivered yet.
    let abandoned = queue.with(&broker.committer, &mut touched, |model, sink| {
        (model.is_abandoned(), model.dispatch(sink))
    });
    if abandoned.is_some_and(|(abandoned, _)| abandoned)
        && let Some(vhost) = broker.vhost(&queue.vhost)
    {
        vhost.delete_if_unused(queue, &mut touched);
    }
    touched.finish(&broker.committer);
}
