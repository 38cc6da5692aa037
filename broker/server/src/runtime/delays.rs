//! Messages that wait for their time: in one durable queue of each virtual host, with an index by time in memory.
//!
//! Such a message survives a restart as any other of its queue does. When its time comes it is routed, and only when that is noted for the
//! committer is it settled; so a crash in between may make it come twice, and never loses it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::message::{Delivery, Message};
use amphora_core::queue::{Effects, Get, Held};
use amphora_core::store::Position;
use amphora_core::topology::{ConnectionId, QueueDeclaration};
use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{QueueName, ShortString};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::Owned;
use super::broker::Broker;
use super::ingress::{Ingress, Outcome};
use super::peer::Touched;
use super::special::is_persistent;
use super::timers::now_ms;
use super::vhost::{Handle, VirtualHost};

/// The queue's name. Its prefix keeps clients from declaring it otherwise; they may look at it, and delete it to cancel all that waits.
pub(super) const QUEUE: &str = "amq.amphora.delayed";

/// The header that says until when a message waits, in milliseconds since 1970, for whoever looks into the queue.
const UNTIL: &str = "x-delayed-until";

/// The version of the wrapping.
const VERSION: u8 = 1;

/// Messages that are released in one go: between two of them, others may come that are due.
const RELEASED_MAX: usize = 1024;

/// A queue that could not be read is looked at again after this time.
const RETRY: Duration = Duration::from_millis(100);

/// A message that has to be read back is asked for again after this time.
const READ_BACK_MS: u64 = 10;

/// A message that is refused, because a plugin on its way fails or is not there, is tried again after this time, and given up after that one.
const REFUSED_RETRY_MS: u64 = 1000;
const REFUSED_MS_MAX: u64 = 600_000;

/// The messages of one virtual host that wait. Its lock is taken before that of its queue.
#[derive(Debug)]
pub(super) struct Delays {
    waiting: Mutex<Waiting>,
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: Option<Handle>,
    /// When, and where in the queue.
    due: BTreeSet<(u64, Position)>,
    /// There may be messages in the queue that are not in `due`.
    look: bool,
}

impl Delays {
    /// `wake` wakes the task that [`run`]s.
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self {
            waiting: Mutex::default(),
            wake,
        }
    }

    /// The queue in which messages wait; it is made when the first one does.
    pub(super) fn queue(&self, vhost: &VirtualHost) -> Result<Handle, ChannelException> {
        let known = self.waiting.lock().queue.clone();
        if let Some(queue) = known.filter(|queue| !queue.state.lock().deleted) {
            return Ok(queue);
        }
        let declaration = QueueDeclaration {
            name: QueueName::new(QUEUE).unwrap_or_default(),
            // Such names are the broker's own to give.
            server_named: true,
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: FieldTable::new(),
        };
        let declared = vhost.declare_queue(declaration, ConnectionId::NONE)?;
        let mut waiting = self.waiting.lock();
        let known = waiting.queue.as_ref();
        if !known.is_some_and(|known| Arc::ptr_eq(known, &declared.result)) {
            *waiting = Waiting {
                queue: Some(Arc::clone(&declared.result)),
                due: BTreeSet::new(),
                look: true,
            };
        }
        Ok(declared.result)
    }

    /// Takes the queue of an earlier run of the broker up again.
    pub(super) fn recover(&self, queue: Option<Handle>) {
        let mut waiting = self.waiting.lock();
        waiting.look = queue.is_some();
        waiting.queue = queue;
    }

    /// There is something new in the queue.
    pub(super) fn look(&self) {
        self.waiting.lock().look = true;
        self.wake.notify_one();
    }
}

/// Runs as long as the broker: releases what is due, and sleeps until something is.
pub(super) async fn run(broker: Arc<Broker>) {
    let wake = Arc::clone(&broker.delays_wake);
    loop {
        let mut next: Option<u64> = None;
        for vhost in broker.vhosts() {
            let due = serve(&broker, &vhost);
            next = next.into_iter().chain(due).min();
        }
        let Some(next) = next else {
            wake.notified().await;
            continue;
        };
        let wait = Duration::from_millis(next.saturating_sub(now_ms()));
        // Either way, the next look says what to do.
        let _ = tokio::time::timeout(wait, wake.notified()).await;
    }
}

/// Takes note of new messages and releases those that are due. Returns when to come again.
fn serve(broker: &Broker, vhost: &Arc<VirtualHost>) -> Option<u64> {
    let mut waiting = vhost.delays.waiting.lock();
    let queue = waiting.queue.clone()?;
    if std::mem::take(&mut waiting.look) && take_note(broker, &queue, &mut waiting) == Noted::Away {
        waiting.look = true;
        return Some(now_ms() + u64::try_from(RETRY.as_millis()).unwrap_or(u64::MAX));
    }
    let now = now_ms();
    let mut due = Vec::new();
    while due.len() < RELEASED_MAX
        && let Some(&first) = waiting.due.first()
        && first.0 <= now
    {
        waiting.due.remove(&first);
        due.push(first);
    }
    drop(waiting);
    let kept = release(broker, vhost, &queue, &due, now);
    let mut waiting = vhost.delays.waiting.lock();
    // It may have been deleted meanwhile, and all that waited with it.
    let is_same = |known: &Handle| Arc::ptr_eq(known, &queue);
    if waiting.queue.as_ref().is_some_and(is_same) {
        waiting.due.extend(kept);
    }
    waiting.due.first().map(|&(at, _)| at)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    All,
    /// A part of the queue must be read back first.
    Away,
}

/// Takes all new messages out of the queue's ready ones, and notes their times.
fn take_note(broker: &Broker, queue: &Handle, waiting: &mut Waiting) -> Noted {
    let mut touched = Touched::default();
    let due = &mut waiting.due;
    let noted = queue.with(&broker.committer, &mut touched, |model, _| {
        let mut effects = Effects::default();
        loop {
            let (got, more) = model.get(false, |delivery, _| due.insert(time_of(&delivery)));
            effects = effects.and(more);
            match got {
                Get::Message(_) => {}
                Get::Empty => return (Noted::All, effects),
                Get::Away => return (Noted::Away, effects),
            }
        }
    });
    touched.finish(&broker.committer);
    if let Some((noted, _)) = noted {
        return noted;
    }
    // The queue was deleted, and with it all that waited.
    *waiting = Waiting::default();
    Noted::All
}

fn time_of(delivery: &Delivery<'_>) -> (u64, Position) {
    let mut body = delivery.message.body.bytes();
    let due = if body.try_get_u8() == Ok(VERSION) {
        body.try_get_u64().unwrap_or(0)
    } else {
        0
    };
    (due, delivery.position)
}

/// Routes messages whose time has come. Returns those that must wait longer: they have to be read back first, or a plugin on their
/// way has no answer now.
fn release(
    broker: &Broker,
    vhost: &Arc<VirtualHost>,
    queue: &Handle,
    due: &[(u64, Position)],
    now: u64,
) -> Vec<(u64, Position)> {
    if due.is_empty() {
        return Vec::new();
    }
    let mut touched = Touched::default();
    let (mut messages, mut kept, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let read = queue.with(&broker.committer, &mut touched, |model, _| {
        let mut effects = Effects::default();
        for &(at, position) in due {
            let (got, more) = model.held(position, |message| unwrapped(&message));
            effects = effects.and(more);
            match got {
                Get::Message(message) => messages.push((position, message)),
                Get::Empty => {}
                Get::Away => kept.push((at.max(now + READ_BACK_MS), position)),
            }
        }
        ((), effects)
    });
    if read.is_none() {
        touched.finish(&broker.committer);
        return Vec::new();
    }
    let mut ingress = Ingress::new(Arc::clone(vhost), "".into());
    for (position, message) in messages {
        let Some((message, due, to)) = message else {
            tracing::error!(vhost = %vhost.name, "a delayed message is damaged, and is lost");
            gone.push(position);
            continue;
        };
        let outcome = if to.is_empty() {
            ingress.publish_internal(message)
        } else {
            Ok(ingress.put_into(&to, message))
        };
        match outcome {
            Ok(Outcome::Routed) => {}
            Ok(Outcome::Refused(reason)) if now < due.saturating_add(REFUSED_MS_MAX) => {
                tracing::debug!(vhost = %vhost.name, reason, "a delayed message waits longer");
                kept.push((now + REFUSED_RETRY_MS, position));
                continue;
            }
            Ok(Outcome::Unroutable) => {
                tracing::debug!(vhost = %vhost.name, "a delayed message reaches no queue");
            }
            outcome => {
                tracing::warn!(vhost = %vhost.name, ?outcome, "a delayed message is lost");
            }
        }
        gone.push(position);
    }
    ingress.flush(&[], &mut touched);
    // The destinations are noted for the committer, so this comes with them or after them.
    gone.sort_unstable();
    queue.with(&broker.committer, &mut touched, |model, _| {
        let held = Held {
            consumer: None,
            positions: &gone,
        };
        ((), model.settle(held))
    });
    touched.finish(&broker.committer);
    kept
}

/// The message as it waits until `due`, to be routed then, or put into `queue` if that has a name.
pub(super) fn wrap(message: &Owned, due: u64, queue: &str) -> Owned {
    let persistent = is_persistent(&message.properties);
    let mut headers = FieldTable::new();
    let until = FieldValue::I64(i64::try_from(due).unwrap_or(i64::MAX));
    headers.insert(ShortString::cut(UNTIL), until);
    let properties = BasicProperties {
        headers: Some(headers),
        delivery_mode: Some(if persistent { 2 } else { 1 }),
        ..BasicProperties::default()
    };
    let length = message.properties.len() + message.body.len() + queue.len() + 14;
    let mut body = BytesMut::with_capacity(length);
    body.put_u8(VERSION);
    body.put_u64(due);
    // A queue's name is checked to be that short when it is made.
    body.put_u8(u8::try_from(queue.len()).unwrap_or(u8::MAX));
    body.put_slice(queue.as_bytes());
    body.put_u32(super::batch::small(message.properties.len()));
    body.put_slice(&message.properties);
    body.put_slice(&message.body);
    Owned {
        target: message.target.clone(),
        properties: properties.to_bytes(),
        body: body.freeze(),
    }
}

/// The message as it was before it waited, when it was due, and the queue that it goes to.
fn unwrapped(message: &Message<'_>) -> Option<(Owned, u64, String)> {
    let mut rest = message.body.bytes();
    if rest.try_get_u8().ok()? != VERSION {
        return None;
    }
    let due = rest.try_get_u64().ok()?;
    let length = usize::from(rest.try_get_u8().ok()?);
    let (queue, mut rest) = rest.split_at_checked(length)?;
    let length = rest.try_get_u32().ok()? as usize;
    let (properties, body) = rest.split_at_checked(length)?;
    let queue = std::str::from_utf8(queue).ok()?.to_owned();
    RawProperties::new(properties).ok()?.check().ok()?;
    let message = Owned {
        target: Bytes::copy_from_slice(message.target),
        properties: Bytes::copy_from_slice(properties),
        body: Bytes::copy_from_slice(body),
    };
    Some((message, due, queue))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_same_after_waiting() {
        let message = Owned {
            target: Bytes::from_static(b"\x01x\x03key"),
            properties: Bytes::from_static(b"\x10\x00\x02"),
            body: Bytes::from_static(b"body"),
        };
        for queue in ["", "q"] {
            let waiting = wrap(&message, 77, queue);
            assert!(is_persistent(&waiting.properties));
            let as_stored = super::super::special::borrowed(&waiting);
            let delivery = Delivery {
                position: 5,
                redelivered: false,
                attempts: None,
                message: as_stored,
            };
            assert_eq!(time_of(&delivery), (77, 5));
            let (unwrapped, due, to) = unwrapped(&as_stored).expect("whole");
            assert_eq!((due, &*to), (77, queue));
            assert_eq!(unwrapped.target, message.target);
            assert_eq!(unwrapped.properties, message.properties);
            assert_eq!(unwrapped.body, message.body);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let message = Owned {
            target: Bytes::from_static(b"\0\0"),
            properties: Bytes::from_static(b"\0\0"),
            body: Bytes::new(),
        };
        let whole = wrap(&message, 1, "q");
        for length in 0..whole.body.len() {
            let cut = Owned {
                body: whole.body.slice(..length),
                ..whole.clone()
            };
            let cut = super::super::special::borrowed(&cut);
            assert_eq!(unwrapped(&cut).map(|(_, _, queue)| queue), None, "{length}");
        }
    }
}
