//! Publishes what queues give up to their dead-letter exchanges.
//!
//! A queue keeps a dying message until its letter is durable in the queues that it goes to, as far as these are durable; so a crash loses none. What
//! is dying is still dying after a restart; one whose letter was durable when the broker crashed, and the queue did not know yet, is published twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amphora_core::queue::{Burial, DeathReason, Stop};
use amphora_protocol::exception::Exception;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

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
    /// No further letter is to be published.
    ended: watch::Sender<bool>,
}

impl Default for Burials {
    fn default() -> Self {
        let (due, queues) = unbounded_channel();
        Self {
            due,
            queues: Mutex::new(Some(queues)),
            ended: watch::Sender::new(false),
        }
    }
}

impl Burials {
    /// The queue has something to bury.
    pub(super) fn add(&self, queue: &Handle) {
        // It is refused only at the very end, and what is not buried then is still dying after the restart.
        let _ = self.due.send(Arc::clone(queue));
    }

    /// No further letter is published; [`run`] ends when those that were are buried.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }
}

/// Runs until the burials [end](Burials::end), and only once; each queue that has something to bury gets a task, which ends when it has
/// nothing more.
pub(super) async fn run(broker: Arc<Broker>) {
    let burials = &broker.committer.burials;
    let queues = burials.queues.lock().take();
    let Some(mut queues) = queues else {
        return;
    };
    let mut ended = burials.ended.subscribe();
    let mut tasks = JoinSet::new();
    loop {
        let over = ended.clone();
        tokio::select! {
            Some(queue) = queues.recv() => {
                tasks.spawn(bury(Arc::clone(&broker), queue, over));
            }
            Some(one) = tasks.join_next() => pass_on_panic(one),
            // The sender is the committer's.
            _ = ended.wait_for(|&ended| ended) => break,
        }
    }
    while let Some(one) = tasks.join_next().await {
        pass_on_panic(one);
    }
}

/// A queue whose task has panicked would never bury anything again.
fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Letters are published and buried in rounds; the end comes between two of them, so that none is published again after a restart.
async fn bury(broker: Arc<Broker>, queue: Handle, mut ended: watch::Receiver<bool>) {
    let mut patience = Patience::default();
    while !*ended.borrow() {
        // Registered before the look, so that a segment that comes back in between is not missed.
        let paged = queue.paged.notified();
        let Some(vhost) = broker.vhost(&queue.vhost) else {
            return;
        };
        let mut touched = Touched::default();
        let dying = match next_dying(&vhost, &queue, &mut touched) {
            Look::Dying(dying) => dying,
            Look::Away => {
                tokio::select! {
                    () = paged => {}
                    _ = ended.wait_for(|&ended| ended) => {}
                }
                continue;
            }
            Look::Over => return,
        };
        let published = publish(&vhost, &queue, dying, &mut patience, &mut touched);
        touched.finish(&vhost.committer);
        if published.commit {
            // What the queue forgets may be on the disk before what is noted elsewhere: a group is gathered queue by queue.
            vhost.committer.all_durable().await;
        }
        let in_vain = patience.after(&published.burials);
        let left = queue.with(&vhost.committer, &mut touched, |model, sink| {
            let buried = model.bury(published.burials);
            (model.dying_count(), buried.and(model.dispatch(sink)))
        });
        touched.finish(&vhost.committer);
        let Some((left, _)) = left else {
            return;
        };
        if in_vain >= left && left > 0 {
            patience.seen = 0;
            let end = ended.wait_for(|&ended| ended);
            // Whether it is time or over, the next round sees.
            let _ = tokio::time::timeout(RETRY, end).await;
        }
    }
}

/// How a task bears with letters that cannot be published now.
#[derive(Debug, Default)]
struct Patience {
    /// Letters that were tried since one could be published.
    seen: usize,
    /// Since when a plugin on their way refuses them.
    refused_since: Option<Instant>,
}

impl Patience {
    /// Takes note of what became of some letters. Returns how many were tried in vain since one was not: when these are all that
    /// there are, it is time for a pause.
    fn after(&mut self, burials: &[Burial]) -> usize {
        if burials.contains(&Burial::Done) {
            self.seen = 0;
            return 0;
        }
        self.seen += burials.len();
        self.seen
    }
}

enum Look {
    Dying(Vec<Option<(DeathReason, Owned)>>),
    /// The next must be read back first.
    Away,
    /// There is nothing more to bury, and whoever has something next says so.
    Over,
}

fn next_dying(vhost: &VirtualHost, queue: &Handle, touched: &mut Touched) -> Look {
    loop {
        let mut dying = Vec::new();
        let looked = queue.with(&vhost.committer, touched, |model, _| {
            let mut bytes = 0;
            model.dying(LETTERS_MAX, |reason, message| {
                // What is too much is shown again in the next round.
                if bytes <= LETTERS_BYTES {
                    dying.push(message.map(|message| (reason, Owned::from(message))));
                }
                bytes += message.map_or(0, |message| message.body.len());
            })
        });
        let Some((stop, _)) = looked else {
            return Look::Over;
        };
        if !dying.is_empty() {
            return Look::Dying(dying);
        }
        if stop == Stop::Away {
            return Look::Away;
        }
        let mut state = queue.state.lock();
        if state.model.dying_count() == 0 {
            state.burying = false;
            return Look::Over;
        }
        // One has died since the look.
    }
}

#[derive(Debug, Default)]
struct Published {
    burials: Vec<Burial>,
    /// Something must become durable.
    commit: bool,
}

/// Publishes letters, in their order.
fn publish(
    vhost: &Arc<VirtualHost>,
    queue: &Handle,
    dying: Vec<Option<(DeathReason, Owned)>>,
    patience: &mut Patience,
    touched: &mut Touched,
) -> Published {
    let to = queue.dead_letter();
    let lasting = queue.keeps_dead_letters();
    let mut ingress = Ingress::new(Arc::clone(vhost), "".into());
    let mut is_refused = false;
    let mut burials = Vec::with_capacity(dying.len());
    ingress.for_each(dying, |ingress, message| {
        let (Some((reason, message)), Some(to)) = (message, &to) else {
            burials.push(Burial::Done);
            return;
        };
        let outcome = send(ingress, queue, &message, to, reason, lasting);
        let arrived = matches!(outcome, Ok(Outcome::Routed | Outcome::Taken));
        let patient = if let Ok(Outcome::Refused(_)) = &outcome {
            is_refused = true;
            let since = patience.refused_since.get_or_insert_with(Instant::now);
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
    });
    if !is_refused {
        patience.refused_since = None;
    }
    let commit = ingress.flush(&[], touched).commit;
    Published { burials, commit }
}

fn send(
    ingress: &mut Ingress,
    queue: &Handle,
    message: &Owned,
    to: &DeadLetter,
    reason: DeathReason,
    lasting: bool,
) -> Result<Outcome, Exception> {
    let death = Death {
        queue: &queue.name,
        reason: reason.as_str(),
        plugin: None,
        time: now_ms() / 1000,
    };
    let Letter { message, been_in } = dead_letter::letter(message, to, &death)?;
    ingress.publish_letter(message, &been_in, lasting, &[])
}
