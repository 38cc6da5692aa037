//! A stream: messages that stay when they are consumed, and that any number of consumers read from where they like.
//!
//! `x-queue-type: stream`. What a queue's positions are, are a stream's *offsets*: consumers see them, as the header `x-stream-offset`, and
//! come back with them. So only what is durable is delivered, or a crash could give an offset that a consumer knows to another
//! message. An acknowledgement is nothing but credit for more.
//!
//! Messages are held as in a queue: records in the store, blocks in memory where somebody reads. Blocks are shared by all consumers
//! that are at the same place, and go when the last one has passed.

mod chunk;
mod dispatch;
mod filter;
mod header;
mod look;
mod persist;
mod reader;
mod recovery;
mod retention;
mod state;
mod subscription;
#[cfg(test)]
mod tests;
mod tracking;

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use slab::Slab;

use crate::message::{Batch, Message};
use crate::queue::log::SEGMENT_BYTES as CHUNK_BYTES;
use crate::queue::{
    Consumer, ConsumerKey, ConsumerOptions, Contents, Counters, Effects, Held, PageIn,
};
use crate::queue_arguments::QueueArguments;
use crate::store::{Position, QueueId, RecordRef};

pub use look::Look;
pub use recovery::recover;
pub use subscription::Subscription;

use chunk::Chunk;
use reader::Reader;
use retention::Retention;
use tracking::Tracking;

/// One stream's state, for consumers on connections `C`.
///
/// It must be [told the time](Self::tell_time) before it is changed, and [`expire`](Self::expire) is due after that.
#[derive(Debug)]
pub struct Stream<C> {
    id: QueueId,
    /// In milliseconds since the Unix epoch; never goes back.
    now: u64,
    /// Sorted, without overlaps. The last one may be open: it has its block and is written to.
    chunks: VecDeque<Chunk>,
    /// The bases of those that have their block.
    loaded: BTreeSet<Position>,
    /// Bytes of memory held by all chunks but the last.
    resident: usize,
    /// The offset that the next message gets.
    tail: Position,
    /// What is below is in a record.
    taken: Position,
    /// What is below is durable, and may be delivered.
    durable: Position,
    count: u64,
    /// As retention counts.
    bytes: u64,
    retention: Retention,
    readers: Slab<Reader<C>>,
    serial: u32,
    /// Who is served first in the next dispatch.
    turn: usize,
    tracking: Tracking,
    /// Nobody gets anything at present.
    paused: bool,
    counters: Counters,
    wanted: Vec<PageIn>,
    /// Records that are let go, to be removed with the next commit.
    obsolete: Vec<RecordRef>,
    /// The state that was written last, to leave out one that says the same.
    state: Bytes,
    /// Properties with their offset, before they are appended.
    scratch: Vec<u8>,
}

impl<C> Stream<C> {
    /// An empty stream.
    pub fn new(id: QueueId, arguments: &QueueArguments) -> Self {
        Self {
            id,
            now: 0,
            chunks: VecDeque::new(),
            loaded: BTreeSet::new(),
            resident: 0,
            tail: 0,
            taken: 0,
            durable: 0,
            count: 0,
            bytes: 0,
            retention: Retention::new(arguments),
            readers: Slab::new(),
            serial: 0,
            turn: 0,
            tracking: Tracking::default(),
            paused: false,
            counters: Counters::default(),
            wanted: Vec::new(),
            obsolete: Vec::new(),
            state: Bytes::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes over what the arguments say of how long messages stay, merged with the policies that are in force. A segment that has begun
    /// keeps to it from its next message on.
    pub fn configure(&mut self, arguments: &QueueArguments) {
        self.retention.configure(arguments);
    }

    /// Says what time it is, in milliseconds since the Unix epoch. Messages are published at that time, and grow old by it.
    pub fn tell_time(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// The time that it was told last.
    pub fn time(&self) -> u64 {
        self.now
    }

    /// Lets go of what retention does not keep.
    pub fn expire(&mut self) -> Effects {
        self.retain()
    }

    /// When there is something to let go if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        self.retention_deadline()
    }

    /// Messages that it has, durable or not.
    pub fn message_count(&self) -> u64 {
        self.count
    }

    /// Messages that were delivered and not acknowledged, to all consumers together.
    pub fn unacked_count(&self) -> u64 {
        let in_flight = |(_, reader): (usize, &Reader<C>)| u64::from(reader.consumer.in_flight);
        self.readers.iter().map(in_flight).sum()
    }

    /// Spec: `consumer-count`.
    pub fn consumer_count(&self) -> usize {
        self.readers.len()
    }

    /// The consumers.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer<C>> {
        self.readers.iter().map(|(_, reader)| &reader.consumer)
    }

    /// Segments that it consists of; retention lets go of whole ones.
    pub fn segment_count(&self) -> usize {
        self.chunks.len()
    }

    /// How many messages the consumer that is furthest behind has yet to look at; `None` without consumers.
    pub fn lag(&self) -> Option<u64> {
        // Where one begins that has not been asked yet is not known.
        let begun = self.readers.iter().map(|(_, reader)| reader);
        let begun = begun.filter(|reader| reader.start.is_none());
        begun
            .map(|reader| self.durable.saturating_sub(reader.next))
            .max()
    }

    /// Figures since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What a listing shows of its messages, all of which are ready and persistent.
    pub fn contents(&self) -> Contents {
        let in_memory = self.chunks.iter().filter(|chunk| chunk.block.is_some());
        let lengths = in_memory.clone().map(|chunk| u64::from(chunk.len));
        let in_memory_count = lengths.sum();
        Contents {
            ready_bytes: self.bytes,
            unacked_bytes: 0,
            persistent_count: self.count,
            persistent_bytes: self.bytes,
            in_memory_count,
            ready_in_memory_count: in_memory_count,
            in_memory_bytes: in_memory.map(|chunk| chunk.bytes).sum(),
        }
    }

    /// Whether a message that came now would go out to somebody as soon as it is durable.
    pub fn is_served(&self) -> bool {
        let can_take = |(_, reader): (usize, &Reader<C>)| !reader.gone && reader.credit() > 0;
        !self.paused && self.readers.iter().any(can_take)
    }

    /// Stops deliveries, also across restarts, or lets them go on; dispatch is due then.
    pub fn set_paused(&mut self, paused: bool) -> Effects {
        self.paused = paused;
        Effects {
            settle: true,
            ..Effects::default()
        }
    }

    /// Whether deliveries have been stopped.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Bytes of memory that its messages hold.
    pub fn memory(&self) -> usize {
        self.resident + self.chunks.back().map_or(0, Chunk::memory)
    }

    /// The tags of the consumers that are remembered, and the offset that each gets next.
    pub fn tracked(&self) -> impl Iterator<Item = (&str, Position)> {
        self.tracking.iter()
    }

    /// Puts messages at the end. They are delivered when they are durable.
    pub fn publish<B: Batch>(&mut self, batch: &B) -> Effects {
        self.counters.published += batch.len() as u64;
        for index in 0..batch.len() {
            self.append(&batch.message(index));
        }
        Effects {
            commit: !batch.is_empty(),
            ..Effects::default()
        }
    }

    /// Admits a consumer. Messages follow with the next dispatch, which is due, also while the stream is paused.
    ///
    /// It begins where its arguments say. If they say nothing and the client chose the tag itself, it goes on behind what a consumer of
    /// that tag acknowledged before; else it gets what is published from now on.
    pub fn consume(&mut self, connection: C, options: ConsumerOptions) -> ConsumerKey {
        let tracked = self.tracking.of(&options.tag);
        self.serial = self.serial.wrapping_add(1);
        let entry = self.readers.vacant_entry();
        let consumer = Consumer::new(entry.key(), self.serial, connection, options);
        let key = consumer.key;
        entry.insert(Reader::new(consumer, tracked, self.now));
        self.begin(key.slot());
        key
    }

    /// Lets a consumer go.
    pub fn cancel(&mut self, key: ConsumerKey) -> Option<C> {
        self.reader(key)?;
        let reader = self.readers.remove(key.slot());
        Some(reader.consumer.connection)
    }

    /// A consumer is done with messages, in whatever way: it gets as many more. Dispatch is due afterwards.
    pub fn settle(&mut self, held: Held<'_>) -> Effects {
        self.counters.acked += held.positions.len() as u64;
        self.credit(held)
    }

    /// As [`settle`](Self::settle), for messages that a consumer does not want: they stay where they are, and do not come again.
    pub fn requeue(&mut self, held: Held<'_>) -> Effects {
        self.credit(held)
    }

    fn credit(&mut self, held: Held<'_>) -> Effects {
        let Some(reader) = held.consumer.and_then(|key| self.reader(key)) else {
            return Effects::default();
        };
        let next = reader.settle(held.positions);
        let tag = reader.consumer.options.tag.clone();
        Effects {
            settle: next.is_some_and(|next| self.tracking.set(&tag, next)),
            ..Effects::default()
        }
    }

    fn reader(&mut self, key: ConsumerKey) -> Option<&mut Reader<C>> {
        let reader = self.readers.get_mut(key.slot())?;
        (reader.consumer.key == key).then_some(reader)
    }

    fn append(&mut self, message: &Message<'_>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        header::with_offset(message.properties, self.tail, &mut scratch);
        let message = Message {
            properties: &scratch,
            persistent: true,
            ..*message
        };
        self.roll();
        if let Some(last) = self.chunks.back_mut() {
            let before = last.bytes;
            last.push(&message, self.now);
            self.bytes += last.bytes - before;
        }
        self.count += 1;
        self.tail += 1;
        self.scratch = scratch;
    }

    /// Sees to it that the last chunk is open and has room.
    fn roll(&mut self) {
        let active = self.chunks.iter().rev();
        let active = active.take_while(|chunk| chunk.base >= self.retention.active);
        let segment_bytes = self.retention.segment_bytes(self.bytes);
        let chunk_bytes = usize::try_from(segment_bytes).unwrap_or(usize::MAX);
        let is_open = self.chunks.back().is_some_and(|last| {
            let block = last.block.as_ref().filter(|_| last.end() == self.tail);
            block.is_some_and(|block| !block.is_full(CHUNK_BYTES.min(chunk_bytes)))
        });
        if is_open {
            return;
        }
        if active.map(|chunk| chunk.bytes).sum::<u64>() >= segment_bytes {
            self.retention.active = self.tail;
        }
        self.resident += self.chunks.back().map_or(0, Chunk::memory);
        self.chunks.push_back(Chunk::new(self.tail));
        self.loaded.insert(self.tail);
    }

    /// The chunk that holds `position`, or the next one if that is gone.
    fn find(&self, position: Position) -> usize {
        self.chunks.partition_point(|chunk| chunk.end() <= position)
    }

    /// A chunk goes, with its records.
    fn drop_chunk(&mut self, at: usize) {
        let is_last = at + 1 == self.chunks.len();
        let Some(chunk) = self.chunks.remove(at) else {
            return;
        };
        self.count -= u64::from(chunk.len);
        self.bytes -= chunk.bytes;
        self.loaded.remove(&chunk.base);
        self.obsolete.extend(chunk.records);
        let gone = chunk
            .block
            .as_ref()
            .map_or(0, crate::queue::block::Block::memory);
        self.resident -= if is_last { 0 } else { gone };
        if is_last {
            // The one before is the last now, which is counted apart.
            self.resident -= self.chunks.back().map_or(0, Chunk::memory);
        }
    }
}
