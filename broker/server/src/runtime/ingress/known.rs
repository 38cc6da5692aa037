//! The routes that are kept, as they stand on the wire, while the topology does not change.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::exchange_of;
use super::routes::Route;
use super::straight::Kind;

/// Routes that are remembered.
pub(super) const ROUTES_MAX: usize = 4096;
/// If fewer of them were found again while the cache filled, there are more targets than it can hold, and keeping them brings nothing.
const FOUND_MIN: usize = ROUTES_MAX / 8;
/// So many are not kept then before it is tried again.
const PAUSE: u32 = 16 * 4096;
/// Queues that they lead to, all together: targets of a fanout to thousands of queues are not worth that many lists.
const ROUTED_SLOTS_MAX: usize = 64 << 10;

/// An exchange without transforms, without a plugin that is asked first, and without a deduplicator: for a new routing key, only the route has to be
/// found, and whether the user may publish with it.
#[derive(Debug, Default)]
struct PlainExchange {
    /// How the targets of messages to it begin.
    beginning: Vec<u8>,
    /// Where they are counted.
    number: u32,
}

/// The routes that one publisher has used.
#[derive(Debug)]
pub(super) struct Routes {
    last_target: Vec<u8>,
    pub(super) last: Route,
    /// `last` is the route of messages with `last_properties` only.
    depends: bool,
    last_properties: Vec<u8>,
    known: HashMap<Box<[u8]>, Route, FixedState>,
    /// The sizes of all that are known.
    size: usize,
    /// How often one of them was found since the cache was empty.
    found: usize,
    /// How many more are not kept.
    pause: u32,
    /// The last one that was looked up.
    plain: PlainExchange,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            last_target: Vec::new(),
            last: Route::per_message(0),
            depends: false,
            last_properties: Vec::new(),
            known: HashMap::default(),
            size: 0,
            found: 0,
            pause: 0,
            plain: PlainExchange::default(),
        }
    }
}

impl Routes {
    pub(super) fn clear(&mut self) {
        self.forget_last();
        self.forget_known();
        self.plain.beginning.clear();
        self.pause = 0;
    }

    /// The target that `last` is the route of, or at which each message has its own; nothing if it says nothing of the next message.
    #[inline]
    pub(super) fn last_target(&self) -> &[u8] {
        &self.last_target
    }

    /// Whether `last` is the route of a message with the last target and these properties.
    #[inline]
    pub(super) fn leads(&self, properties: &[u8]) -> bool {
        !self.depends || *self.last_properties == *properties
    }

    /// The messages that `last` is the route of.
    pub(super) fn last_kind(&self) -> Kind<'_> {
        Kind {
            target: &self.last_target,
            properties: self.depends.then_some(&self.last_properties),
        }
    }

    /// The next message is looked up, whatever its target.
    pub(super) fn forget_last(&mut self) {
        self.serve_none();
        self.last = Route::per_message(0);
    }

    /// `last` says nothing of the next message.
    pub(super) fn serve_none(&mut self) {
        self.last_target.clear();
        self.depends = false;
    }

    /// `last` is the route of messages with this target, or says that each of them has its own.
    pub(super) fn serve(&mut self, target: &[u8]) {
        self.last_target.clear();
        self.last_target.extend_from_slice(target);
    }

    /// `last` is the route of those only that have these properties, or of all.
    pub(super) fn depend_on(&mut self, properties: Option<&[u8]>) {
        self.depends = properties.is_some();
        self.last_properties.clear();
        let properties = properties.unwrap_or_default();
        self.last_properties.extend_from_slice(properties);
    }

    /// Has `last` be what is kept for this target, if anything is. It serves no other message unless it is fixed.
    pub(super) fn recall(&mut self, target: &[u8]) -> bool {
        self.serve_none();
        let Some(route) = self.known.get(target) else {
            return false;
        };
        self.found += 1;
        self.last.clone_from(route);
        if self.last.is_fixed() {
            self.serve(target);
        }
        true
    }

    /// Keeps a route for messages with this target.
    pub(super) fn keep(&mut self, target: &[u8], route: Route) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let size = route.size();
        let is_full = self.known.len() >= ROUTES_MAX;
        if is_full && self.found < FOUND_MIN {
            self.pause = PAUSE;
        }
        if is_full || self.size + size > ROUTED_SLOTS_MAX {
            self.forget_known();
        }
        self.size += size;
        if let Some(before) = self.known.insert(target.into(), route) {
            self.size -= before.size();
        }
    }

    fn forget_known(&mut self) {
        self.known.clear();
        self.size = 0;
        self.found = 0;
    }

    /// Where messages with this target are counted, if it is known that its exchange is plain.
    pub(super) fn plain_exchange(&self, target: &[u8]) -> Option<u32> {
        let plain = &self.plain;
        let is_it = !plain.beginning.is_empty() && target.starts_with(&plain.beginning);
        is_it.then_some(plain.number)
    }

    pub(super) fn note_plain_exchange(&mut self, target: &[u8], number: u32) {
        self.plain.beginning.clear();
        self.plain.beginning.extend_from_slice(exchange_of(target));
        self.plain.number = number;
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::ingress::routes::To;

    use super::*;

    fn to(slots: u32) -> Route {
        Route {
            to: To::Slots((0..slots).collect()),
            ..Route::per_message(0)
        }
    }

    #[test]
    fn long_lists_of_queues_do_not_pile_up() {
        let mut routes = Routes::default();
        for number in 0..1000_u32 {
            routes.keep(&number.to_be_bytes(), to(4000));
            let held: usize = routes.known.values().map(Route::size).sum();
            assert_eq!(held, routes.size);
            assert!(held <= ROUTED_SLOTS_MAX, "{held}");
            assert!(routes.known.contains_key(&number.to_be_bytes()[..]));
        }
        // One that takes the place of another is counted once.
        routes.clear();
        for slots in [3, 5, 2] {
            routes.keep(b"same", to(slots));
        }
        assert_eq!(routes.size, 2);
    }

    #[test]
    fn more_targets_than_can_be_remembered_are_not_for_a_while() {
        let mut routes = Routes::default();
        let mut kept = 0;
        for number in 0..PAUSE {
            let target = number.to_be_bytes();
            assert!(!routes.recall(&target));
            routes.keep(&target, to(1));
            kept += usize::from(routes.known.contains_key(&target[..]));
        }
        assert_eq!(kept, ROUTES_MAX + 1);
        // It is tried again, and goes on if some are found.
        let mut found = 0;
        for number in 0..3 * PAUSE {
            for target in [number % 100, number].map(u32::to_be_bytes) {
                if routes.recall(&target) {
                    found += 1;
                } else {
                    routes.keep(&target, to(1));
                }
            }
        }
        assert!(found > PAUSE, "{found}");
        assert_eq!(routes.pause, 0);
    }

    #[test]
    fn a_plain_exchange_is_known_by_its_name_until_the_topology_changes() {
        let mut routes = Routes::default();
        routes.note_plain_exchange(b"\x02ex\x01a", 7);
        assert_eq!(routes.plain_exchange(b"\x02ex\x03new"), Some(7));
        for other in [&b"\x01e\x01a"[..], b"\x03ex2\x01a", b"\x00\x01a", b""] {
            assert_eq!(routes.plain_exchange(other), None);
        }
        // The default exchange has no name.
        routes.note_plain_exchange(b"\x00\x01a", 8);
        assert_eq!(routes.plain_exchange(b"\x00\x01b"), Some(8));
        assert_eq!(routes.plain_exchange(b"\x02ex\x01a"), None);
        routes.clear();
        assert_eq!(routes.plain_exchange(b"\x00\x01b"), None);
    }
}
