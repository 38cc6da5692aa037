//! A queue as the runtime shares it: the core's state behind a lock, and what may be read without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amphora_core::channel::SourceKey;
use amphora_core::definition::QueueDefinition;
use amphora_core::policy::Applied;
use amphora_core::queue::{Effects, Space};
use amphora_core::queue_arguments::{DeadLetterStrategy, Overflow, QueueType};
use amphora_core::store::QueueId;
use amphora_protocol::exception::{ChannelException, ConnectionException};
use amphora_protocol::wire::types::{ChannelNumber, QueueName};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::announce::Tap;
use super::committer::Committer;
use super::deduplication::Deduplicator;
use super::delays;
use super::delivering::Delivering;
use super::effective::Effective;
use super::model::Model;
use super::peer::{Peer, Touched};
use super::plugins::DeadLetter;
use super::pressure::{Backlog, Pressure};
use super::timers::now_ms;

/// Where a consumer's messages go.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) peer: Arc<Peer>,
    pub(super) channel: ChannelNumber,
    pub(super) source: SourceKey,
    /// See [`super::encoding::deliver_prefix`].
    pub(super) prefix: Box<[u8]>,
}

#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) model: Model,
    /// The queue was deleted: what still arrives is dropped.
    pub(super) deleted: bool,
    /// The committer knows that there is something to take.
    pub(super) dirty: bool,
    /// Bytes of memory that the committer's gauge counts for this queue.
    pub(super) memory: usize,
    /// When the queue is to be woken: see [`super::timers`].
    pub(super) alarm: Option<u64>,
    /// A task publishes what has died: see [`super::burial`].
    pub(super) burying: bool,
    /// A dead letter found no room here, and waits for some.
    room_awaited: bool,
    pressure: Pressure,
}

/// What the names of the queues begin with in which the broker itself keeps messages.
pub(super) const OWN_PREFIX: &str = "amq.amphora.";

/// Whether such a queue is meant. Clients may look at it in listings and delete it, and nothing else.
pub(super) fn is_own(name: &str) -> bool {
    name.starts_with(OWN_PREFIX)
}

#[derive(Debug)]
pub(super) struct SharedQueue {
    pub(super) id: QueueId,
    pub(super) definition: Arc<QueueDefinition>,
    effective: ArcSwap<Effective>,
    pub(super) name: QueueName,
    pub(super) vhost: Arc<str>,
    pub(super) tap: Arc<Tap>,
    pub(super) auto_delete: bool,
    /// It holds what the broker itself keeps: nobody else may put anything into it.
    pub(super) is_own: bool,
    /// What it has seen, if it takes each id once.
    pub(super) deduplicator: Option<Arc<Deduplicator>>,
    /// Its messages are not wanted soon: beyond some, they leave memory when they are stored.
    pub(super) is_cold: bool,
    pub(super) state: Mutex<QueueState>,
    /// Ready messages wait only for connections that are full: publishers are asked to go slower.
    full: AtomicBool,
    /// Likewise, for consumers that are fast as soon as they are let: see [`super::pressure`].
    pressed: AtomicBool,
    /// Neither of them is true any longer.
    pub(super) low: Notify,
    /// A segment came back.
    pub(super) paged: Notify,
    /// Something died while a task [buries](super::burial).
    pub(super) died: Notify,
    /// [`Queue::space`], readable without the lock.
    space_messages: AtomicU64,
    space_bytes: AtomicU64,
}

impl SharedQueue {
    pub(super) fn new(
        definition: &Arc<QueueDefinition>,
        policies: Option<Arc<Applied>>,
        tap: &Arc<Tap>,
        mut model: Model,
    ) -> Arc<Self> {
        let effective = Effective::new(definition, policies);
        let is_own = is_own(&definition.name);
        if is_own && let Model::Queue(queue) = &mut model {
            // They hold messages for later, when their time begins.
            queue.ignore_expirations();
        }
        model.configure(&effective.arguments);
        model.tell_time(now_ms());
        model.renew();
        let space = model.space();
        let arguments = &effective.arguments;
        if arguments.dead_letter_strategy == DeadLetterStrategy::AtLeastOnce
            && !arguments.keeps_dead_letters()
        {
            tracing::warn!(
                queue = %definition.name, vhost = %tap.vhost(),
                "x-dead-letter-strategy=at-least-once needs x-overflow=reject-publish; dead letters go at most once"
            );
        }
        Arc::new(Self {
            id: definition.id,
            definition: Arc::clone(definition),
            effective: ArcSwap::from_pointee(effective),
            name: definition.name.clone(),
            vhost: tap.vhost().as_str().into(),
            tap: Arc::clone(tap),
            auto_delete: definition.auto_delete,
            is_own,
            deduplicator: Deduplicator::of_queue(definition),
            is_cold: definition.name == *delays::QUEUE,
            state: Mutex::new(QueueState {
                model,
                deleted: false,
                dirty: false,
                memory: 0,
                alarm: None,
                burying: false,
                room_awaited: false,
                pressure: Pressure::default(),
            }),
            full: AtomicBool::new(false),
            pressed: AtomicBool::new(false),
            low: Notify::new(),
            paged: Notify::new(),
            died: Notify::new(),
            space_messages: AtomicU64::new(space.messages),
            space_bytes: AtomicU64::new(space.bytes),
        })
    }

    /// Whether its messages are to leave memory though there is enough.
    pub(super) fn cools(&self, state: &QueueState) -> bool {
        self.is_cold && state.model.memory() > WARM_BYTES_MAX
    }

    /// Whether it has to do something when a group is durable, even if there is enough memory.
    pub(super) fn awaits_commits(&self) -> bool {
        self.is_cold || self.is_stream()
    }

    /// What is in force for it now.
    pub(super) fn effective(&self) -> Arc<Effective> {
        self.effective.load_full()
    }

    /// From now on, these policies apply. Returns whether they change how long a consumer may hold a message. No lock may be held.
    pub(super) fn apply(
        self: &Arc<Self>,
        policies: Option<Arc<Applied>>,
        committer: &Arc<Committer>,
        touched: &mut Touched,
    ) -> bool {
        let effective = Arc::new(Effective::new(&self.definition, policies));
        let timeout = effective.arguments.consumer_timeout;
        let before = self.effective.swap(Arc::clone(&effective));
        self.with(committer, touched, |model, sink| {
            model.tell_time(now_ms());
            model.configure(&effective.arguments);
            ((), model.dispatch(sink))
        });
        committer.burials.try_again();
        before.arguments.consumer_timeout != timeout
    }

    /// Where its dead letters go.
    pub(super) fn dead_letter(&self) -> Option<DeadLetter> {
        let effective = self.effective();
        let arguments = &effective.arguments;
        Some(DeadLetter {
            exchange: arguments.dead_letter_exchange.clone()?,
            routing_key: arguments.dead_letter_routing_key.clone(),
        })
    }

    /// Whether dead letters that cannot be published stay, and are tried again.
    pub(super) fn keeps_dead_letters(&self) -> bool {
        self.effective.load().arguments.keeps_dead_letters()
    }

    /// How long a consumer may hold a message.
    pub(super) fn consumer_timeout(&self) -> Option<Duration> {
        self.effective.load().arguments.consumer_timeout
    }

    /// What happens to messages that are too many.
    pub(super) fn overflow(&self) -> Overflow {
        self.effective.load().arguments.overflow
    }

    /// Whether it refuses messages when it is full.
    pub(super) fn may_refuse(&self) -> bool {
        self.overflow() != Overflow::DropHead
    }

    /// What it takes before it refuses messages, as of the last look.
    pub(super) fn space(&self) -> Space {
        Space {
            messages: self.space_messages.load(Ordering::Relaxed),
            bytes: self.space_bytes.load(Ordering::Relaxed),
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        self.definition.parsed.queue_type == QueueType::Stream
    }

    /// Refuses what streams do not have, as RabbitMQ does.
    pub(super) fn refuse_stream(&self, method: &str) -> Result<(), ConnectionException> {
        if !self.is_stream() {
            return Ok(());
        }
        let text = format!(
            "{method} not supported by stream queues {}",
            self.described()
        );
        Err(ConnectionException::not_implemented(text))
    }

    /// Refuses basic.get where RabbitMQ does: it would go past the single active consumer of a quorum queue.
    pub(super) fn refuse_get(&self) -> Result<(), ChannelException> {
        let parsed = &self.definition.parsed;
        if parsed.queue_type != QueueType::Quorum || !parsed.single_active_consumer {
            return Ok(());
        }
        let text = format!(
            "cannot obtain access to locked {}. basic.get operations are not supported by quorum queues with single active consumer",
            self.described()
        );
        Err(ChannelException::resource_locked(text))
    }

    /// What texts call it.
    pub(super) fn described(&self) -> String {
        format!("queue '{}' in vhost '{}'", self.name, self.vhost)
    }

    /// Whether publishers should go slower.
    pub(super) fn is_over(&self) -> bool {
        self.is_full() || self.pressed.load(Ordering::Relaxed)
    }

    /// Whether they should because its consumers' connections are full.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Runs `change` on the model under the queue's lock and sees to what it asks for. Returns nothing if the queue
    /// was deleted.
    pub(super) fn with<R>(
        self: &Arc<Self>,
        committer: &Arc<Committer>,
        touched: &mut Touched,
        change: impl FnOnce(&mut Model, &mut Delivering<'_>) -> (R, Effects),
    ) -> Option<(R, Effects)> {
        let mut state = self.state.lock();
        if state.deleted {
            return None;
        }
        let mut sink = Delivering {
            queue: self,
            touched,
            starved: false,
        };
        if state.model.keeps_time() {
            state.model.tell_time(now_ms());
        }
        let woken = state.model.wake();
        let (result, mut effects) = change(&mut state.model, &mut sink);
        if woken {
            effects = effects.and(state.model.dispatch(&mut sink));
        }
        let starved = sink.starved;
        if state.model.keeps_time() {
            effects = effects.and(self.keep_time(&mut state, committer));
        }
        self.after(&mut state, committer, effects, starved);
        Some((result, effects))
    }

    /// Lets go what has expired, and sees that the queue is woken when something else does.
    fn keep_time(self: &Arc<Self>, state: &mut QueueState, committer: &Committer) -> Effects {
        let effects = state.model.expire();
        let now = state.model.time();
        // One that is due has rung, or rings in vain.
        state.alarm = state.alarm.filter(|&at| at > now);
        if let Some(deadline) = state.model.deadline() {
            // One that is long over is not due before others that are.
            let deadline = deadline.max(now);
            committer.timers.set(self, &mut state.alarm, deadline);
        }
        effects
    }

    fn after(
        self: &Arc<Self>,
        state: &mut QueueState,
        committer: &Arc<Committer>,
        effects: Effects,
        starved: bool,
    ) {
        if effects.commit || effects.settle {
            committer.note(self, &mut state.dirty, effects.commit);
        }
        if effects.bury {
            if std::mem::replace(&mut state.burying, true) {
                self.died.notify_waiters();
            } else {
                committer.burials.add(self);
            }
        }
        if effects.more {
            if !state.model.keeps_time() {
                // Nobody else looks after it.
                state.alarm = None;
            }
            committer.timers.set(self, &mut state.alarm, now_ms());
        }
        let has_more = self.tell_space(state.model.space());
        if has_more && std::mem::take(&mut state.room_awaited) {
            committer.burials.try_again();
        }
        if effects.page_in {
            committer.page_in(self, state.model.take_wanted());
        }
        let memory = state.model.memory();
        committer.account(&mut state.memory, memory);
        if memory >= SPILL_BYTES_MIN && committer.is_short_of_memory() {
            committer.note(self, &mut state.dirty, true);
        }
        let backlog = state.model.queue().and_then(Backlog::of);
        let pressed = state.pressure.slows(backlog, Instant::now);
        self.tell_over(starved && memory > OVER_BYTES, pressed);
    }

    fn tell_over(&self, full: bool, pressed: bool) {
        let was_over = self.is_over();
        for (said, is) in [(&self.full, full), (&self.pressed, pressed)] {
            if said.load(Ordering::Relaxed) != is {
                said.store(is, Ordering::Relaxed);
            }
        }
        if was_over && !full && !pressed {
            self.low.notify_waiters();
        }
    }
}

impl SharedQueue {
    /// Returns whether it is more than before.
    fn tell_space(&self, space: Space) -> bool {
        let before = self.space();
        if before != space {
            self.space_messages.store(space.messages, Ordering::Relaxed);
            self.space_bytes.store(space.bytes, Ordering::Relaxed);
        }
        space.messages > before.messages || space.bytes > before.bytes
    }

    /// A dead letter waits for room here: [`Burials`](super::burial::Burials) hear of it when there is more. To be called before the last look.
    pub(super) fn await_room(&self) {
        self.state.lock().room_awaited = true;
    }
}

/// A queue with consumers whose connections are full may hold this much before its publishers are slowed down: memory
/// that is still warm is cheaper than memory that is not.
const OVER_BYTES: usize = 1 << 20;

/// Memory that a cold queue may keep: what waits only for a moment need not go to the disk and back.
const WARM_BYTES_MAX: usize = 16 << 20;

/// A queue with less than this has nothing worth moving to the disk.
const SPILL_BYTES_MIN: usize = 256 << 10;
