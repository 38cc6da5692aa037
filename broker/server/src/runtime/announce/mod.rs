//! What the broker itself has to say: events (`amq.rabbitmq.event`) and the firehose (`amq.rabbitmq.trace`).
//!
//! Whoever notices something notes it, under whatever lock; a task of its own makes a message of it and publishes that. What nobody has bound for
//! is not noted. What comes faster than it can be published is lost beyond a bound, and the log says so.

mod event;
mod trace;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::VhostName;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::{Owned, target};
use super::broker::Broker;
use super::ingress::Ingress;
use super::peer::Touched;

pub(super) use self::event::{Events, Fields};
use self::trace::Traced;
pub(super) use self::trace::{Tap, Who};

/// Bytes that wait to be published, at most.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// What an announcement takes beside its message, roughly.
const OVERHEAD: usize = 256;

/// Announcements that wait to be published. A leaf in the order of locks.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    announcements: Vec<Announcement>,
    bytes: usize,
    lost: u64,
}

#[derive(Debug)]
enum Announcement {
    Event {
        vhost: VhostName,
        key: String,
        headers: FieldTable,
        time_ms: u64,
    },
    Traced(Box<Traced>),
}

impl Announcer {
    fn send(&self, announcement: Announcement, bytes: usize) {
        let mut waiting = self.waiting.lock();
        let bytes = bytes + OVERHEAD;
        if waiting.bytes + bytes > WAITING_BYTES_MAX {
            waiting.lost += 1;
            return;
        }
        waiting.bytes += bytes;
        waiting.announcements.push(announcement);
        drop(waiting);
        self.wake.notify_one();
    }
}

/// Publishes what was noted, as long as the broker runs.
pub(super) async fn run(broker: Arc<Broker>) {
    let announcer = Arc::clone(&broker.announcer);
    loop {
        announcer.wake.notified().await;
        let Waiting {
            announcements,
            lost,
            ..
        } = std::mem::take(&mut *announcer.waiting.lock());
        if lost > 0 {
            tracing::warn!(
                lost,
                "events or traces came faster than they could be published"
            );
        }
        publish(&broker, announcements);
    }
}

fn publish(broker: &Broker, announcements: Vec<Announcement>) {
    let mut ingresses: HashMap<VhostName, Ingress> = HashMap::new();
    for announcement in announcements {
        let (vhost, message) = match announcement {
            Announcement::Event {
                vhost,
                key,
                headers,
                time_ms,
            } => {
                let message = event::message(&key, headers, time_ms);
                (vhost, message)
            }
            Announcement::Traced(traced) => {
                let vhost = traced.vhost.clone();
                (vhost, traced.message(broker))
            }
        };
        let ingress = match ingresses.entry(vhost) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let Some(vhost) = broker.vhost(place.key()) else {
                    continue;
                };
                place.insert(Ingress::new(vhost, "".into()))
            }
        };
        // That nobody is bound any more is no error.
        if let Err(error) = ingress.publish_internal(message) {
            tracing::debug!(%error, "an event or a trace is lost");
        }
    }
    let mut touched = Touched::default();
    for ingress in ingresses.values_mut() {
        ingress.flush(&[], &mut touched);
    }
    touched.finish(&broker.committer);
}

fn owned(exchange: &str, key: &str, properties: &BasicProperties, body: Bytes) -> Owned {
    // A key that a long name makes too long is cut, as a name in a routing key is nothing but a hint.
    let mut end = key.len().min(255);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    Owned {
        target: target(exchange, key.get(..end).unwrap_or_default()),
        properties: properties.to_bytes(),
        body,
    }
}
