//! The life of a broker: everything is put together here, runs, and is taken down.
//!
//! 1. The addresses are claimed, so that a second broker fails at once, and not after it has read a store.
//! 2. The store is opened.
//! 3. The runtime rebuilds what the store has, at the very first start with the users of the configuration, and plugins are loaded.
//!    Definitions that the configuration names are taken in.
//! 4. Clients are let in, and the line `ready` is logged.
//! 5. SIGTERM or SIGINT: no new clients, the old ones are told (320), what they published is committed, the end.

mod machine;
mod plugins;
mod sockets;
mod stop;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::store::Store;
use amphora_storage::{FjallStore, Options};
use anyhow::Context;
use tokio::net::TcpListener;

use self::plugins::Plugins;
use self::sockets::Claimed;
use self::stop::Stop;
use crate::auth::Users;
use crate::config::{Config, ConfigError};
use crate::management::{self, About, Api, Listener};
use crate::reload::Source;
use crate::runtime::Runtime;
use crate::tls;

/// How long what is left of the tasks may take when everything else is done.
const LAST_TASKS_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a broker did not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration names something that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine, or the data, does not let it.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// After so many tasks, threads look for what clients have sent. Tasks that are always ready, such as those of publishers that send as fast as
/// they can, would otherwise keep others waiting for a look after 61 of them. A look is a system call, and such a task makes two or three.
const TASKS_BETWEEN_LOOKS: u32 = 2;

/// Runs a broker until it is told to stop by SIGTERM or SIGINT, and returns when all is put away. `source` is where the configuration
/// came from, if that was a file: its changes are taken in force.
///
/// # Errors
/// The configuration cannot be used, an address cannot be listened on, the data directory is in use or damaged, or a second signal
/// cut the end short.
pub fn run(config: &Config, source: Option<Source>) -> Result<(), ServeError> {
    let tls = if config.listeners.amqps.is_empty() {
        None
    } else {
        Some(tls::Acceptor::new(&config.tls)?)
    };
    machine::raise_open_files_limit();
    let tasks = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_LOOKS)
        .build()
        .context("cannot start threads")?;
    let outcome = tasks.block_on(serve(config, source, tls));
    tasks.shutdown_timeout(LAST_TASKS_TIMEOUT);
    Ok(outcome?)
}

async fn serve(
    config: &Config,
    source: Option<Source>,
    tls: Option<tls::Acceptor>,
) -> anyhow::Result<()> {
    let stop = Stop::new()?;
    let claimed = Claimed::all(&config.listeners)?;
    let store = open_store(config).await?;
    let users = Arc::new(Users::none(config.tls.login_from));
    let runtime = Runtime::start(config, node_name(), store, users.clone())?;
    let failed = runtime.failed();
    tokio::select! {
        ended = live(config, source, tls, stop, claimed, runtime, users) => ended,
        failed = failed => Err(failure(failed)),
    }
}

/// Why the broker ends at once when a task has panicked that it cannot do without.
fn failure(task: &str) -> anyhow::Error {
    anyhow::anyhow!("{task} panicked, which is a defect of the broker; what was confirmed is safe")
}

/// From the start of the runtime to the end of the broker.
async fn live(
    config: &Config,
    source: Option<Source>,
    tls: Option<tls::Acceptor>,
    mut stop: Stop,
    claimed: Claimed,
    mut runtime: Runtime,
    users: Arc<Users>,
) -> anyhow::Result<()> {
    let file = source.as_ref().map(|source| source.file().to_owned());
    let plugins = Plugins::load(&runtime, config, source, tls.clone()).await?;
    runtime.load_definitions(config).await?;
    runtime.release_delayed();

    let open = claimed.open()?;
    let listeners = open.listeners();
    let api = Api::new(
        runtime.backend(),
        users,
        about(config, file, listeners.clone(), tls.clone()),
    );
    let http = open
        .http
        .into_iter()
        .map(TcpListener::into_std)
        .collect::<Result<_, _>>()?;
    let management = management::Server::start(http, api).context("cannot start a thread")?;
    for listener in open.amqp {
        runtime.listen(listener, None);
    }
    for listener in open.amqps {
        runtime.listen(listener, tls.clone());
    }
    log_ready(config, &listeners);

    tracing::info!(signal = %stop.signalled().await, "stopping");
    let end = async {
        // First, because its commands need a broker that commits.
        tokio::task::spawn_blocking(|| {
            management.stop();
            plugins.stop();
        })
        .await
        .ok();
        runtime.shutdown().await;
    };
    tokio::select! {
        () = end => {
            tracing::info!("stopped");
            Ok(())
        }
        signal = stop.signalled() => anyhow::bail!("cut short by a second {signal}; what was confirmed is safe"),
    }
}

async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let options = Options {
        disk_reserve_bytes: config.limits.disk_free_limit.as_bytes(),
        ..Options::default()
    };
    let data_dir = config.data_dir.clone();
    let store = tokio::task::spawn_blocking(move || FjallStore::open(data_dir, options)).await??;
    Ok(Arc::new(store))
}

fn node_name() -> String {
    format!("amphora@{}", machine::host_name())
}

fn about(
    config: &Config,
    file: Option<PathBuf>,
    listeners: Vec<Listener>,
    tls: Option<tls::Acceptor>,
) -> About {
    About {
        node: node_name(),
        listeners,
        config: Arc::new(config.clone()),
        config_file: file,
        durability: config.durability,
        message_size_max: config.limits.message_size_max,
        management: config.management.clone(),
        tls,
    }
}

/// The line that says that clients may come, and what they may count on.
fn log_ready(config: &Config, listeners: &[Listener]) {
    let listening = |protocol: &str| {
        let listeners = listeners
            .iter()
            .filter(|listener| listener.protocol == protocol);
        let addresses: Vec<_> = listeners
            .map(|listener| listener.address.to_string())
            .collect();
        (!addresses.is_empty()).then(|| tracing::field::display(addresses.join(",")))
    };
    tracing::info!(
        amqp = listening("amqp"),
        amqps = listening("amqp/ssl"),
        http = listening("http"),
        durability = %config.durability,
        data_dir = %std::path::absolute(&config.data_dir).unwrap_or_default().display(),
        version = %env!("CARGO_PKG_VERSION"),
        "ready"
    );
}
