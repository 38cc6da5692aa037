//! The broker: virtual hosts, users, connections, and what was there before the last restart.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use amphora_core::queue::Records;
use amphora_core::store::{Recovered, Store};
use amphora_core::topology::Topology;
use amphora_plugin_host::{Environment, Host, HostSettings};
use amphora_protocol::exception::ConnectionException;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::VhostName;
use anyhow::Context;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::administration::{Admission, Parameters, VhostMetadata};
use super::alarms::Alarms;
use super::announce::{Announcer, Events, Tap};
use super::committer::Committer;
use super::counters::{Counters, Moved};
use super::info::ConnectionInfo;
use super::input::Readers;
use super::peer::Letter;
use super::plugins::{self, Plugins, Surroundings, Upload};
use super::vhost::{Shared, VirtualHost};
use crate::auth::{Identity, Users, VhostAccess};
use crate::config::{Config, Limits, User};

/// Messages hold this much memory before those that nobody will want soon leave it for the disk.
const MESSAGE_MEMORY: usize = 96 << 20;

#[derive(Debug)]
pub(crate) struct Broker {
    vhosts: RwLock<BTreeMap<VhostName, Arc<VirtualHost>>>,
    pub(super) parameters: Parameters,
    /// One change of users, virtual hosts or parameters at a time.
    pub(super) changing: Mutex<()>,
    shared: Shared,
    pub(crate) committer: Arc<Committer>,
    pub(crate) users: Arc<Users>,
    limits: ArcSwap<Limits>,
    pub(super) server_properties: Arc<FieldTable>,
    pub(super) readers: Arc<Readers>,
    pub(super) counters: Counters,
    pub(super) alarms: Alarms,
    connections: Mutex<HashMap<u64, Arc<ConnectionInfo>>>,
    next_connection: AtomicU64,
    channels: AtomicU32,
    pub(super) started: Instant,
    pub(super) data_dir: PathBuf,
    pub(crate) plugins: Arc<Plugins>,
    /// Plugins that were uploaded earlier and are not loaded yet.
    uploads: Mutex<Vec<anyhow::Result<Upload>>>,
    /// The node's name, as traces have it.
    pub(super) node: String,
    pub(super) announcer: Arc<Announcer>,
    pub(super) events: Arc<Events>,
}

/// The folder in the data directory that holds plugins as they were compiled for this machine.
const COMPILED: &str = "compiled";

/// The folder in the data directory that holds uploaded components.
const UPLOADED: &str = "plugins";

/// The plugins that were uploaded, or why that cannot be read.
fn uploads(recovered: &Recovered) -> Vec<anyhow::Result<Upload>> {
    let definitions = recovered.definitions.iter();
    let uploads = definitions.filter_map(|(key, value)| plugins::uploaded(key, value));
    uploads.collect()
}

/// Gives plugins back what they stored.
fn restore_kv(host: &Host, recovered: &Recovered) {
    let mut stored: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (key, value) in &recovered.definitions {
        if let Some((plugin, key, entry)) = plugins::kv_entry(key, value) {
            stored.entry(plugin).or_default().push((key, entry));
        }
    }
    for (plugin, entries) in stored {
        host.restore_kv(&plugin, entries);
    }
}

/// Whoever adds users to the configuration of a broker that has users wants to know that they are not there.
fn tell_unknown(users: &Users, config: &Config) {
    let default = [User::guest()];
    let written = config.users.iter().filter(|_| config.users != default);
    for user in written.filter(|user| users.find(&user.name).is_none()) {
        tracing::warn!(user = %user.name, "a user of the configuration is not there: they are taken over at the first start only");
    }
}

impl Broker {
    /// Rebuilds what the store has. Must be called within a tokio runtime; reads definitions, not messages.
    pub(super) fn recover(
        config: &Config,
        node: String,
        store: Arc<dyn Store>,
        users: Arc<Users>,
    ) -> anyhow::Result<(Arc<Self>, std::thread::JoinHandle<()>)> {
        let mut recovered = store.recover().context("the storage cannot be read")?;
        let (records, unused) =
            Records::recover(&mut recovered).context("the storage is damaged")?;
        let durability = match config.durability {
            crate::config::Durability::Fsync => amphora_core::store::Durability::Fsync,
            crate::config::Durability::Os => amphora_core::store::Durability::Os,
        };
        let (committer, thread) = Committer::start(store, durability, MESSAGE_MEMORY, records)?;
        if !unused.is_empty() {
            committer.define(unused);
        }
        let (surroundings, sent) = Surroundings::new(Arc::clone(&committer));
        let settings = HostSettings {
            cache_folder: Some(config.data_dir.join(COMPILED)),
            ..HostSettings::default()
        };
        let environment: Arc<dyn Environment> = Arc::clone(&surroundings) as _;
        let host =
            Host::new(settings, environment).context("the host of plugins cannot be started")?;
        restore_kv(&host, &recovered);
        let uploads = uploads(&recovered);
        let announcer = Arc::<Announcer>::default();
        let shared = Shared {
            committer: Arc::clone(&committer),
            plugins: Arc::new(Plugins::new(
                host,
                Arc::clone(&surroundings),
                config.data_dir.join(UPLOADED),
            )),
            delays_wake: Arc::new(Notify::new()),
            queue_ids: Arc::default(),
            events: Arc::new(Events::new(config.event_vhost()?, Arc::clone(&announcer))),
            announcer: Arc::clone(&announcer),
        };
        let definitions = recovered.definitions.clone();
        let parameters = Parameters::recover(&recovered)?;
        if users.recover(&recovered.definitions)? {
            tell_unknown(&users, config);
        } else if config.load_definitions.is_none() || config.users != [User::guest()] {
            committer.define(users.seed(&config.users)?);
        }
        let vhosts = super::recovery::rebuild(recovered, &parameters, &shared)?;
        super::deduplication::restore(&definitions, &vhosts, &committer);
        let broker = Arc::new(Self {
            vhosts: RwLock::new(vhosts),
            parameters,
            changing: Mutex::new(()),
            committer,
            users,
            limits: ArcSwap::from_pointee(config.limits.clone()),
            server_properties: super::listener::server_properties(&config.server_properties),
            readers: Readers::of(&tokio::runtime::Handle::current()),
            counters: Counters::default(),
            alarms: Alarms::new(&config.limits, config.data_dir.clone()),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(1),
            channels: AtomicU32::new(0),
            started: Instant::now(),
            data_dir: config.data_dir.clone(),
            plugins: Arc::clone(&shared.plugins),
            uploads: Mutex::new(uploads),
            node,
            announcer,
            events: Arc::clone(&shared.events),
            shared,
        });
        surroundings.tell(&broker);
        let surrounding = plugins::run(Arc::clone(&broker), sent);
        broker.spawn_vital("surroundings of plugins", surrounding);
        Ok((broker, thread))
    }

    /// Spawns a task without which the broker must not run on: see [`Vital`](super::vital::Vital).
    pub(super) fn spawn_vital(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        self.committer
            .vital
            .spawn(&self.committer.runtime, name, task)
    }

    /// Bounds on what clients may ask for, as they are now.
    pub(crate) fn limits(&self) -> arc_swap::Guard<Arc<Limits>> {
        self.limits.load()
    }

    /// Puts other bounds in force: the marks of the alarms at once, and what was agreed with clients for those that come.
    pub(super) fn set_limits(&self, limits: &Limits) {
        let before = self.limits.swap(Arc::new(limits.clone()));
        if before.consumer_timeout != limits.consumer_timeout {
            self.renew_timeouts();
        }
        self.alarms.set_limits(limits);
        self.committer
            .store
            .keep_free(limits.disk_free_limit.as_bytes());
    }

    /// Has all connections look again for how long their consumers may hold messages.
    pub(super) fn renew_timeouts(&self) {
        for connection in self.connections() {
            connection.peer.post(Letter::TimeoutsChanged);
        }
    }

    /// Adds the users of the configuration, if there is nobody.
    pub(super) fn seed_users(&self, config: &Config) -> anyhow::Result<()> {
        if self.users.all().is_empty() {
            self.committer.define(self.users.seed(&config.users)?);
        }
        Ok(())
    }

    /// The plugins that were uploaded earlier; they are not loaded yet.
    pub(super) fn take_uploads(&self) -> Vec<anyhow::Result<Upload>> {
        std::mem::take(&mut *self.uploads.lock())
    }

    pub(super) fn vhost(&self, name: &str) -> Option<Arc<VirtualHost>> {
        self.vhosts.read().get(name).cloned()
    }

    pub(super) fn vhosts(&self) -> Vec<Arc<VirtualHost>> {
        self.vhosts.read().values().cloned().collect()
    }

    /// Wakes who releases delayed messages.
    pub(super) fn delays_wake(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.delays_wake)
    }

    /// Adds an empty virtual host.
    pub(super) fn add_vhost(&self, name: VhostName, metadata: VhostMetadata) {
        let hooks = Arc::new(self.plugins.host.clone());
        let tap = Tap::new(name.clone(), Arc::clone(&self.announcer));
        let mut topology = Topology::new(name.clone(), hooks);
        if let Some(exchange) = self.events.exchange(&name) {
            topology.add_exchange(exchange);
        }
        let vhost = VirtualHost::new(topology, metadata, &self.shared, tap);
        self.vhosts.write().insert(name, vhost);
    }

    /// From now on, nobody enters it.
    pub(super) fn remove_vhost(&self, name: &str) {
        self.vhosts.write().remove(name);
    }

    /// connection.open
    pub(super) fn enter(
        &self,
        identity: &Identity,
        name: &VhostName,
    ) -> Result<(Arc<VirtualHost>, VhostAccess, Admission), ConnectionException> {
        let others = self.connections.lock().len().saturating_sub(1);
        let limits = self.limits();
        if !limits.connections_max.admits_another(others) {
            let limit = limits.connections_max.bound().unwrap_or(u32::MAX);
            let text = format!("connection refused: node connection limit ({limit}) is reached");
            return Err(ConnectionException::not_allowed(text));
        }
        let vhost = self
            .vhost(name)
            .ok_or_else(|| ConnectionException::not_allowed(format!("vhost {name} not found")))?;
        let access = identity.enter(name.clone())?;
        let admission = Admission::new(identity, &vhost)?;
        Ok((vhost, access, admission))
    }

    pub(super) fn connection_id(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn admit(&self, info: &Arc<ConnectionInfo>) {
        self.committer.stirring.stir();
        self.counters
            .connections_opened
            .fetch_add(1, Ordering::Relaxed);
        self.connections
            .lock()
            .insert(info.peer.id, Arc::clone(info));
    }

    pub(super) fn release(&self, info: &ConnectionInfo) {
        self.committer.stirring.stir();
        self.counters
            .connections_closed
            .fetch_add(1, Ordering::Relaxed);
        let mut connections = self.connections.lock();
        if connections.remove(&info.peer.id).is_some() {
            self.events
                .emit("connection.closed", || info.fields(&self.node));
            let confirmed = info.peer.confirmed();
            self.counters
                .confirmed
                .fetch_add(confirmed, Ordering::Relaxed);
            if let Some(vhost) = self.vhost(&info.vhost()) {
                let Moved { received, sent } = &vhost.moved;
                received.fetch_add(info.received.bytes.get(), Ordering::Relaxed);
                sent.fetch_add(info.peer.written.bytes.get(), Ordering::Relaxed);
            }
        }
    }

    /// The connection of this number, if it is still there.
    pub(super) fn connection(&self, id: u64) -> Option<Arc<ConnectionInfo>> {
        self.connections.lock().get(&id).cloned()
    }

    pub(super) fn connections(&self) -> Vec<Arc<ConnectionInfo>> {
        self.connections.lock().values().cloned().collect()
    }

    /// Publishes that were confirmed, on whichever connection.
    pub(super) fn confirmed(&self) -> u64 {
        let connections = self.connections.lock();
        let open = connections
            .values()
            .map(|connection| connection.peer.confirmed());
        open.sum::<u64>() + self.counters.confirmed.load(Ordering::Relaxed)
    }

    /// Why publishers are blocked, if they are: in the words of `connection.blocked`.
    pub(super) fn alarm(&self) -> Option<&'static str> {
        let shortage = self.alarms.shortage();
        let reason = if self.committer.is_failing() || shortage.disk {
            Some("low on disk")
        } else if shortage.memory {
            Some("low on memory")
        } else {
            None
        };
        self.events.alarm(reason);
        reason
    }

    pub(super) fn connection_count(&self) -> usize {
        self.connections.lock().len()
    }

    pub(super) fn channel_count(&self) -> u32 {
        self.channels.load(Ordering::Relaxed)
    }

    pub(super) fn admit_channel(&self) -> Result<(), ConnectionException> {
        let open = self.channels.fetch_add(1, Ordering::Relaxed);
        let limits = self.limits();
        if !limits.node_channels_max.admits_another(open as usize) {
            self.channels.fetch_sub(1, Ordering::Relaxed);
            let limit = limits.node_channels_max.bound().unwrap_or(u32::MAX);
            return Err(ConnectionException::not_allowed(format!(
                "number of channels opened on node '{}' has reached the maximum allowed limit of ({limit})",
                self.node
            )));
        }
        self.counters
            .channels_opened
            .fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn release_channel(&self) {
        self.channels.fetch_sub(1, Ordering::Relaxed);
        self.counters
            .channels_closed
            .fetch_add(1, Ordering::Relaxed);
    }
}
