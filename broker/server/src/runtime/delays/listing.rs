//! What waits, for those who ask, and who want some of it gone.

use amphora_core::queue::Found;
use amphora_core::store::Position;
use amphora_core::topology::ConnectionId;
use amphora_protocol::exception::ChannelException;

use super::reading::{self, Wanted};
use super::wrapping::Wrapped;
use super::{Delays, Handle, QUEUE, Waiting};
use crate::runtime::batch::{Owned, small};
use crate::runtime::delete_condition::DeleteCondition;
use crate::runtime::peer::Touched;
use crate::runtime::special::borrowed;
use crate::runtime::vhost::{Changed, INTERNAL, VirtualHost};

/// A message that waits.
#[derive(Debug)]
pub(in crate::runtime) struct Waits {
    /// When it is due, in milliseconds since 1970, and where it is in the queue: together, they name it.
    pub(in crate::runtime) due: u64,
    pub(in crate::runtime) position: Position,
    /// The exchange that it waits at.
    pub(in crate::runtime) exchange: String,
    pub(in crate::runtime) message: Owned,
}

impl Delays {
    /// So many messages after the first `skip`, in the order of their times, and how many there are. Blocks while it reads.
    pub(in crate::runtime) fn list(
        &self,
        vhost: &VirtualHost,
        skip: usize,
        count: usize,
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
        (total, read(vhost, &queue, keys))
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
        let cancelled = read(vhost, &queue, vec![(due, position)]);
        let mut waiting = self.waiting.lock();
        if !waiting.is_of(&queue) || !waiting.due.remove(&(due, position)) {
            return false;
        }
        let bytes = cancelled.first().map_or(0, |waits| {
            waiting.uncount(&waits.exchange);
            small(waits.message.body.len())
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
            (ConnectionId::NONE, INTERNAL),
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

/// The messages with these keys, as far as they still wait.
fn read(vhost: &VirtualHost, queue: &Handle, keys: Vec<(u64, Position)>) -> Vec<Waits> {
    let mut found: Vec<((u64, Position), Option<Owned>)> = Vec::with_capacity(keys.len());
    let mut wanted = Vec::new();
    let state = queue.state.lock();
    for (due, position) in keys {
        match state.model.find(position, |message| Owned::from(message)) {
            Found::Here(message) => found.push(((due, position), Some(message))),
            Found::Settled => {}
            Found::Stored(records) => {
                found.push(((due, position), None));
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
    let stored = reading::messages(vhost, queue, &wanted);
    let mut stored = stored.into_iter().flatten();
    let messages = found.into_iter().filter_map(|((due, position), message)| {
        let message = message.or_else(|| stored.next().flatten())?;
        let wrapped = borrowed(&message);
        let wrapped = Wrapped::read(&wrapped)?;
        Some(Waits {
            due,
            position,
            exchange: wrapped.exchange().to_owned(),
            message: wrapped.message(),
        })
    });
    messages.collect()
}

impl Waiting {
    /// Whether the queue was deleted, and all that waited with it.
    pub(super) fn is_over(&self) -> bool {
        let queue = self.queue.as_ref();
        queue.is_some_and(|queue| queue.state.lock().deleted)
    }
}
