//! What a queue's lock guards: a queue of the core, or a stream, which has another model.

use amphora_core::codec::Malformed;
use amphora_core::definition::QueueDefinition;
use amphora_core::message::{Batch, Delivery, Message};
use amphora_core::queue::{
    self, Burial, Consumer, ConsumerKey, ConsumerOptions, Counters, DeathReason, Effects, Found,
    Get, Held, PageIn, Queue, RecordData, Records, RecoveryError, Return, Sink, Space, Stop,
    Taking,
};
use amphora_core::queue_arguments::{QueueArguments, QueueType};
use amphora_core::store::{CommitGroup, Position, RecoveredQueue};
use amphora_core::stream::{self, Look, Stream, Subscription};

use super::queue::Subscriber;

/// See [`Queue`] and [`Stream`] for what the methods do. What a stream does not have (basic.get, purge, exclusive consumers) is refused
/// before it comes here; should it come, it finds nothing.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a queue is looked at for every batch, and nearly all are queues"
)]
pub(super) enum Model {
    Queue(Queue<Subscriber>),
    Stream(Box<Stream<Subscriber>>),
}

/// The same expression for either.
macro_rules! either {
    ($model:expr, $name:ident => $do:expr) => {
        match $model {
            Model::Queue($name) => $do,
            Model::Stream($name) => $do,
        }
    };
}

impl Model {
    /// An empty one.
    pub(super) fn new(definition: &QueueDefinition) -> Self {
        match definition.parsed.queue_type {
            QueueType::Stream => {
                Self::Stream(Box::new(Stream::new(definition.id, &definition.parsed)))
            }
            QueueType::Classic | QueueType::Quorum => {
                Self::Queue(Queue::new(definition.id, definition.durable))
            }
        }
    }

    /// What the store has of it.
    pub(super) fn recover(
        definition: &QueueDefinition,
        recovered: RecoveredQueue,
    ) -> Result<Self, RecoveryError> {
        Ok(match definition.parsed.queue_type {
            QueueType::Stream => {
                Self::Stream(Box::new(stream::recover(recovered, &definition.parsed)?))
            }
            QueueType::Classic | QueueType::Quorum => Self::Queue(queue::recover(recovered)?),
        })
    }

    /// Takes over what the arguments say, merged with the policies that are in force. Dispatch is due afterwards.
    pub(super) fn configure(&mut self, arguments: &QueueArguments) {
        either!(self, model => model.configure(arguments));
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// The consumers that a stream remembers, and where each goes on; nothing for other queues.
    pub(super) fn tracked(&self) -> Option<impl Iterator<Item = (&str, Position)>> {
        match self {
            Self::Queue(_) => None,
            Self::Stream(stream) => Some(stream.tracked()),
        }
    }

    pub(super) fn ready_count(&self) -> u64 {
        match self {
            Self::Queue(queue) => queue.ready_count(),
            Self::Stream(stream) => stream.message_count(),
        }
    }

    pub(super) fn unacked_count(&self) -> u64 {
        either!(self, model => model.unacked_count())
    }

    pub(super) fn consumer_count(&self) -> usize {
        either!(self, model => model.consumer_count())
    }

    pub(super) fn consumers(&self) -> Box<dyn Iterator<Item = &Consumer<Subscriber>> + '_> {
        match self {
            Self::Queue(queue) => Box::new(queue.consumers()),
            Self::Stream(stream) => Box::new(stream.consumers()),
        }
    }

    pub(super) fn has_exclusive_consumer(&self) -> bool {
        self.queue().is_some_and(Queue::has_exclusive_consumer)
    }

    pub(super) fn has_single_active_consumer(&self) -> bool {
        self.queue().is_some_and(Queue::has_single_active_consumer)
    }

    pub(super) fn is_active(&self, key: ConsumerKey) -> bool {
        match self {
            Self::Queue(queue) => queue.is_active(key),
            Self::Stream(_) => true,
        }
    }

    pub(super) fn set_paused(&mut self, paused: bool) -> Effects {
        either!(self, model => model.set_paused(paused))
    }

    pub(super) fn is_paused(&self) -> bool {
        either!(self, model => model.is_paused())
    }

    pub(super) fn counters(&self) -> Counters {
        either!(self, model => model.counters())
    }

    pub(super) fn memory(&self) -> usize {
        either!(self, model => model.memory())
    }

    pub(super) fn keeps_time(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.keeps_time(),
            Self::Stream(_) => true,
        }
    }

    pub(super) fn tell_time(&mut self, now: u64) {
        either!(self, model => model.tell_time(now));
    }

    pub(super) fn time(&self) -> u64 {
        either!(self, model => model.time())
    }

    pub(super) fn renew(&mut self) {
        if let Self::Queue(queue) = self {
            queue.renew();
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.is_abandoned(),
            Self::Stream(_) => false,
        }
    }

    pub(super) fn wake(&mut self) -> bool {
        match self {
            Self::Queue(queue) => queue.wake(),
            Self::Stream(_) => false,
        }
    }

    pub(super) fn queue(&self) -> Option<&Queue<Subscriber>> {
        match self {
            Self::Queue(queue) => Some(queue),
            Self::Stream(_) => None,
        }
    }

    pub(super) fn delayed_count(&self) -> usize {
        self.queue().map_or(0, Queue::delayed_count)
    }

    pub(super) fn dying_count(&self) -> usize {
        self.queue().map_or(0, Queue::dying_count)
    }

    pub(super) fn held_up_count(&self) -> usize {
        self.queue().map_or(0, Queue::held_up_count)
    }

    pub(super) fn dying(
        &mut self,
        max: usize,
        look: impl FnMut(Position, DeathReason, Option<Message<'_>>),
    ) -> (Stop, Effects) {
        match self {
            Self::Queue(queue) => queue.dying(max, look),
            Self::Stream(_) => (Stop::End, Effects::default()),
        }
    }

    pub(super) fn bury(
        &mut self,
        burials: impl IntoIterator<Item = (Position, Burial)>,
    ) -> Effects {
        match self {
            Self::Queue(queue) => queue.bury(burials),
            Self::Stream(_) => Effects::default(),
        }
    }

    pub(super) fn try_again(&mut self) {
        if let Self::Queue(queue) = self {
            queue.try_again();
        }
    }

    pub(super) fn space(&self) -> Space {
        match self {
            Self::Queue(queue) => queue.space(),
            Self::Stream(_) => Space::ENDLESS,
        }
    }

    pub(super) fn refused(&mut self, count: u64) {
        if let Self::Queue(queue) = self {
            queue.refused(count);
        }
    }

    pub(super) fn expire(&mut self) -> Effects {
        either!(self, model => model.expire())
    }

    pub(super) fn deadline(&mut self) -> Option<u64> {
        either!(self, model => model.deadline())
    }

    pub(super) fn publish<B: Batch>(
        &mut self,
        batch: &B,
        sink: &mut impl Sink<Subscriber>,
    ) -> Effects {
        match self {
            Self::Queue(queue) => queue.publish(batch, sink),
            Self::Stream(stream) => stream.publish(batch),
        }
    }

    pub(super) fn dispatch(&mut self, sink: &mut impl Sink<Subscriber>) -> Effects {
        either!(self, model => model.dispatch(sink))
    }

    pub(super) fn consume(
        &mut self,
        subscriber: Subscriber,
        options: ConsumerOptions,
    ) -> ConsumerKey {
        either!(self, model => model.consume(subscriber, options))
    }

    pub(super) fn cancel(&mut self, key: ConsumerKey) -> Option<Subscriber> {
        either!(self, model => model.cancel(key))
    }

    pub(super) fn settle(&mut self, held: Held<'_>) -> Effects {
        either!(self, model => model.settle(held))
    }

    pub(super) fn reject(&mut self, held: Held<'_>) -> Effects {
        match self {
            Self::Queue(queue) => queue.reject(held),
            Self::Stream(stream) => stream.settle(held),
        }
    }

    pub(super) fn requeue(&mut self, held: Held<'_>, why: Return) -> Effects {
        match self {
            Self::Queue(queue) => queue.requeue(held, why),
            Self::Stream(stream) => stream.requeue(held),
        }
    }

    pub(super) fn get<R>(
        &mut self,
        no_ack: bool,
        take: impl FnOnce(Delivery<'_>, u64) -> R,
    ) -> (Get<R>, Effects) {
        match self {
            Self::Queue(queue) => queue.get(no_ack, take),
            Self::Stream(_) => (Get::Empty, Effects::default()),
        }
    }

    pub(super) fn take_all(
        &mut self,
        see: impl FnMut(Position, Message<'_>),
    ) -> (Vec<PageIn>, Effects) {
        match self {
            Self::Queue(queue) => queue.take_all(see),
            Self::Stream(_) => (Vec::new(), Effects::default()),
        }
    }

    pub(super) fn browse(&mut self, see: impl FnMut(Message<'_>)) -> (bool, Effects) {
        match self {
            Self::Queue(queue) => queue.browse(see),
            Self::Stream(_) => (true, Effects::default()),
        }
    }

    pub(super) fn seek(&mut self, subscription: &Subscription) -> (Option<Position>, Effects) {
        match self {
            Self::Queue(_) => (None, Effects::default()),
            Self::Stream(stream) => stream.seek(subscription),
        }
    }

    pub(super) fn look(
        &mut self,
        from: Position,
        see: impl FnMut(Position, Message<'_>, Option<u64>) -> bool,
    ) -> (Look, Effects) {
        match self {
            Self::Queue(_) => (Look::End, Effects::default()),
            Self::Stream(stream) => stream.look(from, see),
        }
    }

    pub(super) fn find<R>(
        &self,
        position: Position,
        look: impl FnOnce(Message<'_>) -> R,
    ) -> Found<R> {
        match self {
            Self::Queue(queue) => queue.find(position, look),
            Self::Stream(_) => Found::Settled,
        }
    }

    pub(super) fn is_settled(&self, position: Position) -> bool {
        match self {
            Self::Queue(queue) => queue.is_settled(position),
            Self::Stream(_) => true,
        }
    }

    pub(super) fn settle_found(&mut self, found: &[(Position, u32)]) -> Effects {
        match self {
            Self::Queue(queue) => queue.settle_found(found),
            Self::Stream(_) => Effects::default(),
        }
    }

    pub(super) fn purge(&mut self) -> (u64, Effects) {
        match self {
            Self::Queue(queue) => queue.purge(),
            Self::Stream(_) => (0, Effects::default()),
        }
    }

    pub(super) fn take_wanted(&mut self) -> Vec<PageIn> {
        either!(self, model => model.take_wanted())
    }

    pub(super) fn page_in(&mut self, base: Position, data: &[RecordData]) -> Result<(), Malformed> {
        either!(self, model => model.page_in(base, data))
    }

    pub(super) fn lose(&mut self, base: Position) -> Option<(Position, Position)> {
        either!(self, model => model.lose(base))
    }

    pub(super) fn take_commit(
        &mut self,
        group: &mut CommitGroup,
        records: &mut Records,
        taking: &mut Taking,
    ) -> bool {
        match self {
            Self::Queue(queue) => queue.take_commit(group, records, taking),
            Self::Stream(stream) => stream.take_commit(group, records, taking),
        }
    }

    /// Returns whether dispatch is due: a stream delivers only what is durable.
    pub(super) fn committed(&mut self, spill: bool) -> bool {
        match self {
            Self::Queue(queue) => {
                queue.committed(spill);
                false
            }
            Self::Stream(stream) => stream.committed(),
        }
    }

    pub(super) fn take_deletion(&mut self, group: &mut CommitGroup) {
        either!(self, model => model.take_deletion(group));
    }
}
