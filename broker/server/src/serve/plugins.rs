//! Plugins at the start of a broker, and changes of the configuration while it runs.

use anyhow::Context;

use crate::config::Config;
use crate::reload::{Reload, Source, Watch, on_hangup};
use crate::runtime::Runtime;
use crate::tls::Acceptor;

/// What watches the configuration and the plugins' files.
#[derive(Debug)]
pub(super) struct Plugins {
    watch: Option<Watch>,
    hangups: tokio::task::JoinHandle<()>,
}

impl Plugins {
    /// Loads all plugins, before clients come that need them, and watches their files from then on. One that does not load is told in the log.
    pub(super) async fn load(
        runtime: &Runtime,
        config: &Config,
        source: Option<Source>,
        tls: Option<Acceptor>,
    ) -> anyhow::Result<Self> {
        let reload = source.map(|source| Reload::new(source, config, runtime.apply(tls)));
        let uploads = runtime.uploads();
        let reload = tokio::task::spawn_blocking(move || {
            let mut reload = reload;
            if let Some(reload) = &mut reload {
                reload.load_all();
            }
            uploads();
            reload
        })
        .await?;
        let watch = reload
            .map(Reload::watch)
            .transpose()
            .context("cannot start a thread")?;
        let trigger = watch.as_ref().map(Watch::trigger);
        let hangups = async move {
            let ended = match trigger {
                Some(trigger) => on_hangup(trigger).await,
                None => without_file().await,
            };
            if let Err(error) = ended {
                tracing::error!(%error, "SIGHUP cannot be received");
            }
        };
        Ok(Self {
            watch,
            hangups: tokio::spawn(hangups),
        })
    }

    /// Waits for no more changes. Returns when a load under way is done. Blocks.
    pub(super) fn stop(self) {
        self.hangups.abort();
        if let Some(watch) = self.watch {
            watch.stop();
        }
    }
}

/// A broker without a file has nothing to read again, and does not end by the signal either.
async fn without_file() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    while hangups.recv().await.is_some() {
        tracing::info!("there is no configuration file to read again");
    }
    Ok(())
}
