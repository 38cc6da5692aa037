//! A broker for tests of the API: one virtual host, direct routing, everything in memory.

mod administration;
mod browsing;
mod delayed;
mod plugins;
mod snapshots;
mod state;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{
    ChannelNumber, ExchangeName, QueueName, ShortString, VhostName,
};
use parking_lot::Mutex;

use self::snapshots::{exchange_snapshot, queue_snapshot};
use self::state::State;
use super::backend::{
    Administration, Backend, Bind, BindingFilter, Browsing, ChangeSettings, DeclareExchange,
    DeclareQueue, DelayedMessages, DeleteExchange, DeleteQueue, Get, Got, MoveMessages, Moved,
    Plugins, Publish, Published, Reply, Settings,
};
use super::snapshot::{
    BindingSnapshot, ChannelSnapshot, ConnectionRef, ConnectionSnapshot, ConnectionState,
    ConsumerSnapshot, Destination, ExchangeSnapshot, MessageCounts, MessageStats, NodeSnapshot,
    ObjectTotals, Overview, QueueFigures, QueueSnapshot, RouteReport, StoreSnapshot,
    UnackedSnapshot, VhostSnapshot,
};
use crate::auth::{Access, Identity, Resource, VhostAccess};
use crate::management::Stirring;

/// A broker with the virtual host `/`, the exchanges `""` and `amq.direct`, and what a test adds.
#[derive(Default)]
pub(crate) struct FakeBroker(Mutex<State>, Stirring);

impl FakeBroker {
    pub(crate) fn new() -> Arc<Self> {
        let broker = Self::default();
        for name in ["", "amq.direct"] {
            broker.0.lock().exchanges.insert(
                name.to_owned(),
                DeclareExchange {
                    name: name_of(name),
                    kind: "direct".to_owned(),
                    durable: true,
                    auto_delete: false,
                    internal: false,
                    arguments: FieldTable::new(),
                },
            );
        }
        Arc::new(broker)
    }

    /// Lets a client of this user connect, with a channel and a consumer of `queue`.
    pub(crate) fn connect(&self, user: &str, port: u16) {
        self.0.lock().connections.push(ConnectionSnapshot {
            connection: ConnectionRef {
                name: format!("127.0.0.1:{port} -> 127.0.0.1:5672").into(),
                peer: ([127, 0, 0, 1], port).into(),
            },
            local: ([127, 0, 0, 1], 5672).into(),
            user: user.into(),
            vhost: vhost(),
            auth_mechanism: "PLAIN",
            tls: None,
            state: ConnectionState::Running,
            channel_count: 1,
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: Duration::from_mins(1),
            client_properties: Arc::new(FieldTable::from_iter([(
                ShortString::cut("connection_name"),
                "shop".into(),
            )])),
            connected_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            received_bytes: 1,
            received_count: 1,
            sent_bytes: 2,
            sent_count: 2,
            pending_bytes: 0,
        });
    }

    /// So many more bytes come from each client.
    pub(crate) fn receive(&self, bytes: u64) {
        self.1.stir();
        for connection in &mut self.0.lock().connections {
            connection.received_bytes += bytes;
        }
    }

    pub(crate) fn set_node(&self, node: NodeSnapshot) {
        self.0.lock().node = node;
    }

    /// The reasons that connections were closed for.
    pub(crate) fn closed(&self) -> Vec<String> {
        self.0.lock().closed.clone()
    }
}

impl Backend for FakeBroker {
    fn overview(&self) -> Overview {
        let state = self.0.lock();
        Overview {
            totals: ObjectTotals {
                exchanges: state.exchanges.len() as u64,
                queues: state.queues.len() as u64,
                ..ObjectTotals::default()
            },
            ..Overview::default()
        }
    }

    fn stirring(&self) -> &Stirring {
        &self.1
    }

    fn node(&self) -> NodeSnapshot {
        self.0.lock().node
    }

    fn store(&self) -> StoreSnapshot {
        StoreSnapshot::default()
    }

    fn vhost_names(&self) -> Vec<VhostName> {
        vec![vhost()]
    }

    fn vhosts(&self) -> Vec<VhostSnapshot> {
        vec![VhostSnapshot {
            name: vhost(),
            description: "Default virtual host".to_owned(),
            tags: Vec::new(),
            default_queue_type: None,
            protected_from_deletion: false,
            tracing: self.0.lock().tracing,
            messages: MessageCounts::default(),
            message_stats: MessageStats::default(),
            received_bytes: 0,
            sent_bytes: 0,
        }]
    }

    fn exchanges(&self, _: &str) -> Vec<ExchangeSnapshot> {
        self.0
            .lock()
            .exchanges
            .values()
            .map(exchange_snapshot)
            .collect()
    }

    fn exchange(&self, _: &str, name: &str) -> Option<ExchangeSnapshot> {
        self.0.lock().exchanges.get(name).map(exchange_snapshot)
    }

    fn queues(&self, _: &str) -> Vec<QueueSnapshot> {
        self.0.lock().queues.values().map(queue_snapshot).collect()
    }

    fn queue_names(&self, _: &str) -> Vec<QueueName> {
        self.0.lock().queue_names()
    }

    fn queues_named(&self, _: &str, names: &[QueueName]) -> Vec<QueueSnapshot> {
        let found = names.iter().filter_map(|name| self.queue("/", name));
        found.collect()
    }

    fn queue_figures(&self, _: &str) -> Vec<QueueFigures> {
        let state = self.0.lock();
        state
            .queues
            .values()
            .map(snapshots::queue_figures)
            .collect()
    }

    fn queue(&self, _: &str, name: &str) -> Option<QueueSnapshot> {
        self.0.lock().queues.get(name).map(queue_snapshot)
    }

    fn bindings(&self, _: &str, filter: &BindingFilter) -> Vec<BindingSnapshot> {
        let state = self.0.lock();
        let implicit = state.queues.values().map(|queue| Bind {
            source: ExchangeName::default(),
            destination: Destination::Queue(queue.declared.name.clone()),
            routing_key: name_of(&queue.declared.name),
            arguments: FieldTable::new(),
        });
        let passes = |bind: &Bind| {
            filter
                .source
                .as_ref()
                .is_none_or(|source| *source == bind.source)
                && filter
                    .destination
                    .as_ref()
                    .is_none_or(|destination| *destination == bind.destination)
        };
        let all = implicit.chain(state.bindings.iter().cloned());
        all.filter(passes)
            .map(
                |Bind {
                     source,
                     destination,
                     routing_key,
                     arguments,
                 }| BindingSnapshot {
                    vhost: vhost(),
                    source,
                    destination,
                    routing_key,
                    arguments,
                },
            )
            .collect()
    }

    fn connections(&self) -> Vec<ConnectionSnapshot> {
        self.0.lock().connections.clone()
    }

    fn channels(&self) -> Vec<ChannelSnapshot> {
        let channel = |connection: ConnectionSnapshot| ChannelSnapshot {
            connection: connection.connection,
            number: ChannelNumber(1),
            user: connection.user,
            vhost: connection.vhost,
            transactional: false,
            confirm: true,
            consumer_count: 1,
            unacked_count: 0,
            unconfirmed_count: 0,
            uncommitted_count: 0,
            uncommitted_ack_count: 0,
            prefetch_count: 5,
            global_prefetch_count: 0,
            message_stats: MessageStats::default(),
        };
        self.connections().into_iter().map(channel).collect()
    }

    fn consumers(&self, _: &str) -> Vec<ConsumerSnapshot> {
        let consumer = |channel: ChannelSnapshot| ConsumerSnapshot {
            connection: channel.connection,
            channel: channel.number,
            user: channel.user,
            vhost: channel.vhost,
            queue: name_of("q"),
            tag: name_of("ctag"),
            ack_required: true,
            exclusive: false,
            active: true,
            prefetch_count: 5,
            arguments: FieldTable::new(),
        };
        self.channels().into_iter().map(consumer).collect()
    }

    fn unacked(&self, _: &str, queue: &str) -> Option<Vec<UnackedSnapshot>> {
        self.0.lock().queues.get(queue).map(|_| Vec::new())
    }

    fn stream_offsets(&self, _: &str, queue: &str) -> Option<Vec<(String, u64)>> {
        self.0.lock().queues.get(queue).and(None)
    }

    fn declare_exchange<'a>(
        &'a self,
        by: &'a VhostAccess,
        command: DeclareExchange,
    ) -> Reply<'a, ()> {
        Box::pin(async move { self.0.lock().declare_exchange(by, &command) })
    }

    fn delete_exchange<'a>(
        &'a self,
        by: &'a VhostAccess,
        command: DeleteExchange,
    ) -> Reply<'a, ()> {
        Box::pin(async move { self.0.lock().delete_exchange(by, &command) })
    }

    fn declare_queue<'a>(&'a self, by: &'a VhostAccess, command: DeclareQueue) -> Reply<'a, ()> {
        Box::pin(async move { self.0.lock().declare_queue(by, &command) })
    }

    fn delete_queue<'a>(&'a self, by: &'a VhostAccess, command: DeleteQueue) -> Reply<'a, ()> {
        Box::pin(async move { self.0.lock().delete_queue(by, &command) })
    }

    fn purge_queue<'a>(&'a self, by: &'a VhostAccess, queue: QueueName) -> Reply<'a, u64> {
        Box::pin(async move {
            by.check(Access::Read, Resource::Queue(&queue))?;
            let ready = std::mem::take(&mut self.0.lock().queue(&queue)?.ready);
            Ok(ready.len() as u64)
        })
    }

    fn pause_queue<'a>(
        &'a self,
        by: &'a VhostAccess,
        queue: QueueName,
        paused: bool,
    ) -> Reply<'a, ()> {
        Box::pin(async move {
            by.check(Access::Configure, Resource::Queue(&queue))?;
            self.0.lock().queue(&queue)?.paused = paused;
            Ok(())
        })
    }

    fn bind<'a>(&'a self, by: &'a VhostAccess, command: Bind) -> Reply<'a, ()> {
        Box::pin(async move { self.0.lock().bind(by, command) })
    }

    fn unbind<'a>(&'a self, _: &'a VhostAccess, command: Bind) -> Reply<'a, ()> {
        Box::pin(async move {
            self.0.lock().bindings.retain(|binding| *binding != command);
            Ok(())
        })
    }

    fn publish<'a>(&'a self, by: &'a VhostAccess, command: Publish) -> Reply<'a, Published> {
        Box::pin(async move { self.0.lock().publish(by, &command) })
    }

    fn route<'a>(&'a self, by: &'a VhostAccess, command: Publish) -> Reply<'a, RouteReport> {
        let report = self.0.lock().route(by, &command);
        Box::pin(async move { report })
    }

    fn get<'a>(&'a self, by: &'a VhostAccess, command: Get) -> Reply<'a, Vec<Got>> {
        Box::pin(async move { self.0.lock().get(by, &command) })
    }

    fn trace(&self, vhost: &str, on: bool) -> bool {
        self.0.lock().tracing = on;
        vhost == "/"
    }

    fn delayed(&self) -> &dyn DelayedMessages {
        self
    }

    fn move_messages<'a>(&'a self, by: &'a VhostAccess, command: MoveMessages) -> Reply<'a, Moved> {
        Box::pin(async move { self.0.lock().move_messages(by, &command) })
    }

    fn settings(&self) -> Settings {
        state::settings()
    }

    fn change_settings(&self, _: &Identity, change: &ChangeSettings) -> Result<(), String> {
        state::change_settings(change)
    }

    fn browsing(&self) -> &dyn Browsing {
        self
    }

    fn administration(&self) -> &dyn Administration {
        self
    }

    fn plugins(&self) -> &dyn Plugins {
        self
    }

    fn close_connection(&self, name: &str, reason: &str) -> bool {
        let mut state = self.0.lock();
        let before = state.connections.len();
        state
            .connections
            .retain(|known| &*known.connection.name != name);
        state.closed.push(reason.to_owned());
        state.connections.len() < before
    }
}

fn vhost() -> VhostName {
    name_of("/")
}

fn name_of<T: From<ShortString>>(name: &str) -> T {
    ShortString::cut(name).into()
}
