//! What figures were: samples of the broker's counters, for rates and for charts that are full when a page is opened.
//!
//! Samples are taken by the API's own thread, of what is counted anyway: a message costs nothing more. All queues have rates; the 500
//! that did something last have a past, which takes at most 30 MB for all of them.
//!
//! None are taken while nothing happens. What would have been sampled is known then: the same as before.

mod capacities;
mod family;
mod series;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use amphora_protocol::wire::types::{ChannelNumber, ExchangeName, VhostName};
use parking_lot::Mutex;

use self::capacities::Capacities;
pub(super) use self::family::Details;
use self::family::{Column, Family, Ticks};
use self::window::Kind::{Data, Lengths, Messages, Node};
pub(super) use self::window::Windows;
use super::backend::Backend;
use super::snapshot::{Churn, MessageStats, ObjectTotals, VhostSnapshot};
use super::stats::{self, COUNTERS};

/// How often samples are taken, in milliseconds.
const EVERY_MS: u64 = 5000;

/// A broker with very many objects is sampled less often, so that samples take no more than this part of a thread's time.
const SHARE: u32 = 50;

const COUNTER_COUNT: usize = COUNTERS.len();

/// Of messages, as [`COUNTERS`] has them, and then how many there are.
const MESSAGES: [Column; COUNTER_COUNT + 3] = {
    let mut columns = [("messages", Lengths); COUNTER_COUNT + 3];
    let mut index = 0;
    while index < COUNTER_COUNT {
        columns[index] = (COUNTERS[index].0, Messages);
        index += 1;
    }
    columns[COUNTER_COUNT + 1] = ("messages_ready", Lengths);
    columns[COUNTER_COUNT + 2] = ("messages_unacknowledged", Lengths);
    columns
};

const OBJECTS: [Column; 5] = [
    ("connections", Lengths),
    ("channels", Lengths),
    ("consumers", Lengths),
    ("exchanges", Lengths),
    ("queues", Lengths),
];

const CHURN: [Column; 7] = [
    ("connection_created", Messages),
    ("connection_closed", Messages),
    ("channel_created", Messages),
    ("channel_closed", Messages),
    ("queue_declared", Messages),
    ("queue_created", Messages),
    ("queue_deleted", Messages),
];

const NODE: [Column; 4] = [
    ("mem_used", Node),
    ("disk_free", Node),
    ("sockets_used", Node),
    ("fd_used", Node),
];

const EXCHANGE: [Column; 2] = [("publish_in", Messages), ("publish_out", Messages)];

const CONNECTION: [Column; 2] = [("recv_oct", Data), ("send_oct", Data)];

/// How many of a kind have a past.
const QUEUES_MAX: usize = 500;
const OTHERS_MAX: usize = 100;

/// Whose figures are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of<'a> {
    /// The messages of the broker.
    Broker,
    /// How many objects there are.
    Objects,
    /// What is opened and closed.
    Churn,
    /// The machine.
    Node,
    /// The messages of a virtual host.
    Vhost(&'a VhostName),
    /// The bytes of a virtual host's connections.
    VhostBytes(&'a VhostName),
    /// The messages of the queue with this id.
    Queue(u64),
    /// An exchange's messages.
    Exchange(&'a VhostName, &'a ExchangeName),
    /// A connection's bytes.
    Connection(&'a Arc<str>),
    /// A channel's messages.
    Channel(&'a Arc<str>, ChannelNumber),
}

/// What figures were.
#[derive(Debug)]
pub(super) struct History {
    begun: (SystemTime, Instant),
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    ticks: Ticks,
    /// No more samples are taken until something happens.
    asleep: bool,
    broker: Family<()>,
    objects: Family<()>,
    churn: Family<()>,
    node: Family<()>,
    vhosts: Family<VhostName>,
    vhost_bytes: Family<VhostName>,
    queues: Family<u64>,
    capacities: Capacities,
    exchanges: Family<(VhostName, ExchangeName)>,
    connections: Family<Arc<str>>,
    channels: Family<(Arc<str>, ChannelNumber)>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            begun: (SystemTime::now(), Instant::now()),
            known: Mutex::new(Known {
                ticks: Ticks::default(),
                asleep: false,
                broker: Family::new(&MESSAGES, 1),
                objects: Family::new(&OBJECTS, 1),
                churn: Family::new(&CHURN, 1),
                node: Family::new(&NODE, 1),
                vhosts: Family::new(&MESSAGES, OTHERS_MAX),
                vhost_bytes: Family::new(&CONNECTION, OTHERS_MAX),
                queues: Family::new(&MESSAGES, QUEUES_MAX),
                capacities: Capacities::default(),
                exchanges: Family::new(&EXCHANGE, OTHERS_MAX),
                connections: Family::new(&CONNECTION, OTHERS_MAX),
                channels: Family::new(&MESSAGES, OTHERS_MAX),
            }),
        }
    }
}

impl History {
    /// Takes samples for as long as it is polled, at whole multiples of the interval: at the moments that are asked for.
    pub(super) async fn follow(&self, backend: &dyn Backend) {
        loop {
            let begun = Instant::now();
            if self.look(backend, whole(self.now())) {
                backend.stirring().stirred().await;
                self.wake(self.now());
            } else {
                tokio::time::sleep(begun.elapsed() * SHARE).await;
            }
            let into = self.now() % EVERY_MS;
            tokio::time::sleep(Duration::from_millis(EVERY_MS - into)).await;
        }
    }

    /// Somebody asks, and is to see what there would be if samples had been taken all the time.
    pub(super) fn rouse(&self, backend: &dyn Backend) {
        backend.stirring().stir();
        self.wake(self.now());
    }

    /// Takes a sample, and says whether to take no more until something happens: nothing has since the one before.
    fn look(&self, backend: &dyn Backend, now: u64) -> bool {
        self.sample(backend, now);
        let is_still = backend.stirring().watch();
        let mut known = self.known.lock();
        known.asleep = is_still && known.changed() < now;
        known.asleep
    }

    /// Takes the samples that were left out until now, all of them like the last one: something happens only now.
    fn wake(&self, now: u64) {
        let mut known = self.known.lock();
        if !std::mem::take(&mut known.asleep) {
            return;
        }
        let (before, last) = (known.ticks.last, whole(now));
        if last > before {
            let left_out = (last - before).div_ceil(EVERY_MS);
            known.capacities.repeat(left_out);
            known.ticks = Ticks {
                before: before.max(last.saturating_sub(EVERY_MS)),
                last,
            };
        }
    }

    /// Takes a sample of everything. Moments must rise.
    fn sample(&self, backend: &dyn Backend, now: u64) {
        let mut known = self.known.lock();
        let known = &mut *known;
        known.ticks = Ticks {
            before: known.ticks.last,
            last: now,
        };
        let overview = backend.overview();
        let totals = &overview.messages;
        let lengths = (totals.ready_count, totals.unacked_count);
        known
            .broker
            .take(now, (), &messages(&overview.message_stats, lengths));
        known.objects.take(now, (), &objects(&overview.totals));
        known.churn.take(now, (), &churn(&overview.churn));
        let node = backend.node();
        let files = stats::open_files().unwrap_or_default() as u64;
        let machine = [node.memory_used, node.disk_free, node.sockets_used, files];
        known.node.take(now, (), &machine);
        for vhost in backend.vhosts() {
            known.sample_vhost(backend, &vhost, now);
        }
        for connection in backend.connections() {
            let bytes = [connection.received_bytes, connection.sent_bytes];
            known
                .connections
                .take(now, connection.connection.name, &bytes);
        }
        for channel in backend.channels() {
            let row = messages(&channel.message_stats, (0, channel.unacked_count));
            known
                .channels
                .take(now, (channel.connection.name, channel.number), &row);
        }
        known.vhosts.finish(now);
        known.vhost_bytes.finish(now);
        known.queues.finish(now);
        known.capacities.finish(now);
        known.exchanges.finish(now);
        known.connections.finish(now);
        known.channels.finish(now);
    }

    /// How somebody's figures change, with samples where the windows ask for some.
    pub(super) fn details(&self, of: Of<'_>, windows: &Windows) -> Details {
        let known = self.known.lock();
        let ticks = known.ticks;
        match of {
            Of::Broker => known.broker.details(&(), ticks, windows),
            Of::Objects => known.objects.details(&(), ticks, windows),
            Of::Churn => known.churn.details(&(), ticks, windows),
            Of::Node => known.node.details(&(), ticks, windows),
            Of::Vhost(name) => known.vhosts.details(name, ticks, windows),
            Of::VhostBytes(name) => known.vhost_bytes.details(name, ticks, windows),
            Of::Queue(id) => known.queues.details(&id, ticks, windows),
            Of::Exchange(vhost, name) => {
                let key = (vhost.clone(), name.clone());
                known.exchanges.details(&key, ticks, windows)
            }
            Of::Connection(name) => known.connections.details(name, ticks, windows),
            Of::Channel(name, number) => {
                let key = (Arc::clone(name), number);
                known.channels.details(&key, ticks, windows)
            }
        }
    }

    /// Rates of a queue, to sort by.
    pub(super) fn queue_rate(&self, id: u64, column: &str) -> Option<f64> {
        let known = self.known.lock();
        known.queues.rate(&id, known.ticks, column)
    }

    /// The part of the last minutes in which a queue could have given a message to a consumer at once, from 0 to 1; nothing if it is new.
    pub(super) fn capacity(&self, id: u64) -> Option<f64> {
        self.known.lock().capacities.of(id)
    }

    /// Milliseconds since 1970, which only rise.
    fn now(&self) -> u64 {
        stats::millis(self.begun.0 + self.begun.1.elapsed())
    }
}

/// The last moment that samples are of.
fn whole(now: u64) -> u64 {
    now / EVERY_MS * EVERY_MS
}

impl Known {
    /// When something changed last. Memory and disk, which never rest, do not count.
    fn changed(&self) -> u64 {
        let messages = [
            self.broker.changed,
            self.vhosts.changed,
            self.queues.changed,
        ];
        let clients = [self.connections.changed, self.channels.changed];
        let others = [
            self.objects.changed,
            self.churn.changed,
            self.vhost_bytes.changed,
            self.exchanges.changed,
        ];
        let all = messages.into_iter().chain(clients).chain(others);
        all.max().unwrap_or_default()
    }

    fn sample_vhost(&mut self, backend: &dyn Backend, vhost: &VhostSnapshot, now: u64) {
        let lengths = (vhost.messages.ready_count, vhost.messages.unacked_count);
        let row = messages(&vhost.message_stats, lengths);
        self.vhosts.take(now, vhost.name.clone(), &row);
        let bytes = [vhost.received_bytes, vhost.sent_bytes];
        self.vhost_bytes.take(now, vhost.name.clone(), &bytes);
        for queue in backend.queue_figures(&vhost.name) {
            if let Some(is_served) = queue.is_served {
                self.capacities.take(now, queue.id, is_served);
            }
            let lengths = (queue.ready_count, queue.unacked_count);
            self.queues
                .take(now, queue.id, &messages(&queue.message_stats, lengths));
        }
        for exchange in backend.exchanges(&vhost.name) {
            let row = [exchange.published_in, exchange.published_out];
            self.exchanges
                .take(now, (exchange.vhost, exchange.name), &row);
        }
    }
}

fn messages(stats: &MessageStats, (ready, unacked): (u64, u64)) -> [u64; COUNTER_COUNT + 3] {
    let mut row = [0; COUNTER_COUNT + 3];
    for (figure, (_, counter)) in row.iter_mut().zip(COUNTERS) {
        *figure = counter(stats);
    }
    row[COUNTER_COUNT] = ready + unacked;
    row[COUNTER_COUNT + 1] = ready;
    row[COUNTER_COUNT + 2] = unacked;
    row
}

fn objects(totals: &ObjectTotals) -> [u64; OBJECTS.len()] {
    let ObjectTotals {
        connections,
        channels,
        consumers,
        exchanges,
        queues,
    } = *totals;
    [connections, channels, consumers, exchanges, queues]
}

fn churn(churn: &Churn) -> [u64; CHURN.len()] {
    [
        churn.connections_opened,
        churn.connections_closed,
        churn.channels_opened,
        churn.channels_closed,
        churn.queues_declared,
        churn.queues_created,
        churn.queues_deleted,
    ]
}
