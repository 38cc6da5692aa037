//! The ids that were seen last.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::{Deduplication, IdHash};

/// The last ids, as many and as long as the arguments say. Each has a number, rising from one to the next.
#[derive(Debug)]
pub struct Window {
    size: usize,
    ttl_ms: Option<u64>,
    numbers: HashMap<IdHash, u64, RandomState>,
    /// In the order of arrival. One that was forgotten stays until its turn comes.
    order: VecDeque<Entry>,
    /// The number of the first in `order`.
    first: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: IdHash,
    /// When it came, in milliseconds since the Unix epoch.
    at: u64,
}

/// Whether an id is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is, and is remembered from now on, under this number.
    New(u64),
    /// It was seen before.
    Duplicate,
}

impl Window {
    /// One that has seen nothing.
    pub fn new(arguments: &Deduplication) -> Self {
        let ttl = arguments.ttl.map(|ttl| ttl.as_millis());
        Self {
            size: arguments.size,
            ttl_ms: ttl.map(|ttl| u64::try_from(ttl).unwrap_or(u64::MAX)),
            numbers: HashMap::default(),
            order: VecDeque::new(),
            first: 0,
        }
    }

    /// Remembers the id unless it is known; `now` is in milliseconds since the Unix epoch.
    pub fn admit(&mut self, id: IdHash, now: u64) -> Admission {
        self.expire(now);
        if self.numbers.contains_key(&id) {
            return Admission::Duplicate;
        }
        let number = self.first + self.order.len() as u64;
        self.numbers.insert(id, number);
        self.order.push_back(Entry { id, at: now });
        if self.order.len() > self.size {
            self.drop_first();
        }
        Admission::New(number)
    }

    /// Whether [`Window::admit`] would call the id a duplicate.
    pub fn knows(&self, id: IdHash, now: u64) -> bool {
        let number = self.numbers.get(&id);
        let place = number.and_then(|number| usize::try_from(number - self.first).ok());
        let entry = place.and_then(|place| self.order.get(place));
        entry.is_some_and(|entry| {
            self.ttl_ms
                .is_none_or(|ttl| entry.at.saturating_add(ttl) > now)
        })
    }

    /// Remembers an id from an earlier run, which came then: to be called in the order of arrival.
    pub fn restore(&mut self, id: IdHash, at: u64) {
        self.admit(id, at);
    }

    /// The id was admitted under this number, and is to be as if it never came.
    pub fn forget(&mut self, id: IdHash, number: u64) {
        if self.numbers.get(&id) == Some(&number) {
            self.numbers.remove(&id);
        }
    }

    /// The number that the next id gets.
    pub fn next(&self) -> u64 {
        self.first + self.order.len() as u64
    }

    /// All ids with lower numbers are out of the window.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn expire(&mut self, now: u64) {
        let Some(ttl) = self.ttl_ms else {
            return;
        };
        while self
            .order
            .front()
            .is_some_and(|entry| entry.at.saturating_add(ttl) <= now)
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.order.pop_front() {
            // It may have been forgotten, and have come again.
            if self.numbers.get(&entry.id) == Some(&self.first) {
                self.numbers.remove(&entry.id);
            }
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use amphora_protocol::wire::types::ShortString;

    use super::*;

    fn window(size: usize, ttl_ms: Option<u64>) -> Window {
        Window::new(&Deduplication {
            size,
            ttl: ttl_ms.map(Duration::from_millis),
            header: ShortString::default(),
        })
    }

    #[test]
    fn the_last_ids_are_remembered() {
        let mut window = window(2, None);
        assert_eq!(window.admit(1, 0), Admission::New(0));
        assert_eq!(window.admit(2, 0), Admission::New(1));
        assert_eq!(window.admit(1, 0), Admission::Duplicate);
        assert_eq!(window.admit(3, 0), Admission::New(2));
        assert_eq!((window.len(), window.first(), window.next()), (2, 1, 3));
        assert_eq!(window.admit(2, 0), Admission::Duplicate);
        assert_eq!(window.admit(1, 0), Admission::New(3));
    }

    #[test]
    fn an_id_is_remembered_for_its_time() {
        let mut window = window(10, Some(100));
        assert_eq!(window.admit(1, 1000), Admission::New(0));
        assert_eq!(window.admit(1, 1099), Admission::Duplicate);
        assert_eq!(window.admit(1, 1100), Admission::New(1));
        assert_eq!(window.first(), 1);
    }

    #[test]
    fn a_forgotten_id_may_come_again() {
        let mut window = window(2, None);
        window.admit(1, 0);
        window.forget(1, 0);
        assert_eq!(window.admit(1, 0), Admission::New(1));
        // The first one is not there to be forgotten any more.
        window.forget(1, 0);
        assert_eq!(window.admit(1, 0), Admission::Duplicate);
        // The first one's turn to go does not take the second one along.
        assert_eq!(window.admit(2, 0), Admission::New(2));
        assert_eq!(window.admit(1, 0), Admission::Duplicate);
    }

    /// Random ids, held against a list of all that came.
    #[test]
    fn agrees_with_a_list() {
        arbtest::arbtest(|u| {
            let size = u.int_in_range(1..=8)?;
            let ttl = u.arbitrary::<bool>()?.then_some(20);
            let mut window = window(size, ttl);
            let mut all: Vec<(IdHash, u64)> = Vec::new();
            let mut now = 0;
            for _ in 0..u.int_in_range(0..=100)? {
                now += u.int_in_range(0..=6)?;
                let id = u.int_in_range(0..=12)?;
                let live = all.iter().rev().take(size);
                let known = live
                    .filter(|(_, at)| ttl.is_none_or(|ttl| at + ttl > now))
                    .any(|(known, _)| *known == id);
                assert_eq!(window.knows(id, now), known);
                let admission = window.admit(id, now);
                assert_eq!(admission == Admission::Duplicate, known);
                if !known {
                    all.push((id, now));
                }
            }
            Ok(())
        });
    }
}
