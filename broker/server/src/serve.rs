//! The life of a broker: everything is put together here, runs, and is taken down.

use std::net::SocketAddr;
use std::sync::Arc;

use amphora_storage::{FjallStore, Options};
use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::auth::Users;
use crate::config::Config;
use crate::management::{self, About, Api, Listener};
use crate::runtime::Runtime;
use crate::tls;

/// Runs a broker until it is told to stop by SIGTERM or SIGINT.
///
/// # Errors
/// The storage cannot be opened, or an address cannot be listened on.
pub fn run(config: &Config) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(config))
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let users = Arc::new(Users::seeded(&config.users, config.tls.login_from)?);
    let options = Options {
        disk_reserve_bytes: config.limits.disk_free_limit.as_bytes(),
        ..Options::default()
    };
    let store = Arc::new(FjallStore::open(&config.data_dir, options)?);
    // Listened for before anything is promised to anybody.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut runtime = Runtime::start(config, store, Arc::clone(&users))?;
    let sockets = Sockets::bind(config).await?;
    let about = About {
        node: node_name(),
        listeners: sockets.addresses.clone(),
        durability: config.durability,
        message_size_max: config.limits.message_size_max,
    };
    let api = Api::new(runtime.backend(), users, about);
    for listener in sockets.amqp {
        runtime.listen(listener, None);
    }
    for listener in sockets.amqps {
        runtime.listen(listener, Some(tls::acceptor(&config.tls)?));
    }
    let stopping = Arc::new(Notify::new());
    let mut http = JoinSet::new();
    for listener in sockets.http {
        let stop = Arc::clone(&stopping).notified_owned();
        http.spawn(management::serve(listener, api.clone(), stop));
    }
    tracing::info!(
        amqp = ?addresses(&sockets.addresses, "amqp"),
        amqps = ?addresses(&sockets.addresses, "amqp/ssl"),
        http = ?addresses(&sockets.addresses, "http"),
        durability = %config.durability,
        "ready"
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stopping.notify_waiters();
    http.join_all().await;
    runtime.shutdown().await;
    Ok(())
}

/// Everything that is listened on, with the ports that the system chose where the configuration says 0.
struct Sockets {
    amqp: Vec<TcpListener>,
    amqps: Vec<TcpListener>,
    http: Vec<TcpListener>,
    addresses: Vec<Listener>,
}

impl Sockets {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        let listeners = &config.listeners;
        let mut addresses = Vec::new();
        Ok(Self {
            amqp: bind(&listeners.amqp, "amqp", &mut addresses).await?,
            amqps: bind(&listeners.amqps, "amqp/ssl", &mut addresses).await?,
            http: bind(&listeners.http, "http", &mut addresses).await?,
            addresses,
        })
    }
}

async fn bind(
    wanted: &[SocketAddr],
    protocol: &'static str,
    addresses: &mut Vec<Listener>,
) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in wanted {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        addresses.push(Listener { protocol, address });
        listeners.push(listener);
    }
    Ok(listeners)
}

fn addresses(listeners: &[Listener], protocol: &str) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter(|listener| listener.protocol == protocol)
        .map(|listener| listener.address)
        .collect()
}

/// As RabbitMQ names its nodes: the program's name, and the host's as the system has it.
fn node_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim().split('.').next() {
        Some(host) if !host.is_empty() => format!("amphora@{host}"),
        _ => "amphora@localhost".to_owned(),
    }
}
