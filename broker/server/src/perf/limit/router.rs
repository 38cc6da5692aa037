//! From a publish to the outgoing bytes of its consumers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use foldhash::fast::RandomState;

use super::publish::{Publish, set_channel};
use super::registry::{Consumer, Queue, Registry};
use crate::perf::amqp::call::Call;
use crate::perf::amqp::frame::{Fields, HEAD};
use crate::perf::amqp::method::basic;

/// Collects the deliveries of one publishing connection. What it has looked up is kept until something is declared.
#[derive(Debug)]
pub(super) struct Router<'a> {
    registry: &'a Registry,
    generation: u64,
    routes: HashMap<Vec<u8>, usize, RandomState>,
    targets: Vec<Route>,
    last: Option<(Vec<u8>, usize)>,
    outboxes: Vec<Outbox>,
    touched: Vec<usize>,
}

/// The queues of an address.
#[derive(Debug)]
struct Route {
    queues: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    queue: Arc<Queue>,
    /// For each consumer its outbox and the `basic.deliver` frame, in which only the delivery tag changes.
    consumers: Vec<(usize, Vec<u8>)>,
    next: usize,
}

/// Bytes for a consumer. Delivery tags count per publishing connection: nobody needs them, as acknowledgements are ignored.
#[derive(Debug)]
struct Outbox {
    consumer: Arc<Consumer>,
    tag: u64,
    bytes: Vec<u8>,
}

impl<'a> Router<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            generation: u64::MAX,
            routes: HashMap::default(),
            targets: Vec::new(),
            last: None,
            outboxes: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Forgets what it has looked up if something was declared since. Nothing may be waiting to be flushed.
    pub(super) fn refresh(&mut self) {
        let generation = self.registry.generation();
        if generation != self.generation {
            self.generation = generation;
            self.routes.clear();
            self.targets.clear();
            self.last = None;
            self.outboxes.clear();
        }
    }

    #[inline]
    pub(super) fn publish(&mut self, publish: &Publish<'_>) {
        let at = match &self.last {
            Some((address, at)) if address == publish.address => *at,
            _ => self.find(publish.address),
        };
        for target in &mut self.targets[at].queues {
            let Some((outbox, deliver)) = target.consumers.get(target.next) else {
                target.queue.dropped.fetch_add(1, Relaxed);
                continue;
            };
            target.next += 1;
            if target.next == target.consumers.len() {
                target.next = 0;
            }
            let outbox_at = *outbox;
            let outbox = &mut self.outboxes[outbox_at];
            if outbox.bytes.is_empty() {
                self.touched.push(outbox_at);
            }
            outbox.put(deliver, publish);
        }
    }

    /// Writes once to each consumer that got something. One that has gone is skipped.
    pub(super) fn flush(&mut self) {
        for at in self.touched.drain(..) {
            let outbox = &mut self.outboxes[at];
            let _ = outbox.consumer.peer.write(&outbox.bytes);
            outbox.bytes.clear();
        }
    }

    fn find(&mut self, address: &[u8]) -> usize {
        let at = match self.routes.get(address) {
            Some(at) => *at,
            None => self.look_up(address),
        };
        let last = self.last.get_or_insert_default();
        last.0.clear();
        last.0.extend_from_slice(address);
        last.1 = at;
        at
    }

    fn look_up(&mut self, address: &[u8]) -> usize {
        let mut names = Fields::new(address);
        let exchange = names.name().unwrap_or_default();
        let key = names.name().unwrap_or_default();
        let mut queues = Vec::new();
        for queue in self.registry.route(exchange, key) {
            let consumers = queue.consumers();
            let consumers = consumers
                .into_iter()
                .map(|consumer| (self.outbox(&consumer), deliver(&consumer, exchange, key)));
            queues.push(Target {
                consumers: consumers.collect(),
                queue,
                next: 0,
            });
        }
        self.targets.push(Route { queues });
        self.routes.insert(address.to_vec(), self.targets.len() - 1);
        self.targets.len() - 1
    }

    /// The outbox of `consumer`, which all routes to it share.
    fn outbox(&mut self, consumer: &Arc<Consumer>) -> usize {
        let known = self
            .outboxes
            .iter()
            .position(|outbox| Arc::ptr_eq(&outbox.consumer, consumer));
        known.unwrap_or_else(|| {
            self.outboxes.push(Outbox {
                consumer: Arc::clone(consumer),
                tag: 0,
                bytes: Vec::new(),
            });
            self.outboxes.len() - 1
        })
    }
}

impl Outbox {
    #[inline]
    fn put(&mut self, deliver: &[u8], publish: &Publish<'_>) {
        self.tag += 1;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(deliver);
        let content_at = self.bytes.len();
        self.bytes.extend_from_slice(publish.content);
        let tag_at = start + HEAD + 4 + 1 + self.consumer.tag.len();
        self.bytes[tag_at..tag_at + 8].copy_from_slice(&self.tag.to_be_bytes());
        if self.consumer.channel != publish.channel {
            set_channel(&mut self.bytes[content_at..], self.consumer.channel);
        }
    }
}

fn deliver(consumer: &Consumer, exchange: &str, key: &str) -> Vec<u8> {
    let call = Call::new(consumer.channel, basic::DELIVER)
        .name(&consumer.tag)
        .longlong(0)
        .octet(0);
    call.name(exchange).name(key).finish()
}
