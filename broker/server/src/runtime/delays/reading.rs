//! Reading what waits back from the store, record by record, without making the queue hold it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use amphora_core::message::Message;
use amphora_core::queue::{Effects, PageIn, RecordData, read_record};
use amphora_core::store::{Position, RecordId, RecordRef, StoreError};
use bytes::Bytes;

use super::wrapping::Wrapped;
use super::{Handle, Waiting};
use crate::runtime::batch::Owned;
use crate::runtime::peer::Touched;
use crate::runtime::vhost::VirtualHost;

/// A message that is to be read back, and where it may be.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) due: u64,
    pub(super) position: Position,
    pub(super) records: Vec<RecordRef>,
    /// It is not in the index meanwhile, because it is due.
    pub(super) taken: bool,
}

/// What came of reading a message back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read<T> {
    /// What was taken of it.
    Here(T),
    /// It was not looked at, as there was no more room.
    NotYet,
    /// It is not there.
    Lost,
}

/// Reads messages back as they are in the queue, each record once. What is lost is told in the log. `take` is shown each of them as long as it has
/// room. Nothing at all if the broker stops before the store can be read. Blocks.
pub(super) fn messages<T>(
    vhost: &VirtualHost,
    queue: &Handle,
    wanted: &[Wanted],
    mut take: impl FnMut(&Message<'_>) -> Option<T>,
) -> Option<Vec<Read<T>>> {
    let mut records: BTreeMap<RecordId, RecordRef> = BTreeMap::new();
    let mut places: HashMap<Position, usize> = HashMap::new();
    for (place, want) in wanted.iter().enumerate() {
        places.insert(want.position, place);
        records.extend(want.records.iter().map(|record| (record.id, *record)));
    }
    let mut found: Vec<Read<T>> = wanted.iter().map(|_| Read::Lost).collect();
    let (mut failure, mut has_room) = (None, true);
    for record in records.values() {
        let read = walk(vhost, queue, record, |position, message| {
            let place = places
                .get(&position)
                .and_then(|&place| found.get_mut(place));
            if let Some(place) = place
                && has_room
            {
                match take(&message) {
                    Some(taken) => *place = Read::Here(taken),
                    None => has_room = false,
                }
            }
        });
        failure = match read {
            Err(StoreError::Unavailable(_)) => return None,
            read => read.err().or(failure),
        };
        if !has_room {
            for place in &mut found {
                if matches!(place, Read::Lost) {
                    *place = Read::NotYet;
                }
            }
            return Some(found);
        }
    }
    let is_lost = |message: &&Read<T>| matches!(message, Read::Lost);
    let lost = found.iter().filter(is_lost).count();
    // What was settled meanwhile, with its records, is not lost.
    if lost > 0
        && let Some(error) = failure
    {
        tracing::error!(vhost = %vhost.name, lost, %error, "delayed messages cannot be read back and are lost");
    }
    Some(found)
}

/// One allocation for all parts: there may be many.
pub(super) fn compact(message: &Message<'_>) -> Owned {
    let (target, properties) = (message.target, message.properties);
    let whole = Bytes::from([target, properties, message.body.bytes()].concat());
    let (first, second) = (target.len(), target.len() + properties.len());
    Owned {
        target: whole.slice(..first),
        properties: whole.slice(first..second),
        body: whole.slice(second..),
    }
}

fn walk(
    vhost: &VirtualHost,
    queue: &Handle,
    record: &RecordRef,
    mut each: impl FnMut(Position, Message<'_>),
) -> Result<(), StoreError> {
    let read = |queue, record: &RecordRef| vhost.committer.read(queue, record);
    let whole = RecordData::read(queue.id, record, read)?;
    read_record(&whole.data, &whole.bodies, |position, message, _| {
        each(position, message);
    })
    .map_err(|malformed| StoreError::Damaged {
        what: format!("record {}", record.id.0),
        reason: malformed.0.to_owned(),
    })
}

impl Waiting {
    /// Has the messages of an earlier run put into the index, a stretch of the queue at a time, if nobody does so already.
    pub(super) fn read_index(&mut self, vhost: &Arc<VirtualHost>, queue: &Handle) {
        if self.unread.is_empty() || self.reading {
            return;
        }
        self.reading = true;
        // From the front: the oldest messages are due first, mostly.
        self.unread.reverse();
        let (vhost, queue) = (Arc::clone(vhost), Arc::clone(queue));
        vhost.committer.clone().read_aside(move || {
            while let Some(stretch) = next(&vhost, &queue) {
                index(&vhost, &queue, &stretch);
                vhost.delays.wake.notify_one();
            }
        });
    }
}

fn next(vhost: &VirtualHost, queue: &Handle) -> Option<PageIn> {
    let mut waiting = vhost.delays.waiting.lock();
    if !waiting.is_of(queue) {
        return None;
    }
    let next = waiting.unread.pop();
    if next.is_none() {
        waiting.reading = false;
        waiting.look_ahead_again();
        vhost.delays.wake.notify_one();
    }
    next
}

fn index(vhost: &VirtualHost, queue: &Handle, stretch: &PageIn) {
    let mut found: Vec<(u64, Position, Box<str>)> = Vec::new();
    let mut failure = None;
    for record in &stretch.records {
        let read = walk(vhost, queue, record, |position, message| {
            // One that is damaged is due at once, and told then.
            let (due, exchange) = Wrapped::read(&message)
                .map_or((0, ""), |wrapped| (wrapped.due, wrapped.exchange()));
            found.push((due, position, exchange.into()));
        });
        failure = match read {
            // The broker stops, and the messages stay where they are.
            Err(StoreError::Unavailable(_)) => return,
            read => read.err().or(failure),
        };
    }
    let mut waiting = vhost.delays.waiting.lock();
    if !waiting.is_of(queue) {
        return;
    }
    let mut touched = Touched::default();
    queue.with(&vhost.committer, &mut touched, |model, _| {
        for (due, position, exchange) in found {
            if !model.is_settled(position) {
                waiting.note(due, position, &exchange);
            }
        }
        let settle = failure.is_some();
        if let Some(error) = failure
            && let Some((first, last)) = model.lose(stretch.base)
        {
            tracing::error!(
                vhost = %vhost.name, first, last, %error, "delayed messages cannot be read back and are lost"
            );
        }
        let effects = Effects {
            settle,
            ..Effects::default()
        };
        ((), effects)
    });
    drop(waiting);
    touched.finish(&vhost.committer);
}
