//! Publishes what queues give up to their dead-letter exchanges.
//!
//! A queue keeps a dying message until its letter is noted for the committer in the queues that it goes to; so it is settled
//! in the same group or in a later one, and a crash loses none. One that dies in the moment of a crash may come back to life and die again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amphora_core::queue::{Burial, DeathReason};
use amphora_core::queue_arguments::DeadLetterStrategy;
use amphora_protocol::exception::Exception;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::batch::Owned;
use super::broker::Broker;
use super::dead_letter::{self, Death, Letter};
use super::ingress::{Ingress, Outcome};
use super::peer::Touched;
use super::plugins::DeadLetter;
use super::timers::now_ms;
use super::vhost::{Handle, VirtualHost};

/// Letters that are published in one go.
const LETTERS_MAX: usize = 1024;
/// Bytes of their bodies, roughly: what is on its way is in memory twice.
const LETTERS_BYTES: usize = 8 << 20;

/// Letters that cannot be published now are tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// A queue whose letters a plugin on their way refuses gives them up after this time.
const REFUSED_MAX: Duration = Duration::from_mins(10);

/// Queues that have something to bury, and nobody who is at it.
#[derive(Debug)]
pub(super) struct Burials {
    due: UnboundedSender<Handle>,
    /// Until somebody [runs](run) who takes care of them.
    queues: Mutex<Option<UnboundedReceiver<Handle>>>,
}

impl Default for Burials {
    fn default() -> Self {
        let (due, queues) = unbounded_channel();
        Self {
            due,
            queues: Mutex::new(Some(queues)),
        }
    }
}

impl Burials {
    /// The queue has something to bury.
    pub(super) fn add(&self, queue: &Handle) {
        // It is refused only at the very end, and what is not buried then dies again after the restart.
        let _ = self.due.send(Arc::clone(queue));
    }
}

/// Runs as long as the broker, and only once; each queue that has something to bury gets a task, which ends when it has nothing
/// more.
pub(super) async fn run(broker: Arc<Broker>) {
    let queues = broker.committer.burials.queues.lock().take();
    let Some(mut queues) = queues else {
        return;
    };
    while let Some(queue) = queues.recv().await {
        tokio::spawn(bury(Arc::clone(&broker), queue));
    }
}

async fn bury(broker: Arc<Broker>, queue: Handle) {
    let mut refused_since = None;
    loop {
        // Registered before the look, so that a segment that comes back in between is not missed.
        let paged = queue.paged.notified();
        let Some(vhost) = broker.vhost(&queue.vhost) else {
            return;
        };
        match bury_some(&vhost, &queue, &mut refused_since) {
            Round::Over => return,
            Round::Some => tokio::task::yield_now().await,
            Round::Away => paged.await,
            Round::Refused => tokio::time::sleep(RETRY).await,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// There is nothing more to bury.
    Over,
    Some,
    /// The next must be read back first.
    Away,
    /// Some of them must be tried again.
    Refused,
}

fn bury_some(
    vhost: &Arc<VirtualHost>,
    queue: &Handle,
    refused_since: &mut Option<Instant>,
) -> Round {
    let committer = &vhost.committer;
    let mut touched = Touched::default();
    let mut dying: Vec<Option<(DeathReason, Owned)>> = Vec::new();
    let shown = queue.with(committer, &mut touched, |model, _| {
        let mut bytes = 0;
        model.dying(LETTERS_MAX, |reason, message| {
            // What is too much is shown again in the next round.
            if bytes <= LETTERS_BYTES {
                dying.push(message.map(|message| (reason, Owned::from(message))));
            }
            bytes += message.map_or(0, |message| message.body.len());
        })
    });
    let Some((shown, _)) = shown else {
        return Round::Over;
    };
    if dying.is_empty() {
        touched.finish(committer);
        let mut state = queue.state.lock();
        if shown == 0 && state.model.dying_count() > 0 {
            return Round::Away;
        }
        state.burying = false;
        return Round::Over;
    }
    let burials = publish(vhost, queue, dying, refused_since, &mut touched);
    let refused = burials.contains(&Burial::Later);
    // Their destinations are noted for the committer, so this comes with them or after them.
    queue.with(committer, &mut touched, |model, sink| {
        let buried = model.bury(burials);
        ((), buried.and(model.dispatch(sink)))
    });
    touched.finish(committer);
    if refused { Round::Refused } else { Round::Some }
}

/// Publishes letters, in their order.
fn publish(
    vhost: &Arc<VirtualHost>,
    queue: &Handle,
    dying: Vec<Option<(DeathReason, Owned)>>,
    refused_since: &mut Option<Instant>,
    touched: &mut Touched,
) -> Vec<Burial> {
    let to = queue.dead_letter();
    let lasting = queue.dead_letter_strategy() == DeadLetterStrategy::AtLeastOnce;
    let mut ingress = Ingress::new(Arc::clone(vhost), "".into());
    let mut is_refused = false;
    let mut burials = Vec::with_capacity(dying.len());
    for message in dying {
        let (Some((reason, message)), Some(to)) = (message, &to) else {
            burials.push(Burial::Done);
            continue;
        };
        let outcome = send(&mut ingress, queue, &message, to, reason);
        let arrived = matches!(outcome, Ok(Outcome::Routed | Outcome::Taken));
        let patient = if let Ok(Outcome::Refused(_)) = &outcome {
            is_refused = true;
            let since = refused_since.get_or_insert_with(Instant::now);
            lasting || since.elapsed() < REFUSED_MAX
        } else {
            lasting
        };
        let burial = if !arrived && patient {
            Burial::Later
        } else {
            Burial::Done
        };
        if !arrived {
            tracing::debug!(
                queue = %queue.name, vhost = %queue.vhost, exchange = %to.exchange, ?outcome, ?burial,
                "a dead letter reaches no queue"
            );
        }
        burials.push(burial);
    }
    if !is_refused {
        *refused_since = None;
    }
    ingress.flush(&[], touched);
    burials
}

fn send(
    ingress: &mut Ingress,
    queue: &Handle,
    message: &Owned,
    to: &DeadLetter,
    reason: DeathReason,
) -> Result<Outcome, Exception> {
    let death = Death {
        queue: &queue.name,
        reason: reason.as_str(),
        plugin: None,
        time: now_ms() / 1000,
    };
    let Letter { message, been_in } = dead_letter::letter(message, to, &death)?;
    ingress.publish_letter(message, &been_in)
}
