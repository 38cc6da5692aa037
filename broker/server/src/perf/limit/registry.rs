//! What clients have declared, as far as it says where a publish goes.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::Log;

/// Shared by all connections.
#[derive(Debug)]
pub(super) struct Registry {
    state: Mutex<State>,
    /// Raised by every change, so that connections can keep what they have looked up.
    generation: AtomicU64,
    pub(super) log: Option<Arc<Log>>,
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<String, Arc<Queue>>,
    fanouts: HashSet<String>,
    /// By exchange and routing key; a fanout has the empty key only.
    bindings: HashMap<(String, String), Vec<Arc<Queue>>>,
}

/// A queue that holds nothing.
#[derive(Debug, Default)]
pub(super) struct Queue {
    consumers: Mutex<Vec<Arc<Consumer>>>,
    /// How many messages came while nobody consumed: they are gone, but count as ready.
    pub(super) dropped: AtomicU64,
}

/// A consumer on a connection's channel.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) peer: Arc<Peer>,
    pub(super) channel: u16,
    pub(super) tag: String,
}

/// A connection to write to, by whoever has something for it.
#[derive(Debug)]
pub(super) struct Peer {
    stream: TcpStream,
    writing: Mutex<()>,
}

impl Peer {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            writing: Mutex::new(()),
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.write_when(bytes, || ())
    }

    /// Does something, and writes before anybody else can: what the others write because of it comes after `bytes`.
    pub(super) fn write_when(&self, bytes: &[u8], happens: impl FnOnce()) -> io::Result<()> {
        let _turn = lock(&self.writing);
        happens();
        (&self.stream).write_all(bytes)
    }
}

impl Queue {
    pub(super) fn consumers(&self) -> Vec<Arc<Consumer>> {
        lock(&self.consumers).clone()
    }
}

impl Registry {
    pub(super) fn new(log: Option<Arc<Log>>) -> Self {
        Self {
            state: Mutex::default(),
            generation: AtomicU64::new(0),
            log,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(super) fn declare_exchange(&self, name: &str, kind: &str) {
        if kind == "fanout" {
            self.change().fanouts.insert(name.to_owned());
        }
    }

    pub(super) fn delete_exchange(&self, name: &str) {
        let mut state = self.change();
        state.fanouts.remove(name);
        state.bindings.retain(|(exchange, _), _| exchange != name);
    }

    /// Makes the queue unless it is there.
    pub(super) fn declare_queue(&self, name: &str) -> Arc<Queue> {
        Arc::clone(self.change().queues.entry(name.to_owned()).or_default())
    }

    pub(super) fn delete_queue(&self, name: &str) {
        let mut state = self.change();
        let Some(queue) = state.queues.remove(name) else {
            return;
        };
        for bound in state.bindings.values_mut() {
            bound.retain(|other| !Arc::ptr_eq(other, &queue));
        }
    }

    pub(super) fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let queue = self.declare_queue(queue);
        let mut state = self.change();
        let key = if state.fanouts.contains(exchange) {
            ""
        } else {
            key
        };
        let bound = state
            .bindings
            .entry((exchange.to_owned(), key.to_owned()))
            .or_default();
        if !bound.iter().any(|other| Arc::ptr_eq(other, &queue)) {
            bound.push(queue);
        }
    }

    pub(super) fn consume(&self, queue: &str, consumer: Consumer) {
        let queue = self.declare_queue(queue);
        lock(&queue.consumers).push(Arc::new(consumer));
        drop(self.change());
    }

    /// Forgets the consumers that `gone` is true for.
    pub(super) fn remove_consumers(&self, gone: impl Fn(&Consumer) -> bool) {
        for queue in self.change().queues.values() {
            lock(&queue.consumers).retain(|consumer| !gone(consumer));
        }
    }

    /// The queues that a publish goes to.
    pub(super) fn route(&self, exchange: &str, key: &str) -> Vec<Arc<Queue>> {
        let state = lock(&self.state);
        if exchange.is_empty() {
            return state.queues.get(key).cloned().into_iter().collect();
        }
        let key = if state.fanouts.contains(exchange) {
            ""
        } else {
            key
        };
        state
            .bindings
            .get(&(exchange.to_owned(), key.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    /// The generation is raised while the lock is held: who sees the new one waits for the change.
    fn change(&self) -> MutexGuard<'_, State> {
        let state = lock(&self.state);
        self.generation.fetch_add(1, Relaxed);
        state
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
