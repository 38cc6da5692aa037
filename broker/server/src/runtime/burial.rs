//! Publishes what queues give up to their dead-letter exchanges.
//!
//! A queue keeps a dying message until its letter is durable in the queues that it goes to, as far as these are durable; so a crash loses none. What
//! is dying is still dying after a restart; one whose letter was durable when the broker crashed, and the queue did not know yet, is published twice.

mod patience;

use std::sync::Arc;

use amphora_core::queue::{Burial, DeathReason, Stop};
use amphora_core::store::Position;
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

use self::patience::Patience;

/// Letters that are published in one go.
const LETTERS_MAX: usize = 1024;
/// Bytes of their bodies, roughly: what is on its way is in memory twice.
const LETTERS_BYTES: usize = 8 << 20;

/// Queues that have something to bury, and nobody who is at it.
#[derive(Debug)]
pub(super) struct Burials {
    due: UnboundedSender<Handle>,
    /// Until somebody [runs](run) who takes care of them.
    queues: Mutex<Option<UnboundedReceiver<Handle>>>,
    /// Letters that could not be published may be published now.
    changed: watch::Sender<()>,
    /// No further letter is to be published.
    ended: watch::Sender<bool>,
}

impl Default for Burials {
    fn default() -> Self {
        let (due, queues) = unbounded_channel();
        Self {
            due,
            queues: Mutex::new(Some(queues)),
            changed: watch::Sender::new(()),
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

    /// A queue that had no room for a letter has some, or what is declared, bound or in force has changed.
    pub(super) fn try_again(&self) {
        self.changed.send_replace(());
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
    let mut patience = Patience::new(&broker.committer.burials);
    while !*ended.borrow() {
        // Registered before the look, so that what comes in between is not missed.
        let (paged, died) = (queue.paged.notified(), queue.died.notified());
        let Some(vhost) = broker.vhost(&queue.vhost) else {
            return;
        };
        let mut touched = Touched::default();
        let dying = match next_dying(&vhost, &queue, &mut patience, &mut touched) {
            Look::Dying(dying) => dying,
            Look::Away => {
                tokio::select! {
                    () = paged => {}
                    _ = ended.wait_for(|&ended| ended) => {}
                }
                continue;
            }
            Look::HeldUp => {
                if patience.pause(died, &mut ended).await {
                    patience.try_again();
                    queue.state.lock().model.try_again();
                }
                continue;
            }
            Look::Over => return,
        };
        let published = publish(&vhost, &queue, dying, &mut patience, &mut touched);
        // Who sees a dead letter that need not be durable can rely on the room that it has left.
        if published.commit {
            touched.finish(&vhost.committer);
            // What the queue forgets may be on the disk before what is noted elsewhere: a group is gathered queue by queue.
            vhost.committer.all_durable().await;
        }
        let buried = queue.with(&vhost.committer, &mut touched, |model, sink| {
            let buried = model.bury(published.burials);
            ((), buried.and(model.dispatch(sink)))
        });
        touched.finish(&vhost.committer);
        if buried.is_none() {
            return;
        }
    }
}

/// A message that is dying; nothing, if it is not there any more.
type Dying = (Position, Option<(DeathReason, Owned)>);

enum Look {
    Dying(Vec<Dying>),
    /// The next must be read back first.
    Away,
    /// All that may be tried were.
    HeldUp,
    /// There is nothing more to bury, and whoever has something next says so.
    Over,
}

fn next_dying(
    vhost: &VirtualHost,
    queue: &Handle,
    patience: &mut Patience,
    touched: &mut Touched,
) -> Look {
    loop {
        let mut dying = Vec::new();
        let looked = queue.with(&vhost.committer, touched, |model, _| {
            patience.held_up = model.held_up_count();
            let max = if patience.is_full() { 0 } else { LETTERS_MAX };
            let mut bytes = 0;
            model.dying(max, |position, reason, message| {
                // What is too much is shown again in the next round.
                if bytes <= LETTERS_BYTES {
                    let message = message.map(|message| (reason, Owned::from(message)));
                    dying.push((position, message));
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
        let count = state.model.dying_count();
        if count == 0 {
            state.burying = false;
            return Look::Over;
        }
        if patience.is_full() || count == state.model.held_up_count() {
            return Look::HeldUp;
        }
        // One has died since the look.
    }
}

#[derive(Debug, Default)]
struct Published {
    burials: Vec<(Position, Burial)>,
    /// Something must become durable.
    commit: bool,
}

/// Publishes letters, in their order, until too many are held up.
fn publish(
    vhost: &Arc<VirtualHost>,
    queue: &Handle,
    dying: Vec<Dying>,
    patience: &mut Patience,
    touched: &mut Touched,
) -> Published {
    let to = queue.dead_letter();
    let lasting = queue.keeps_dead_letters();
    let mut ingress = Ingress::new(Arc::clone(vhost), "".into());
    ingress.journey = std::mem::take(&mut patience.journey);
    let mut burials = Vec::with_capacity(dying.len());
    ingress.for_each(dying, |ingress, (position, message)| {
        if patience.is_full() {
            return;
        }
        ingress.journey.arrived = patience.take_up(position);
        let later = match (message, &to) {
            (Some((reason, message)), Some(to)) => {
                let outcome = send(ingress, queue, &message, to, reason, lasting);
                comes_later(queue, to, &outcome, lasting, patience)
            }
            _ => false,
        };
        if later {
            let arrived = std::mem::take(&mut ingress.journey.arrived);
            patience.hold_up(position, arrived);
            burials.push((position, Burial::Later));
        } else {
            patience.is_done_with_one();
            burials.push((position, Burial::Done));
        }
    });
    patience.end_round();
    let commit = ingress.flush(&[], touched).commit;
    patience.journey = std::mem::take(&mut ingress.journey);
    Published { burials, commit }
}

/// Whether a letter is to be published again.
fn comes_later(
    queue: &Handle,
    to: &DeadLetter,
    outcome: &Result<Outcome, Exception>,
    lasting: bool,
    patience: &mut Patience,
) -> bool {
    if matches!(outcome, Ok(Outcome::Routed | Outcome::Taken)) {
        return false;
    }
    let is_refused = matches!(outcome, Ok(Outcome::Refused(_)));
    let later = is_refused && patience.bears_refusal() || lasting;
    tracing::debug!(
        queue = %queue.name, vhost = %queue.vhost, exchange = %to.exchange, ?outcome, later,
        "a dead letter does not reach all of its queues"
    );
    later
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
