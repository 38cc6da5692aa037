//! What plugins store, on its way to the committer.
//!
//! While messages are on their way, it is held back on the thread that routes them: it must not be durable before the messages are. A
//! deduplication that remembers a message which is lost in a crash would drop it when its publisher tries again. Threads let go in another order
//! than they wrote, so each write has a number, and one that is older than what the committer has of its key is left out.

use std::cell::RefCell;
use std::collections::HashMap;

use amphora_core::store::Write;
use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::runtime::committer::Committer;

/// Bytes that one thread holds back, at most. Above that it lets go before its messages are noted: a plugin that stores so much for one batch of
/// messages must not have the broker's memory for it.
const HELD_MAX: usize = 32 << 20;

/// What a write costs beside its key and value.
const OVERHEAD: usize = 128;

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// What a thread holds back: the last write of each key.
#[derive(Debug, Default)]
struct Held {
    by_key: HashMap<Bytes, Numbered, RandomState>,
    bytes: usize,
}

#[derive(Debug)]
struct Numbered {
    number: u64,
    write: Write,
}

/// The writes of all threads.
#[derive(Debug, Default)]
pub(super) struct Stored(Mutex<Order>);

#[derive(Debug, Default)]
struct Order {
    /// The number of the last write.
    last: u64,
    /// The keys that somebody holds back.
    held: HashMap<Bytes, Key, RandomState>,
}

#[derive(Debug, Default)]
struct Key {
    /// How many threads hold a write of it back.
    threads: usize,
    /// The number of the write that the committer has, of those since somebody held one back.
    told: u64,
}

/// Holds back what plugins store by calls on this thread, until [`Stored::let_go`].
pub(in crate::runtime) fn hold() {
    HELD.with_borrow_mut(|held| {
        held.get_or_insert_default();
    });
}

impl Held {
    /// Keeps a write instead of an earlier one. Returns whether there was none.
    fn put(&mut self, key: &Bytes, numbered: Numbered) -> bool {
        self.bytes += size(key, &numbered.write);
        let before = self.by_key.insert(key.clone(), numbered);
        if let Some(before) = &before {
            self.bytes -= size(key, &before.write);
        }
        before.is_none()
    }
}

impl Stored {
    /// Takes a write, which is held back if its thread does that. To be called with the plugin's store locked, so that numbers have the order
    /// of writing.
    pub(super) fn write(&self, committer: &Committer, key: Bytes, write: Write) {
        let mut order = self.0.lock();
        order.last += 1;
        let number = order.last;
        HELD.with_borrow_mut(|held| {
            if let Some(held) = held {
                if held.put(&key, Numbered { number, write }) {
                    order.held.entry(key).or_default().threads += 1;
                }
                if held.bytes > HELD_MAX {
                    order.release(committer, std::mem::take(held));
                }
                return;
            }
            if let Some(known) = order.held.get_mut(&key) {
                known.told = number;
            }
            let bytes = size(&key, &write);
            committer.keep(vec![(key, write)], bytes);
        });
    }

    /// Stores what was held back on this thread: the messages that it belongs to are noted for the committer.
    pub(super) fn let_go(&self, committer: &Committer) {
        let held = HELD.take().unwrap_or_default();
        if !held.by_key.is_empty() {
            self.0.lock().release(committer, held);
        }
    }
}

impl Order {
    fn release(&mut self, committer: &Committer, held: Held) {
        let mut writes = Vec::with_capacity(held.by_key.len());
        let mut bytes = 0;
        for (key, Numbered { number, write }) in held.by_key {
            if self.let_go(&key, number) {
                bytes += size(&key, &write);
                writes.push((key, write));
            }
        }
        // Within the lock, so that a later write comes to the committer later.
        committer.keep(writes, bytes);
    }

    /// A thread holds this write back no more. Returns whether it is the latest that the committer hears of.
    fn let_go(&mut self, key: &Bytes, number: u64) -> bool {
        let Some(known) = self.held.get_mut(key) else {
            return true;
        };
        let is_latest = number > known.told;
        known.told = known.told.max(number);
        known.threads -= 1;
        if known.threads == 0 {
            self.held.remove(key);
        }
        is_latest
    }
}

/// Bytes of memory for a write.
fn size(key: &Bytes, write: &Write) -> usize {
    let value = match write {
        Write::PutDefinition { value, .. } => value.len(),
        _ => 0,
    };
    OVERHEAD + key.len() + value
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Bytes = Bytes::from_static(b"key");

    fn held(order: &mut Order) -> u64 {
        order.last += 1;
        order.held.entry(KEY).or_default().threads += 1;
        order.last
    }

    #[test]
    fn an_older_write_that_comes_later_is_left_out() {
        let mut order = Order::default();
        let (old, new) = (held(&mut order), held(&mut order));
        assert!(order.let_go(&KEY, new));
        assert!(!order.let_go(&KEY, old));
        assert!(order.held.is_empty(), "nothing is remembered for ever");
        let (old, new) = (held(&mut order), held(&mut order));
        assert!(order.let_go(&KEY, old));
        assert!(order.let_go(&KEY, new));
    }

    #[test]
    fn the_last_write_of_each_key_is_held() {
        let mut held = Held::default();
        let write = |number, length| Numbered {
            number,
            write: Write::PutDefinition {
                key: KEY,
                value: vec![0; length].into(),
            },
        };
        assert!(held.put(&KEY, write(1, 1000)));
        assert!(!held.put(&KEY, write(2, 10)));
        assert_eq!(held.bytes, OVERHEAD + 3 + 10);
        assert_eq!(held.by_key[&KEY].number, 2);
    }
}
