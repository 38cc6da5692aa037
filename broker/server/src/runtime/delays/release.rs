//! What happens to messages whose time has come.

use std::sync::Arc;

use amphora_core::queue::Found;
use amphora_core::store::Position;

use super::ahead::{cost, mean};
use super::reading::Wanted;
use super::wrapping::{Onward, Wrapped};
use super::{Handle, Waiting};
use crate::runtime::batch::{Owned, small};
use crate::runtime::broker::Broker;
use crate::runtime::ingress::{Ingress, Outcome};
use crate::runtime::peer::Touched;
use crate::runtime::special::borrowed;
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::VirtualHost;

/// Messages that are released in one go: between two of them, others may come that are due.
const RELEASED_MAX: usize = 1024;

/// Bytes that are released in one go, at most, but for the last message; likewise those that are read back because they are due.
const RELEASED_BYTES_MAX: usize = 8 << 20;

/// A message that is refused, because a plugin on its way fails or is not there, or a queue is full, is tried again after this time...
pub(in crate::runtime) const REFUSED_RETRY_MS: u64 = 1000;

/// ...and then less and less often, but at least this often. It is never given up: whoever does not want it any more cancels it.
const REFUSED_RETRY_MS_MAX: u64 = 60_000;

/// The next try comes when the message is late by so much of what it was late by at this one.
const REFUSED_LATER: u64 = 4;

/// While messages are read back, those that are due and not here are looked for this often.
const PASSED_MS: u64 = 5;

/// What has gone on is looked at this often, until it is durable where it went.
const DURABLE_MS: u64 = 5;

/// What became of messages that were due.
#[derive(Default)]
struct Released {
    gone: Gone,
    /// To be tried again, and when.
    kept: Vec<(u64, Position)>,
    /// Some went where they must become durable.
    commit: bool,
}

/// A message that is due, as it is in the queue.
struct Due {
    position: Position,
    message: Owned,
}

/// Takes note of new messages and releases those that are due. Returns when to come again.
pub(super) fn serve(broker: &Broker, vhost: &Arc<VirtualHost>) -> Option<u64> {
    let mut touched = Touched::default();
    let mut waiting = vhost.delays.waiting.lock();
    let queue = waiting.queue.clone()?;
    if std::mem::take(&mut waiting.look) {
        take_note(broker, &queue, &mut waiting, &mut touched);
        waiting.read_index(vhost, &queue);
    }
    let now = now_ms();
    waiting.read_ahead(vhost, &queue, now);
    let (due, passed) = take_due(&mut waiting, vhost, &queue, now);
    drop(waiting);
    let too_early = due.is_empty();
    let released = release(vhost, &queue, due, now, &mut touched);
    let epoch = if released.commit {
        broker.committer.open_epoch()
    } else {
        0
    };
    let mut waiting = vhost.delays.waiting.lock();
    // It may have been deleted meanwhile, and all that waited with it.
    if waiting.is_of(&queue) {
        waiting.due.extend(released.kept);
        for (position, bytes, exchange) in released.gone {
            waiting.fresh.positions.push((position, bytes));
            waiting.uncount(&exchange);
        }
        waiting.fresh.epoch = waiting.fresh.epoch.max(epoch);
        waiting.settle_durable(&broker.committer, &mut touched);
    }
    // Those that were passed over are first, and would be looked at again and again until they are here.
    let next = waiting
        .due
        .first()
        .map(|&(at, _)| if passed { now + PASSED_MS } else { at });
    let settle = waiting.has_gone().then_some(now + DURABLE_MS);
    drop(waiting);
    // A look that is too early is nothing that happens.
    if !too_early || !touched.is_empty() {
        touched.finish(&broker.committer);
    }
    next.into_iter().chain(settle).min()
}

/// Takes all new messages out of the queue's ready ones, and notes the times of those that are in memory.
fn take_note(broker: &Broker, queue: &Handle, waiting: &mut Waiting, touched: &mut Touched) {
    let noted = queue.with(&broker.committer, touched, |model, _| {
        model.take_all(|position, message| {
            let (due, exchange) = Wrapped::read(&message)
                .map_or((0, ""), |wrapped| (wrapped.due, wrapped.exchange()));
            waiting.note(due, position, exchange);
        })
    });
    match noted {
        Some((away, _)) => waiting.unread.extend(away),
        // The queue was deleted, and with it all that waited.
        None => *waiting = Waiting::default(),
    }
}

/// Those that are due. If some of them are not here, they are read back, and come again.
fn take_due(
    waiting: &mut Waiting,
    vhost: &Arc<VirtualHost>,
    queue: &Handle,
    now: u64,
) -> (Vec<Due>, bool) {
    let (mut due, mut wanted) = (Vec::new(), Vec::new());
    let (mut due_bytes, mut wanted_bytes) = (0, 0);
    let mut passed = Vec::new();
    let loading = waiting.is_loading();
    let state = queue.state.lock();
    while due.len() < RELEASED_MAX
        && due_bytes < RELEASED_BYTES_MAX
        && wanted.len() < RELEASED_MAX
        && wanted_bytes < RELEASED_BYTES_MAX
        && let Some(&(at, position)) = waiting.due.first()
        && at <= now
    {
        waiting.due.remove(&(at, position));
        let found = match waiting.ahead.take(position) {
            Some(message) => Found::Here(message),
            None => state.model.find(position, |message| Owned::from(message)),
        };
        match found {
            Found::Here(message) => {
                due_bytes += cost(&message);
                due.push(Due { position, message });
            }
            Found::Settled => {}
            // What is being read may be this one, and if not, it is the next.
            Found::Stored(_) if loading => {
                passed.push((at, position));
                if passed.len() == RELEASED_MAX {
                    break;
                }
            }
            Found::Stored(records) => {
                wanted_bytes += records.first().map_or(0, mean);
                wanted.push(Wanted {
                    due: at,
                    position,
                    records,
                    taken: true,
                });
            }
        }
    }
    drop(state);
    let is_passed = !passed.is_empty();
    waiting.due.extend(passed);
    if is_passed || !wanted.is_empty() {
        waiting.look_ahead_again();
    }
    waiting.load(vhost, queue, wanted, RELEASED_BYTES_MAX);
    (due, is_passed)
}

type Gone = Vec<(Position, u32, Box<str>)>;

/// Routes messages whose time has come. Returns those that have gone on or are lost, and those that must wait longer because a plugin on
/// their way has no answer now.
fn release(
    vhost: &Arc<VirtualHost>,
    queue: &Handle,
    due: Vec<Due>,
    now: u64,
    touched: &mut Touched,
) -> Released {
    let mut released = Released::default();
    if due.is_empty() {
        return released;
    }
    let (gone, kept) = (&mut released.gone, &mut released.kept);
    let mut commit = false;
    let mut ingress = Ingress::new(Arc::clone(vhost), "".into());
    ingress.for_each(due, |ingress, Due { position, message }| {
        if ingress.is_due() {
            commit |= ingress.flush(&[], touched).commit;
        }
        let bytes = small(message.body.len());
        let stored = borrowed(&message);
        let Some(wrapped) = Wrapped::read(&stored) else {
            tracing::error!(vhost = %vhost.name, queue = %queue.name, position, "a delayed message is damaged, and is lost");
            gone.push((position, bytes, "".into()));
            return;
        };
        ingress.speak_for(wrapped.source);
        let outcome = match wrapped.onward {
            Onward::Published => ingress.publish_late(wrapped.message()),
            Onward::Queue(name) => Ok(ingress.put_into(name, wrapped.message())),
            Onward::Exchange(name) => ingress.publish_from(name, wrapped.message()),
        };
        match outcome {
            Ok(Outcome::Routed | Outcome::Taken) => {}
            Ok(refusal @ (Outcome::Refused(_) | Outcome::Full)) => {
                tracing::debug!(vhost = %vhost.name, ?refusal, "a delayed message waits longer");
                let late = now.saturating_sub(wrapped.due) / REFUSED_LATER;
                let wait = late.clamp(REFUSED_RETRY_MS, REFUSED_RETRY_MS_MAX);
                kept.push((now + wait, position));
                return;
            }
            Ok(Outcome::Unroutable) => {
                tracing::debug!(vhost = %vhost.name, "a delayed message reaches no queue");
            }
            outcome => {
                tracing::warn!(vhost = %vhost.name, ?outcome, "a delayed message is lost");
            }
        }
        gone.push((position, bytes, wrapped.exchange().into()));
    });
    commit |= ingress.flush(&[], touched).commit;
    released.commit = commit;
    released
}
