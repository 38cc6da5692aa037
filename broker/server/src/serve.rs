//! The life of a broker: everything is put together here, runs, and is taken down.

use std::net::SocketAddr;
use std::sync::Arc;

use amphora_storage::{FjallStore, Options};
use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::auth::Users;
use crate::config::Config;
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
    let mut runtime = Runtime::start(config, store, users)?;
    for address in &config.listeners.amqp {
        runtime.listen(bind(*address).await?, None);
    }
    for address in &config.listeners.amqps {
        let acceptor = tls::acceptor(&config.tls)?;
        runtime.listen(bind(*address).await?, Some(acceptor));
    }
    tracing::info!(
        amqp = ?config.listeners.amqp,
        amqps = ?config.listeners.amqps,
        http = ?config.listeners.http,
        durability = %config.durability,
        "ready"
    );
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    runtime.shutdown().await;
    Ok(())
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}
