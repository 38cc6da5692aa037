//! Reads segments back that a queue let go, and delivers what became durable.

use std::sync::Arc;

use amphora_core::queue::{Effects, PageIn};
use amphora_core::store::StoreError;

use super::committer::Committer;
use super::peer::Touched;
use super::queue::SharedQueue;

impl Committer {
    /// Does something that waits for the disk, away from the data path.
    pub(super) fn read_aside(&self, work: impl FnOnce() + Send + 'static) {
        let guard = self.vital.guard("reading back");
        self.runtime.spawn_blocking(move || {
            let _guard = guard;
            work();
        });
    }

    /// Reads segments back, away from the data path.
    pub(super) fn page_in(self: &Arc<Self>, queue: &Arc<SharedQueue>, requests: Vec<PageIn>) {
        let (committer, queue) = (Arc::clone(self), Arc::clone(queue));
        self.read_aside(move || read_back(&committer, &queue, &requests));
    }
}

/// Blocks while it reads. A segment that cannot be read is given up, and told in the log by queue and position.
fn read_back(committer: &Arc<Committer>, queue: &Arc<SharedQueue>, requests: &[PageIn]) {
    let mut touched = Touched::default();
    for request in requests {
        let data = match request.read(|queue, record| committer.read(queue, record)) {
            // The broker stops, and the messages stay where they are.
            Err(StoreError::Unavailable(_)) => return,
            data => data,
        };
        queue.with(committer, &mut touched, |model, sink| {
            let read = data.map_err(|error| error.to_string()).and_then(|data| {
                model
                    .page_in(request.base, &data)
                    .map_err(|error| error.to_string())
            });
            let settle = read.is_err();
            if let Err(error) = read
                && let Some((first, last)) = model.lose(request.base)
            {
                tracing::error!(
                    queue = %queue.name, vhost = %queue.vhost, first, last, %error,
                    "messages cannot be read back and are lost"
                );
            }
            let effects = Effects {
                settle,
                ..model.dispatch(sink)
            };
            ((), effects)
        });
    }
    queue.paged.notify_waiters();
    touched.finish(committer);
}

/// Delivers what a stream has that is durable now, away from the thread that made it so.
pub(super) fn dispatch(committer: &Arc<Committer>, queue: &Arc<SharedQueue>) {
    let (committer, queue) = (Arc::clone(committer), Arc::clone(queue));
    let (runtime, vital) = (committer.runtime.clone(), committer.vital.clone());
    let dispatched = async move {
        let mut touched = Touched::default();
        queue.with(&committer, &mut touched, |model, sink| {
            ((), model.dispatch(sink))
        });
        touched.finish(&committer);
    };
    vital.spawn(&runtime, "streams", dispatched);
}
