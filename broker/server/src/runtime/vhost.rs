//! A virtual host: what exists in it, and the one way in which that changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use amphora_core::definition::{Definition, QueueDefinition};
use amphora_core::policy::{Applied, Policies};
use amphora_core::store::{QueueId, Write};
use amphora_core::topology::{
    Changes, ConnectionId, Declared, INTERNAL_USER, QueueDeclaration, Topology,
};
use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{QueueName, VhostName};
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Notify;

use super::administration::{VhostLimits, VhostMetadata};
use super::announce::{Announcer, Events, Tap};
use super::committer::Committer;
use super::counters::{Moved, QueueTotals};
use super::deduplication::Deduplicators;
use super::delays::{self, Delays};
use super::delete_condition::DeleteCondition;
use super::histories;
use super::model::Model;
use super::peer::{Letter, Touched};
use super::plugins::Plugins;
use super::queue::{SharedQueue, is_own};
use super::reply_to::ReplyConsumers;
use super::traffic::Exchanges;

pub(super) type Handle = Arc<SharedQueue>;

#[derive(Debug)]
pub(super) struct VirtualHost {
    pub(super) name: VhostName,
    topology: RwLock<Topology<Handle>>,
    /// Rises with every change of the topology: what was routed before may go elsewhere now.
    generation: AtomicU64,
    pub(super) committer: Arc<Committer>,
    queue_ids: Arc<AtomicU32>,
    pub(super) reply_consumers: ReplyConsumers,
    pub(super) totals: QueueTotals,
    pub(super) exchanges: Exchanges,
    pub(super) plugins: Arc<Plugins>,
    pub(super) delays: Delays,
    pub(super) deduplicators: Deduplicators,
    pub(super) metadata: RwLock<VhostMetadata>,
    pub(super) limits: VhostLimits,
    /// Open connections.
    pub(super) connections: AtomicU32,
    pub(super) moved: Moved,
    /// It was deleted: nothing in it changes any more.
    closed: AtomicBool,
    pub(super) tap: Arc<Tap>,
    events: Arc<Events>,
}

/// What all virtual hosts have in common.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) committer: Arc<Committer>,
    pub(super) plugins: Arc<Plugins>,
    pub(super) delays_wake: Arc<Notify>,
    /// The id of the next queue.
    pub(super) queue_ids: Arc<AtomicU32>,
    pub(super) announcer: Arc<Announcer>,
    pub(super) events: Arc<Events>,
}

/// What a change of definitions came to, and the epoch that makes it durable (0 if it need not be).
#[derive(Debug)]
pub(super) struct Changed<T> {
    pub(super) result: T,
    pub(super) epoch: u64,
}

impl<T> Changed<T> {
    /// The result, once the change is durable.
    pub(super) async fn durable(self, committer: &Committer) -> T {
        if self.epoch > 0 {
            committer.durable(self.epoch).await;
        }
        self.result
    }
}

/// What the names of queues begin with for which the broker makes one up, if nothing else is said.
pub(super) const SERVER_NAMED: &str = "amq.gen";

impl VirtualHost {
    pub(super) fn new(
        topology: Topology<Handle>,
        metadata: VhostMetadata,
        shared: &Shared,
        tap: Arc<Tap>,
    ) -> Arc<Self> {
        shared.events.look(&topology);
        let delays = Delays::new(Arc::clone(&shared.delays_wake));
        let waiting = topology.queue(delays::QUEUE);
        delays.recover(waiting.map(|entry| Arc::clone(&entry.handle)));
        let deduplicators = Deduplicators::of(topology.vhost(), topology.exchanges());
        let names = topology.exchanges();
        let exchanges = Exchanges::of(names.map(|exchange| exchange.name.clone()));
        let vhost = Arc::new(Self {
            name: topology.vhost().clone(),
            generation: AtomicU64::new(topology.generation()),
            topology: RwLock::new(topology),
            committer: Arc::clone(&shared.committer),
            queue_ids: Arc::clone(&shared.queue_ids),
            reply_consumers: ReplyConsumers::default(),
            totals: QueueTotals::default(),
            exchanges,
            plugins: Arc::clone(&shared.plugins),
            delays,
            deduplicators,
            metadata: RwLock::new(metadata),
            limits: VhostLimits::default(),
            connections: AtomicU32::new(0),
            moved: Moved::default(),
            closed: AtomicBool::new(false),
            tap,
            events: Arc::clone(&shared.events),
        });
        histories::recover(&vhost);
        vhost
    }

    pub(super) fn topology(&self) -> RwLockReadGuard<'_, Topology<Handle>> {
        self.topology.read()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Changes the topology: the only way. `by` is the user who asks for it. What must be stored is noted in the order of the changes.
    pub(super) fn change<T>(
        &self,
        by: &str,
        change: impl FnOnce(&mut Topology<Handle>) -> Result<(T, Changes), ChannelException>,
    ) -> Result<Changed<T>, ChannelException> {
        self.change_unless_closed(by, |topology| {
            if self.is_closed() {
                let text = format!("vhost '{}' is deleted", self.name);
                return Err(ChannelException::not_found(text));
            }
            change(topology)
        })
    }

    /// As [`VirtualHost::change`], for `change` to say whether it is too late.
    fn change_unless_closed<T>(
        &self,
        by: &str,
        change: impl FnOnce(&mut Topology<Handle>) -> Result<(T, Changes), ChannelException>,
    ) -> Result<Changed<T>, ChannelException> {
        let mut topology = self.topology.write();
        let (result, changes) = change(&mut topology)?;
        self.exchanges.follow(&changes);
        let mut writes: Vec<_> = changes.writes(&self.name).collect();
        writes.extend(self.deduplicators.follow(&self.name, &changes));
        // Whoever finds a route before this forgets it when it looks next.
        self.generation
            .store(topology.generation(), Ordering::Release);
        let epoch = if writes.is_empty() {
            0
        } else {
            self.committer.define(writes)
        };
        self.events.follow(&topology, &changes, by);
        drop(topology);
        self.committer.burials.try_again();
        histories::follow(self, &changes);
        Ok(Changed { result, epoch })
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Changes the policies. Returns the queues that others apply to now.
    pub(super) fn change_policies(
        &self,
        change: impl FnOnce(&mut Policies),
    ) -> Vec<(Handle, Option<Arc<Applied>>)> {
        let mut topology = self.topology.write();
        let changed = topology.change_policies(change);
        self.generation
            .store(topology.generation(), Ordering::Release);
        changed
    }

    /// The virtual host is deleted: all that is in it goes, and nothing new comes. Returns what the store has yet to learn.
    pub(super) fn dismantle(&self, touched: &mut Touched) -> Vec<Write> {
        let emptied = self.change_unless_closed("", |topology| {
            self.closed.store(true, Ordering::Relaxed);
            let queues = topology.queues();
            let names: Vec<_> = queues.map(|entry| entry.definition.name.clone()).collect();
            let exchanges: Vec<_> = topology.exchanges().map(|x| x.name.clone()).collect();
            let removed = names.iter().filter_map(|name| topology.remove_queue(name));
            let (queues, mut changes): (Vec<_>, Vec<_>) = removed.unzip();
            for name in exchanges {
                // Those that every virtual host has are not stored, and go with it.
                changes.extend(topology.delete_exchange(&name, false));
            }
            let changes = changes.into_iter().flat_map(|changes| changes.0);
            Ok((queues, Changes(changes.collect())))
        });
        for queue in emptied.map_or_else(|_| Vec::new(), |emptied| emptied.result) {
            self.bury(&queue, ConnectionId::NONE, touched);
        }
        let own = Definition::Vhost {
            vhost: self.name.clone(),
            metadata: FieldTable::new(),
        };
        vec![Write::DeleteDefinition { key: own.key() }]
    }

    /// Plugins or their attachments changed: what was routed before may go elsewhere now.
    pub(super) fn touch(&self) {
        let mut topology = self.topology.write();
        topology.touch();
        self.generation
            .store(topology.generation(), Ordering::Release);
    }

    /// queue.declare, once the name is chosen. Returns the queue.
    pub(super) fn declare_queue(
        &self,
        mut declaration: QueueDeclaration,
        asker: ConnectionId,
        by: &str,
    ) -> Result<Changed<Handle>, ChannelException> {
        declaration.by = by.into();
        if declaration.passive {
            let result = self
                .topology()
                .find_queue(&declaration.name, asker)?
                .handle
                .clone();
            return Ok(Changed { result, epoch: 0 });
        }
        self.totals.declared.fetch_add(1, Ordering::Relaxed);
        self.change(by, |topology| {
            let parsed = match topology.check_queue(&declaration, asker)? {
                Declared::Exists(queue) => return Ok((queue, Changes::default())),
                Declared::Absent(parsed) => parsed,
            };
            let limit = self.limits.refuses_queue(topology.queues().len());
            // What the broker itself keeps does not count.
            let limit = limit.filter(|_| !is_own(&declaration.name)).and_then(|_| {
                let names = topology.queues().map(|entry| &entry.definition.name);
                self.limits
                    .refuses_queue(names.filter(|name| !is_own(name)).count())
            });
            if let Some(limit) = limit {
                let (queue, vhost) = (&declaration.name, &self.name);
                return Err(ChannelException::precondition_failed(format!(
                    "cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({limit}) is reached"
                )));
            }
            let id = QueueId(self.queue_ids.fetch_add(1, Ordering::Relaxed));
            let definition = Arc::new(QueueDefinition::new(id, declaration, *parsed, asker));
            let model = Model::new(&definition);
            let policies = topology.policies_for_queue(&definition);
            let queue = SharedQueue::new(&definition, policies, &self.tap, model);
            let changes = topology.insert_queue(definition, queue.clone());
            self.totals.created.fetch_add(1, Ordering::Relaxed);
            Ok((queue, changes))
        })
    }

    /// queue.delete. Returns how many messages were ready. A queue that is not there is no error.
    pub(super) fn delete_queue(
        &self,
        name: &str,
        (asker, by): (ConnectionId, &str),
        condition: DeleteCondition,
        touched: &mut Touched,
    ) -> Result<Changed<u64>, ChannelException> {
        if self.is_closed() || self.topology().queue(name).is_none() {
            return Ok(Changed {
                result: 0,
                epoch: 0,
            });
        }
        let deleted = self.change(by, |topology| {
            let queue = topology.find_queue(name, asker)?.handle.clone();
            condition.check(&queue)?;
            let changes = topology.remove_queue(name).map(|(_, changes)| changes);
            Ok((queue, changes.unwrap_or_default()))
        })?;
        let ready = self.bury(&deleted.result, asker, touched);
        Ok(Changed {
            result: ready,
            epoch: deleted.epoch,
        })
    }

    /// Deletes an auto-delete queue whose last consumer is gone, or a queue that was not used for as long as it may be.
    pub(super) fn delete_if_unused(&self, queue: &Handle, touched: &mut Touched) {
        let is_unused = |model: &Model| {
            (queue.auto_delete && model.consumer_count() == 0) || model.is_abandoned()
        };
        if !is_unused(&queue.state.lock().model) {
            return;
        }
        let removed = self.change(INTERNAL_USER, |topology| {
            let current = topology.queue(&queue.name).map(|entry| &entry.handle);
            let same = current.is_some_and(|current| Arc::ptr_eq(current, queue));
            if !same || !is_unused(&queue.state.lock().model) {
                return Ok((false, Changes::default()));
            }
            let changes = topology
                .remove_queue(&queue.name)
                .map(|(_, changes)| changes);
            Ok((true, changes.unwrap_or_default()))
        });
        if removed.is_ok_and(|removed| removed.result) {
            self.bury(queue, ConnectionId::NONE, touched);
        }
    }

    /// The queue is in the topology no more: its consumers are told, its messages go. Those of the connection that
    /// deletes it are told after the answer to its request, by that connection itself.
    fn bury(&self, queue: &Handle, by: ConnectionId, touched: &mut Touched) -> u64 {
        let mut state = queue.state.lock();
        let state = &mut *state;
        if std::mem::replace(&mut state.deleted, true) {
            return 0;
        }
        self.totals.deleted.fetch_add(1, Ordering::Relaxed);
        *self.totals.buried.lock() += state.model.counters();
        if let Some(deduplicator) = &queue.deduplicator {
            let writes = deduplicator.deletion();
            if !writes.is_empty() {
                self.committer.define(writes);
            }
        }
        let ready = state.model.ready_count();
        let consumers: Vec<_> = state
            .model
            .consumers()
            .map(|consumer| (consumer.key, consumer.options.tag.clone()))
            .collect();
        self.committer.account(&mut state.memory, 0);
        self.committer.timers.clear(queue.id, &mut state.alarm);
        self.committer.note(queue, &mut state.dirty, false);
        for (key, tag) in consumers {
            let Some(subscriber) = state.model.cancel(key) else {
                continue;
            };
            let peer = &subscriber.peer;
            let told = peer.id != by.0;
            // Before the client can learn of it, and use the tag again.
            peer.post(Letter::Cancelled {
                channel: subscriber.channel,
                tag: tag.clone(),
                queue: Arc::clone(queue),
                key,
                told,
            });
            let mut outbox = peer.outbox.lock();
            if let Some(channel) = outbox.channel(subscriber.channel) {
                channel.unacked.close_source(subscriber.source);
                if told && peer.cancel_notify.load(Ordering::Relaxed) {
                    let cancel = basic::Cancel {
                        consumer_tag: tag,
                        no_wait: true,
                    };
                    outbox.method(subscriber.channel, &cancel.into());
                }
            }
            peer.publish_size(&outbox);
            drop(outbox);
            touched.add(peer);
        }
        ready
    }

    /// A name for a queue whose declarer leaves the choice to the broker, but for what it begins with.
    pub(super) fn server_name(prefix: &str) -> QueueName {
        let name = format!("{prefix}-{}", crate::random::token());
        QueueName::new(name).unwrap_or_default()
    }
}
