//! Who gets the next message: strict round-robin among the consumers of the highest priority that can take one.

mod assigning;

use std::collections::VecDeque;

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::ConsumerTag;
use slab::Slab;

use crate::store::Position;

/// A consumer's identity in its queue. Never reused within the life of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerKey {
    slot: u32,
    serial: u32,
}

/// What a client asked for with basic.consume.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// The tag, unique on its channel.
    pub tag: ConsumerTag,
    /// Messages are settled by their delivery.
    pub no_ack: bool,
    /// No other consumer is admitted.
    pub exclusive: bool,
    /// `x-priority`: a higher one is served first.
    pub priority: i32,
    /// Messages in flight at most; 0 is no limit.
    pub prefetch: u32,
    /// As the client gave them.
    pub arguments: FieldTable,
}

/// A consumer of a queue, on the connection `C`.
#[derive(Debug)]
pub struct Consumer<C> {
    /// Its identity.
    pub key: ConsumerKey,
    /// Where its messages go.
    pub connection: C,
    /// What it asked for.
    pub options: ConsumerOptions,
    /// Delivered and not settled.
    pub in_flight: u32,
    /// Assigned in the current dispatch, not yet encoded: positions, or indexes of a batch.
    pub(super) pending: Vec<u64>,
    /// What the connection takes in the current dispatch.
    room: Room,
    parked: Parked,
}

impl<C> Consumer<C> {
    /// A consumer that has got nothing yet; `slot` and `serial` are together never used again.
    pub(crate) fn new(slot: usize, serial: u32, connection: C, options: ConsumerOptions) -> Self {
        Self {
            key: ConsumerKey {
                slot: u32::try_from(slot).unwrap_or(u32::MAX),
                serial,
            },
            connection,
            options,
            in_flight: 0,
            pending: Vec::new(),
            room: Room::default(),
            parked: Parked::Room,
        }
    }

    /// Whether it can take one more message.
    fn has_place(&self) -> bool {
        !self.room.is_none() && self.has_credit()
    }

    /// It is asked again at the next dispatch.
    fn park_for_room(&mut self, waiting: &mut Vec<u32>) {
        if self.parked != Parked::Room {
            self.parked = Parked::Room;
            waiting.push(self.key.slot);
        }
    }

    /// `item` is what it will find in `pending`.
    fn give(&mut self, item: u64, cost: usize, assigned: &mut Vec<u32>) {
        if self.pending.is_empty() {
            assigned.push(self.key.slot);
        }
        if !self.options.no_ack {
            self.in_flight += 1;
        }
        self.room = self.room.less(cost);
        self.pending.push(item);
    }

    /// Whether its prefetch lets it have one more message.
    fn has_credit(&self) -> bool {
        let limited = !self.options.no_ack && self.options.prefetch != 0;
        !limited || self.in_flight < self.options.prefetch
    }
}

impl ConsumerKey {
    /// Where the queue keeps the consumer.
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What a connection takes for a consumer. An estimate: [`Sink::deliver`](super::Sink::deliver) is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes; the last message may exceed them.
    pub bytes: usize,
    /// Messages.
    pub messages: u32,
    /// Bytes that a message takes besides its [cost](crate::message::Message::cost).
    pub overhead: usize,
}

impl Room {
    pub(crate) fn is_none(self) -> bool {
        self.bytes == 0 || self.messages == 0
    }

    fn less(self, cost: usize) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(cost + self.overhead),
            messages: self.messages.saturating_sub(1),
            overhead: self.overhead,
        }
    }
}

/// How far a connection went in taking deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It took them all.
    All,
    /// It took so many and has no room for more.
    First(usize),
    /// It is closed and took none.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parked {
    /// In the ring.
    No,
    /// At its prefetch: comes back when something is settled.
    Credit,
    /// Its connection is full: comes back with the next dispatch.
    Room,
    /// Its connection is closed: comes back never.
    Gone,
    /// Another is the single active consumer: comes back when that one is gone.
    Standby,
}

#[derive(Debug)]
struct Group {
    priority: i32,
    ring: VecDeque<u32>,
}

#[derive(Debug)]
pub(super) struct Consumers<C> {
    slots: Slab<Consumer<C>>,
    groups: Vec<Group>,
    /// Those that are parked for want of room, the one that has waited longest first, and those whose connection was found closed meanwhile. Most of
    /// many consumers wait for credit: they are not looked at.
    waiting: Vec<u32>,
    /// Those with assignments.
    assigned: Vec<u32>,
    serial: u32,
    /// How many settle by delivery.
    no_ack: usize,
    /// Only one consumer gets messages at a time.
    single: bool,
}

impl<C> Default for Consumers<C> {
    fn default() -> Self {
        Self {
            slots: Slab::new(),
            groups: Vec::new(),
            waiting: Vec::new(),
            assigned: Vec::new(),
            serial: 0,
            no_ack: 0,
            single: false,
        }
    }
}

impl<C> Consumers<C> {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether any of them settles by delivery.
    pub(super) fn any_no_ack(&self) -> bool {
        self.no_ack > 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer<C>> {
        self.slots.iter().map(|(_, consumer)| consumer)
    }

    pub(super) fn add(&mut self, connection: C, options: ConsumerOptions) -> ConsumerKey {
        self.serial = self.serial.wrapping_add(1);
        let has_active = self.active().is_some();
        self.no_ack += usize::from(options.no_ack);
        let entry = self.slots.vacant_entry();
        let priority = options.priority;
        let mut consumer = Consumer::new(entry.key(), self.serial, connection, options);
        let key = consumer.key;
        if self.single && has_active {
            consumer.parked = Parked::Standby;
        } else {
            self.waiting.push(key.slot);
        }
        entry.insert(consumer);
        if self.group(priority).is_none() {
            let at = self
                .groups
                .partition_point(|group| group.priority > priority);
            self.groups.insert(
                at,
                Group {
                    priority,
                    ring: VecDeque::new(),
                },
            );
        }
        key
    }

    /// Whether somebody could take one more message. With messages that `wait`, a consumer that waits for room has none.
    pub(super) fn has_room(&self, wait: bool) -> bool {
        self.iter().any(|consumer| match consumer.parked {
            Parked::No => consumer.has_credit(),
            Parked::Room => !wait && consumer.has_credit(),
            Parked::Credit | Parked::Gone | Parked::Standby => false,
        })
    }

    pub(super) fn get(&self, key: ConsumerKey) -> Option<&Consumer<C>> {
        self.slots
            .get(key.slot as usize)
            .filter(|consumer| consumer.key == key)
    }

    pub(super) fn remove(&mut self, key: ConsumerKey) -> Option<Consumer<C>> {
        self.get(key)?;
        let consumer = self.slots.remove(key.slot as usize);
        self.no_ack -= usize::from(consumer.options.no_ack);
        if let Some(group) = self.group(consumer.options.priority) {
            group.ring.retain(|&slot| slot != key.slot);
        }
        // Another one may have its slot next.
        self.waiting.retain(|&slot| slot != key.slot);
        let alive = |priority| {
            self.slots
                .iter()
                .any(|(_, c)| c.options.priority == priority)
        };
        if !alive(consumer.options.priority) {
            self.groups
                .retain(|group| group.priority != consumer.options.priority);
        }
        if self.single && consumer.parked != Parked::Standby {
            self.promote();
        }
        Some(consumer)
    }

    /// Whether only one consumer gets messages at a time: `x-single-active-consumer`.
    pub(super) fn set_single(&mut self, single: bool) {
        self.single = single;
    }

    pub(super) fn is_single(&self) -> bool {
        self.single
    }

    /// The single active consumer, if the queue has such a thing and anybody consumes.
    pub(super) fn active(&self) -> Option<&Consumer<C>> {
        let mut consumers = self.iter();
        if !self.single {
            return None;
        }
        consumers.find(|consumer| consumer.parked != Parked::Standby)
    }

    /// The active consumer is gone: of those with the highest priority, the one that has waited longest takes its place.
    fn promote(&mut self) {
        let consumers = self.slots.iter_mut().map(|(_, consumer)| consumer);
        let next = consumers.max_by_key(|consumer| {
            (
                consumer.options.priority,
                std::cmp::Reverse(consumer.key.serial),
            )
        });
        if let Some(next) = next {
            next.park_for_room(&mut self.waiting);
        }
    }

    /// Gives back credit for `count` settled messages.
    pub(super) fn credit(&mut self, key: ConsumerKey, count: u32) {
        let consumer = self.slots.get_mut(key.slot());
        if let Some(consumer) = consumer.filter(|consumer| consumer.key == key) {
            consumer.in_flight = consumer.in_flight.saturating_sub(count);
            if consumer.parked == Parked::Credit {
                consumer.park_for_room(&mut self.waiting);
            }
        }
    }

    /// Whether a message can be assigned, as far as is known.
    pub(super) fn any_available(&self) -> bool {
        self.groups.iter().any(|group| !group.ring.is_empty())
    }

    /// The consumers that could take a message if only their connection had room.
    pub(super) fn waiting_for_room(&self) -> impl Iterator<Item = &Consumer<C>> {
        let waiting = self.waiting.iter();
        waiting
            .filter_map(|&slot| self.slots.get(slot as usize))
            .filter(|consumer| consumer.parked == Parked::Room)
    }

    fn group(&mut self, priority: i32) -> Option<&mut Group> {
        self.groups
            .iter_mut()
            .find(|group| group.priority == priority)
    }
}

#[cfg(test)]
impl<C> Consumers<C> {
    /// What holds while nothing is being dispatched.
    pub(super) fn check(&self) {
        assert!(self.assigned.is_empty());
        let turns = self.groups.iter().map(|group| group.ring.len());
        let in_turn = self.iter().filter(|c| c.parked == Parked::No).count();
        assert_eq!(turns.sum::<usize>(), in_turn);
        let no_ack = self.iter().filter(|c| c.options.no_ack).count();
        assert_eq!(self.no_ack, no_ack);
        for consumer in self.iter() {
            assert!(consumer.pending.is_empty());
            let slot = consumer.key.slot;
            let priority = consumer.options.priority;
            let groups = self.groups.iter();
            let own = groups.filter(|group| group.priority == priority);
            let in_ring = own.flat_map(|group| &group.ring).any(|&at| at == slot);
            assert_eq!(in_ring, consumer.parked == Parked::No);
            let waits = self.waiting.iter().filter(|&&at| at == slot).count();
            match consumer.parked {
                Parked::Room => assert_eq!(waits, 1),
                Parked::Gone => assert!(waits <= 1),
                Parked::No | Parked::Credit | Parked::Standby => assert_eq!(waits, 0),
            }
        }
    }
}

/// Positions that a consumer holds, to be settled together.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The consumer, or nothing for basic.get.
    pub consumer: Option<ConsumerKey>,
    /// In ascending order.
    pub positions: &'a [Position],
}
