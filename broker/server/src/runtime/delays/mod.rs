//! Messages that wait for their time: in one durable queue of each virtual host, with an index by time in memory.
//!
//! Such a message survives a restart as any other of its queue does. When its time comes it is routed, and only when that is durable, as far as
//! it must be, is it settled; so a crash in between may make it come twice, and never loses it. The messages themselves leave memory as
//! those of other queues do, and are read back some seconds before their time.

mod ahead;
mod listing;
mod reading;
mod release;
mod wrapping;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use amphora_core::queue::PageIn;
use amphora_core::store::Position;
use amphora_core::topology::{ConnectionId, INTERNAL_USER, QueueDeclaration};
use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::QueueName;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::ahead::Ahead;
use super::broker::Broker;
use super::committer::Committer;
use super::peer::Touched;
use super::timers::now_ms;
use super::vhost::{Handle, VirtualHost};

pub(super) use self::listing::Waits;
pub(super) use self::release::REFUSED_RETRY_MS;
pub(super) use self::wrapping::{Onward, Source, wrap};

/// The queue's name. Its prefix keeps clients from declaring it otherwise; they may look at it, and delete it to cancel all that waits.
pub(super) const QUEUE: &str = "amq.amphora.delayed";

/// The clock may be set forward, or the machine may have slept: while something waits, it is looked at this often.
const LOOK: Duration = Duration::from_secs(1);

/// The messages of one virtual host that wait. Its lock is taken before that of its queue.
#[derive(Debug)]
pub(super) struct Delays {
    waiting: Mutex<Waiting>,
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: Option<Handle>,
    /// When, and where in the queue.
    due: BTreeSet<(u64, Position)>,
    /// There may be messages in the queue that are not in `due`.
    look: bool,
    /// Stretches of the queue from before the restart that are to be put into `due`.
    unread: Vec<PageIn>,
    /// Somebody reads these.
    reading: bool,
    ahead: Ahead,
    /// Messages that have gone on and are not settled yet: those of before, and those since they began to wait for the disk.
    gone: GoneOn,
    fresh: GoneOn,
    /// How many messages wait at each exchange.
    counts: HashMap<Box<str>, u64>,
}

/// Messages that have gone on, with the lengths of their bodies. They may be settled once this epoch is durable, where they went: what
/// the queue forgets may be on the disk before what is noted elsewhere, because a group is gathered queue by queue.
#[derive(Debug, Default)]
struct GoneOn {
    positions: Vec<(Position, u32)>,
    epoch: u64,
}

impl Delays {
    /// `wake` wakes the task that [`run`]s.
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self {
            waiting: Mutex::default(),
            wake,
        }
    }

    /// The queue in which messages wait; it is made when the first one does.
    pub(super) fn queue(&self, vhost: &VirtualHost) -> Result<Handle, ChannelException> {
        let known = self.waiting.lock().queue.clone();
        if let Some(queue) = known.filter(|queue| !queue.state.lock().deleted) {
            return Ok(queue);
        }
        let declaration = QueueDeclaration {
            name: QueueName::new(QUEUE).unwrap_or_default(),
            // Such names are the broker's own to give.
            server_named: true,
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: FieldTable::new(),
            by: Box::default(),
        };
        let declared = vhost.declare_queue(declaration, ConnectionId::NONE, INTERNAL_USER)?;
        let mut waiting = self.waiting.lock();
        if !waiting.is_of(&declared.result) {
            *waiting = Waiting {
                queue: Some(Arc::clone(&declared.result)),
                look: true,
                ..Waiting::default()
            };
        }
        Ok(declared.result)
    }

    /// Takes the queue of an earlier run of the broker up again.
    pub(super) fn recover(&self, queue: Option<Handle>) {
        let mut waiting = self.waiting.lock();
        waiting.look = queue.is_some();
        waiting.queue = queue;
    }

    /// There is something new in the queue.
    pub(super) fn look(&self) {
        self.waiting.lock().look = true;
        self.wake.notify_one();
    }

    /// How many messages wait at the exchange, and are known to.
    pub(super) fn count(&self, exchange: &str) -> u64 {
        let waiting = self.waiting.lock();
        if waiting.is_over() {
            return 0;
        }
        waiting.counts.get(exchange).copied().unwrap_or(0)
    }

    /// Settles what has gone on: before the broker ends, so that it does not go on again.
    pub(super) fn settle(&self, committer: &Arc<Committer>) {
        let mut touched = Touched::default();
        let mut waiting = self.waiting.lock();
        // What is committed at a broker's end is committed whole.
        waiting.settle(committer, &mut touched);
        waiting.settle(committer, &mut touched);
        drop(waiting);
        touched.finish(committer);
    }
}

impl Waiting {
    /// Whether these are the messages of this very queue.
    fn is_of(&self, queue: &Handle) -> bool {
        let own = self.queue.as_ref();
        own.is_some_and(|own| Arc::ptr_eq(own, queue))
    }

    /// Takes note of a message that waits.
    fn note(&mut self, due: u64, position: Position, exchange: &str) {
        self.due.insert((due, position));
        match self.counts.get_mut(exchange) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(exchange.into(), 1);
            }
        }
    }

    /// A message waits at the exchange no more.
    fn uncount(&mut self, exchange: &str) {
        if let Some(count) = self.counts.get_mut(exchange) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(exchange);
            }
        }
    }

    /// Whether something has gone on that is not settled.
    fn has_gone(&self) -> bool {
        !(self.gone.positions.is_empty() && self.fresh.positions.is_empty())
    }

    /// Settles what has gone on and is durable where it went.
    fn settle_durable(&mut self, committer: &Arc<Committer>, touched: &mut Touched) {
        if self.gone.epoch <= committer.durable_epoch() {
            self.settle(committer, touched);
        }
        if self.gone.epoch > committer.durable_epoch() {
            committer.hurry();
        }
    }

    /// Settles what has gone on earlier, and takes up what has since.
    fn settle(&mut self, committer: &Arc<Committer>, touched: &mut Touched) {
        let mut gone = std::mem::replace(&mut self.gone, std::mem::take(&mut self.fresh));
        let (Some(queue), false) = (&self.queue, gone.positions.is_empty()) else {
            return;
        };
        gone.positions.sort_unstable();
        queue.with(committer, touched, |model, _| {
            ((), model.settle_found(&gone.positions))
        });
    }
}

/// Runs as long as the broker: releases what is due, and sleeps until something is.
pub(super) async fn run(broker: Arc<Broker>) {
    let wake = broker.delays_wake();
    let committer = &broker.committer;
    loop {
        while committer.is_behind() {
            // Either way, the next look says what to do.
            let _ = tokio::time::timeout(LOOK, committer.relieved.notified()).await;
        }
        let mut next: Option<u64> = None;
        for vhost in broker.vhosts() {
            let due = release::serve(&broker, &vhost);
            next = next.into_iter().chain(due).min();
        }
        let Some(next) = next else {
            wake.notified().await;
            continue;
        };
        let wait = Duration::from_millis(next.saturating_sub(now_ms())).min(LOOK);
        // Likewise.
        let _ = tokio::time::timeout(wait, wake.notified()).await;
    }
}
