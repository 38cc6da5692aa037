//! The broker at work: sockets, tasks and locks around the core.
//!
//! Locks are taken in the order topology, queue, outbox, at most one of each at a time; nothing is awaited, written to a
//! socket or woken while one is held.

mod administration;
mod alarms;
mod alike;
mod amounts;
mod announce;
mod applying;
mod backend;
mod batch;
mod blocking;
mod broker;
mod buffers;
mod burial;
mod channel;
mod commits;
mod committer;
mod concealed;
mod connection;
mod counters;
mod dead_letter;
mod deduplication;
mod delays;
mod delete_condition;
mod delivering;
mod effective;
mod encoding;
mod entrance;
mod gathering;
mod histogram;
mod histories;
mod info;
mod ingress;
mod input;
mod listener;
mod lookout;
mod memory;
mod methods;
mod model;
mod outbox;
mod overdue;
mod owed;
mod pager;
mod peer;
mod plugins;
mod pressure;
mod principal;
mod publish;
mod queue;
mod reader;
mod recovery;
mod refusal;
mod rehearsal;
mod reply_to;
mod session;
mod settling;
mod sizes;
mod special;
mod taking;
#[cfg(test)]
mod tests;
mod timers;
mod traffic;
mod vhost;
mod vital;
mod whole;
mod writer;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use amphora_core::store::Store;
use anyhow::Context;
use tokio::net::TcpListener;

use crate::auth::Users;
use crate::config::Config;
use crate::management::{Backend, definitions};
use crate::reload::Apply;
use crate::tls::Acceptor;

use applying::Applying;
use broker::Broker;

/// How long clients have to answer when the broker stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// A broker that runs.
#[derive(Debug)]
pub(crate) struct Runtime {
    broker: Arc<Broker>,
    committer: JoinHandle<()>,
    timers: tokio::task::JoinHandle<()>,
    alarms: tokio::task::JoinHandle<()>,
    announcer: tokio::task::JoinHandle<()>,
    delays: Option<tokio::task::JoinHandle<()>>,
    burials: Option<tokio::task::JoinHandle<()>>,
    listeners: Vec<tokio::task::JoinHandle<()>>,
}

impl Runtime {
    /// Rebuilds what the store has. Must be called within a tokio runtime.
    pub(crate) fn start(
        config: &Config,
        node: String,
        store: Arc<dyn Store>,
        users: Arc<Users>,
    ) -> anyhow::Result<Self> {
        let (broker, committer) = Broker::recover(config, node, store, users)?;
        let own = || Arc::clone(&broker);
        Ok(Self {
            timers: broker.spawn_vital("timers", timers::run(own())),
            alarms: broker.spawn_vital("alarms", alarms::run(own())),
            announcer: broker.spawn_vital("announcer", announce::run(own())),
            broker,
            committer,
            delays: None,
            burials: None,
            listeners: Vec::new(),
        })
    }

    /// Where changes of the configuration are taken in force.
    pub(crate) fn apply(&self, tls: Option<Acceptor>) -> Arc<dyn Apply> {
        Arc::new(Applying {
            broker: Arc::clone(&self.broker),
            tls,
        })
    }

    /// What loads the plugins that were uploaded earlier. It may take seconds for each that was not compiled before, and blocks.
    pub(crate) fn uploads(&self) -> impl FnOnce() + Send + use<> {
        let broker = Arc::clone(&self.broker);
        move || broker.plugins.load_uploads(broker.take_uploads())
    }

    /// Takes in the definitions that the configuration names, and adds the default user if that leaves the broker without users.
    ///
    /// # Errors
    /// The file cannot be read or taken in.
    pub(crate) async fn load_definitions(&self, config: &Config) -> anyhow::Result<()> {
        let Some(file) = &config.load_definitions else {
            return Ok(());
        };
        definitions::load(&*self.broker, file)
            .await
            .with_context(|| format!("load_definitions: {}", file.display()))?;
        self.broker.seed_users(config)
    }

    /// Releases messages that wait for their time, and publishes dead letters, from now on: plugins on their ways are there.
    pub(crate) fn release_delayed(&mut self) {
        let own = || Arc::clone(&self.broker);
        let delays = self.broker.spawn_vital("delays", delays::run(own()));
        let burials = self.broker.spawn_vital("burials", burial::run(own()));
        self.delays = Some(delays);
        self.burials = Some(burials);
    }

    /// Accepts clients on this listener, with TLS if there is an acceptor.
    pub(crate) fn listen(&mut self, listener: TcpListener, tls: Option<Acceptor>) {
        let broker = Arc::clone(&self.broker);
        let accepting = listener::accept(broker, listener, tls);
        self.listeners
            .push(self.broker.spawn_vital("listener", accepting));
    }

    /// The broker as the management API sees it.
    pub(crate) fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.broker) as Arc<dyn Backend>
    }

    /// Waits until a task has panicked that the broker cannot do without, and returns its name. The process is to end then: what was
    /// confirmed is on the disk, and what is in memory may be damaged.
    pub(crate) fn failed(&self) -> impl Future<Output = &'static str> + use<> {
        self.broker.committer.vital.failed()
    }

    /// Stops accepting, closes every connection with 320, commits, ends.
    pub(crate) async fn shutdown(self) {
        for listener in &self.listeners {
            listener.abort();
        }
        let text = "broker forced connection closure with reason 'shutdown'";
        for connection in self.broker.connections() {
            connection.peer.post(peer::Letter::Close(text.to_owned()));
        }
        let gone = async {
            while !self.broker.connections().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(FAREWELL, gone).await.is_err() {
            tracing::warn!("some clients did not say goodbye");
        }
        self.timers.abort();
        self.alarms.abort();
        self.announcer.abort();
        if let Some(delays) = &self.delays {
            delays.abort();
        }
        if let Some(burials) = self.burials {
            self.broker.committer.burials.end();
            if tokio::time::timeout(FAREWELL, burials).await.is_err() {
                tracing::warn!("some dead letters may come twice after the restart");
            }
        }
        for vhost in self.broker.vhosts() {
            vhost.delays.settle(&self.broker.committer);
        }
        self.broker.committer.stop();
        let committer = self.committer;
        let ended = tokio::task::spawn_blocking(move || committer.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the committer did not end as it should");
        }
    }
}
