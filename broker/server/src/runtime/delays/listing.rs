//! What waits, for those who ask, and who want some of it gone.

use amphora_core::message::Message;
use amphora_core::queue::Found;
use amphora_core::store::Position;
use amphora_core::topology::{ConnectionId, INTERNAL_USER};
use amphora_protocol::exception::ChannelException;
use bytes::Bytes;

use super::reading::{self, Read, Wanted};
use super::wrapping::Wrapped;
use super::{Delays, Handle, QUEUE, Waiting};
use crate::runtime::batch::{Owned, small};
use crate::runtime::delete_condition::DeleteCondition;
use crate::runtime::peer::Touched;
use crate::runtime::special;
use crate::runtime::vhost::{Changed, VirtualHost};

/// Bytes of bodies that are shown at one time, at most.
const SHOWN_MAX: usize = 16 << 20;

/// A message that waits.
#[derive(Debug)]
pub(in crate::runtime) struct Waits {
    /// When it is due, in milliseconds since 1970, and where it is in the queue: together, they name it.
    pub(in crate::runtime) due: u64,
    pub(in crate::runtime) position: Position,
    /// The exchange that it waits at.
    pub(in crate::runtime) exchange: String,
    /// With as much of the body as is shown.
    pub(in crate::runtime) message: Owned,
    /// Of the whole body.
    pub(in crate::runtime) body_bytes: usize,
    /// Of the body as it is in the queue.
    stored_bytes: usize,
}

impl Delays {
    /// So many messages after the first `skip`, in the order of their times, and how many there are. Of each body, so many bytes are shown, as long as
    /// all together are not too much. Blocks while it reads.
    pub(in crate::runtime) fn list(
        &self,
        vhost: &VirtualHost,
        skip: usize,
        count: usize,
        shown: usize,
    ) -> (usize, Vec<Waits>) {
        let waiting = self.waiting.lock();
        let Some(queue) = waiting.queue.clone() else {
            return (0, Vec::new());
        };
        if queue.state.lock().deleted {
            return (0, Vec::new());
        }
        let total = waiting.due.len();
        let keys = waiting.due.iter().skip(skip).take(count).copied().collect();
        drop(waiting);
        (total, read(vhost, &queue, keys, shown))
    }

    /// Lets a message that waits go nowhere. False if it does not wait, or not any more. Blocks while it reads.
    pub(in crate::runtime) fn cancel(
        &self,
        vhost: &VirtualHost,
        due: u64,
        position: Position,
    ) -> bool {
        let queue = self.waiting.lock().queue.clone();
        let Some(queue) = queue else {
            return false;
        };
        let cancelled = read(vhost, &queue, vec![(due, position)], 0);
        let mut waiting = self.waiting.lock();
        if !waiting.is_of(&queue) || !waiting.due.remove(&(due, position)) {
            return false;
        }
        let bytes = cancelled.first().map_or(0, |waits| {
            waiting.uncount(&waits.exchange);
            small(waits.stored_bytes)
        });
        waiting.ahead.take(position);
        drop(waiting);
        let mut touched = Touched::default();
        queue.with(&vhost.committer, &mut touched, |model, _| {
            ((), model.settle_found(&[(position, bytes)]))
        });
        touched.finish(&vhost.committer);
        true
    }

    /// Lets all that waits go nowhere. Returns how many messages that were.
    pub(in crate::runtime) fn cancel_all(
        &self,
        vhost: &VirtualHost,
    ) -> Result<Changed<usize>, ChannelException> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let mut touched = Touched::default();
        let deleted = vhost.delete_queue(
            QUEUE,
            (ConnectionId::NONE, INTERNAL_USER),
            DeleteCondition::default(),
            &mut touched,
        );
        touched.finish(&vhost.committer);
        Ok(Changed {
            result: waiting.due.len(),
            epoch: deleted?.epoch,
        })
    }
}

/// The messages with these keys, as far as they still wait, with so many bytes of each body.
fn read(
    vhost: &VirtualHost,
    queue: &Handle,
    keys: Vec<(u64, Position)>,
    shown: usize,
) -> Vec<Waits> {
    let mut left = SHOWN_MAX;
    let mut look = |key, message: &Message<'_>| {
        let waits = Waits::of(key, message, shown.min(left))?;
        left -= waits.message.body.len();
        Some(waits)
    };
    let mut found: Vec<((u64, Position), Option<Waits>)> = Vec::with_capacity(keys.len());
    let mut wanted = Vec::new();
    let state = queue.state.lock();
    for key in keys {
        let (due, position) = key;
        match state.model.find(position, |message| look(key, &message)) {
            Found::Here(Some(waits)) => found.push((key, Some(waits))),
            Found::Here(None) | Found::Settled => {}
            Found::Stored(records) => {
                found.push((key, None));
                wanted.push(Wanted {
                    due,
                    position,
                    records,
                    taken: false,
                });
            }
        }
    }
    drop(state);
    // What it is called is known only when it is read.
    let unnamed = (0, 0);
    let stored = reading::messages(vhost, queue, &wanted, |message| {
        Some(look(unnamed, message))
    });
    let mut stored = stored.into_iter().flatten();
    let messages = found.into_iter().filter_map(|(key, here)| {
        let waits = here.or_else(|| match stored.next()? {
            Read::Here(waits) => waits,
            Read::NotYet | Read::Lost => None,
        })?;
        let (due, position) = key;
        Some(Waits {
            due,
            position,
            ..waits
        })
    });
    messages.collect()
}

impl Waits {
    /// Nothing if the message is damaged.
    fn of((due, position): (u64, Position), message: &Message<'_>, shown: usize) -> Option<Self> {
        let wrapped = Wrapped::read(message)?;
        let body = wrapped.body.get(..shown).unwrap_or(wrapped.body);
        Some(Self {
            due,
            position,
            exchange: wrapped.exchange().to_owned(),
            message: Owned {
                target: Bytes::copy_from_slice(wrapped.target),
                properties: special::shown(wrapped.properties, None)
                    .unwrap_or_else(|| Bytes::copy_from_slice(wrapped.properties)),
                body: Bytes::copy_from_slice(body),
            },
            body_bytes: wrapped.body.len(),
            stored_bytes: message.body.bytes().len(),
        })
    }
}

impl Waiting {
    /// Whether the queue was deleted, and all that waited with it.
    pub(super) fn is_over(&self) -> bool {
        let queue = self.queue.as_ref();
        queue.is_some_and(|queue| queue.state.lock().deleted)
    }
}
