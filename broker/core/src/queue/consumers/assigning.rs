//! Who gets a message: the consumers in turn, those of a higher priority first.

use std::ops::Range;

use super::{Accepted, Consumer, Consumers, Parked, Room};

impl<C> Consumers<C> {
    /// Begins a dispatch: consumers that waited for something are asked again.
    pub(in crate::queue) fn refresh(&mut self, mut room: impl FnMut(&Consumer<C>) -> Room) {
        for &slot in self.groups.iter().flat_map(|group| &group.ring) {
            if let Some(consumer) = self.slots.get_mut(slot as usize) {
                consumer.room = room(consumer);
            }
        }
        self.waiting.retain(|&slot| {
            let consumer = self.slots.get_mut(slot as usize);
            let Some(consumer) = consumer.filter(|consumer| consumer.parked == Parked::Room) else {
                return false;
            };
            consumer.room = room(consumer);
            if consumer.room.is_none() {
                return true;
            }
            consumer.parked = Parked::No;
            let priority = consumer.options.priority;
            if let Some(group) = self.groups.iter_mut().find(|g| g.priority == priority) {
                group.ring.push_back(slot);
            }
            false
        });
    }

    /// Assigns one message of `cost` bytes. `item` is what the consumer will find in `pending`.
    /// With `no_ack_only`, only a consumer that settles by delivery is taken, and none if another kind is next.
    pub(in crate::queue) fn assign(&mut self, item: u64, cost: usize, no_ack_only: bool) -> bool {
        for group in &mut self.groups {
            while let Some(&slot) = group.ring.front() {
                let Some(consumer) = self.slots.get_mut(slot as usize) else {
                    group.ring.pop_front();
                    continue;
                };
                if consumer.room.is_none() {
                    consumer.park_for_room(&mut self.waiting);
                    group.ring.pop_front();
                    continue;
                }
                if !consumer.has_credit() {
                    consumer.parked = Parked::Credit;
                    group.ring.pop_front();
                    continue;
                }
                if no_ack_only && !consumer.options.no_ack {
                    return false;
                }
                consumer.give(item, cost, &mut self.assigned);
                if group.ring.len() > 1 {
                    group.ring.rotate_left(1);
                }
                return true;
            }
        }
        false
    }

    /// Assigns a batch's messages in their order, as long as the next consumer settles by delivery. Returns the first that was not
    /// assigned.
    pub(in crate::queue) fn assign_directly(
        &mut self,
        items: Range<u64>,
        cost: impl Fn(u64) -> usize,
    ) -> u64 {
        let mut next = items.start;
        while next < items.end && self.assign(next, cost(next), true) {
            next += 1;
            // Where it is nobody else's turn, there is nothing to ask about each message.
            let only = self.only_in_turn();
            if let Some((only, _)) = only.filter(|(only, _)| only.options.no_ack) {
                let (mut room, first) = (only.room, next);
                while next < items.end && !room.is_none() {
                    room = room.less(cost(next));
                    next += 1;
                }
                only.room = room;
                only.pending.extend(first..next);
            }
        }
        next
    }

    /// Assigns what follows `start`, in its order, until nobody can take the next one. What has no cost is left out. Returns the first that was neither
    /// assigned nor left out.
    pub(in crate::queue) fn assign_all(
        &mut self,
        start: u64,
        mut items: impl Iterator<Item = (u64, Option<usize>)>,
    ) -> u64 {
        let mut end = start;
        let mut next = items.next();
        while let Some((item, cost)) = next {
            if cost.is_some_and(|cost| !self.assign(item, cost, false)) {
                break;
            }
            end = item + 1;
            next = items.next();
            if let Some((only, assigned)) = self.only_in_turn() {
                while let Some((item, cost)) = next
                    && only.has_place()
                {
                    if let Some(cost) = cost {
                        only.give(item, cost, assigned);
                    }
                    end = item + 1;
                    next = items.next();
                }
            }
        }
        end
    }

    /// The consumer that all messages go to for now, and the list of those that have some.
    fn only_in_turn(&mut self) -> Option<(&mut Consumer<C>, &mut Vec<u32>)> {
        let group = self.groups.iter().find(|group| !group.ring.is_empty())?;
        let slot = *group.ring.front().filter(|_| group.ring.len() == 1)?;
        let consumer = self.slots.get_mut(slot as usize)?;
        Some((consumer, &mut self.assigned))
    }

    /// Hands each consumer's assignments to `deliver`. What was not taken is passed to `returned`.
    pub(in crate::queue) fn flush(
        &mut self,
        mut deliver: impl FnMut(&Consumer<C>, &[u64]) -> Accepted,
        mut returned: impl FnMut(u64),
    ) {
        let mut parked = false;
        for slot in self.assigned.drain(..) {
            let Some(consumer) = self.slots.get_mut(slot as usize) else {
                continue;
            };
            let mut pending = std::mem::take(&mut consumer.pending);
            let is_in_ring = consumer.parked == Parked::No;
            let taken = match deliver(consumer, &pending) {
                Accepted::All => pending.len(),
                Accepted::First(count) => {
                    consumer.park_for_room(&mut self.waiting);
                    count
                }
                Accepted::Closed => {
                    consumer.parked = Parked::Gone;
                    0
                }
            };
            parked |= is_in_ring && consumer.parked != Parked::No;
            for &item in pending.iter().skip(taken) {
                if !consumer.options.no_ack {
                    consumer.in_flight = consumer.in_flight.saturating_sub(1);
                }
                returned(item);
            }
            pending.clear();
            if pending.capacity() <= PENDING_KEPT_MAX {
                consumer.pending = pending;
            }
        }
        if parked {
            let slots = &self.slots;
            let waits = |slot: u32| {
                slots
                    .get(slot as usize)
                    .is_some_and(|consumer| consumer.parked == Parked::No)
            };
            for group in &mut self.groups {
                group.ring.retain(|&slot| waits(slot));
            }
        }
    }
}

/// A list of assignments above this size is not kept from one dispatch to the next.
const PENDING_KEPT_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::table::FieldTable;
    use amphora_protocol::wire::types::ConsumerTag;
    use arbtest::arbitrary::{self, Unstructured};

    use super::super::ConsumerOptions;
    use super::*;

    type Kinds = Vec<(i32, bool, u32, Room)>;

    fn kinds(u: &mut Unstructured<'_>) -> arbitrary::Result<Kinds> {
        let mut kinds = Kinds::new();
        for _ in 0..u.int_in_range(1..=5)? {
            let room = Room {
                bytes: u.int_in_range(0..=40)?,
                messages: u.int_in_range(0..=9)?,
                overhead: u.int_in_range(0..=2)?,
            };
            let prefetch = u.int_in_range(0..=6)?;
            kinds.push((u.int_in_range(0..=2)?, u.ratio(4, 5)?, prefetch, room));
        }
        Ok(kinds)
    }

    fn assert_same(together: &Consumers<Room>, single: &Consumers<Room>, kinds: &Kinds) {
        for (one, other) in together.iter().zip(single.iter()) {
            assert_eq!(one.pending, other.pending, "{kinds:?}");
            assert_eq!((one.room, one.parked), (other.room, other.parked));
            assert_eq!(one.in_flight, other.in_flight);
        }
        let lists = |consumers: &Consumers<Room>| {
            let rings = consumers.groups.iter().map(|group| group.ring.clone());
            let (assigned, waiting) = (consumers.assigned.clone(), consumers.waiting.clone());
            (assigned, waiting, rings.collect::<Vec<_>>())
        };
        assert_eq!(lists(together), lists(single), "{kinds:?}");
    }

    fn consumers(kinds: &Kinds) -> Consumers<Room> {
        let mut consumers = Consumers::default();
        for &(priority, no_ack, prefetch, room) in kinds {
            let options = ConsumerOptions {
                tag: ConsumerTag::default(),
                no_ack,
                exclusive: false,
                priority,
                prefetch,
                arguments: FieldTable::new(),
            };
            consumers.add(room, options);
        }
        consumers.refresh(|consumer| consumer.connection);
        consumers
    }

    #[test]
    fn a_batch_is_assigned_as_its_messages_are_one_by_one() {
        arbtest::arbtest(|u| {
            let kinds = kinds(u)?;
            let cost = |item: u64| usize::from(item.is_multiple_of(3)) * 7;
            let (mut together, mut single) = (consumers(&kinds), consumers(&kinds));
            let direct = together.assign_directly(0..20, cost);
            let mut next = 0;
            while next < 20 && single.assign(next, cost(next), true) {
                next += 1;
            }
            assert_eq!(direct, next, "{kinds:?}");
            assert_same(&together, &single, &kinds);
            Ok(())
        });
    }

    #[test]
    fn what_follows_is_assigned_as_one_by_one() {
        arbtest::arbtest(|u| {
            let kinds = kinds(u)?;
            let mut costs = Vec::new();
            for _ in 0..20 {
                costs.push(if u.ratio(1, 5)? {
                    None
                } else {
                    Some(u.int_in_range(0..=9)?)
                });
            }
            let (mut together, mut single) = (consumers(&kinds), consumers(&kinds));
            let items = (100..).zip(costs.iter().copied());
            let end = together.assign_all(100, items.clone());
            let is_taken = |&(item, cost): &(u64, Option<usize>)| {
                cost.is_none_or(|cost| single.assign(item, cost, false))
            };
            assert_eq!(end, 100 + items.take_while(is_taken).count() as u64);
            assert_same(&together, &single, &kinds);
            Ok(())
        });
    }
}
