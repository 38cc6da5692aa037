//! What a plugin may be granted: the host's side of `wit/grants.wit`, one file per interface.

mod clock;
mod config;
mod kv;
mod log;
mod metrics;
mod publish;
mod random;

use std::sync::Arc;

use wasmtime::component::LinkerInstance;

pub(crate) use self::kv::Kv;
pub(crate) use self::log::Log;
pub(crate) use self::metrics::Metrics;
pub(crate) use self::publish::Sent;
use crate::environment::Environment;
use crate::spec::{Grant, PluginSpec};
use crate::state::State;

/// What all instances of a plugin have in common, over all its versions.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) kv: Kv,
}

/// An instance's way to what it was granted.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    pub(crate) plugin: Arc<str>,
    pub(crate) spec: Arc<PluginSpec>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) environment: Arc<dyn Environment>,
    /// Nothing must come of what the instance does.
    pub(crate) is_rehearsal: bool,
    /// The last line that this instance wrote to its log as an error, in this call.
    last_error: Option<String>,
}

impl Grants {
    pub(crate) fn new(
        plugin: Arc<str>,
        spec: Arc<PluginSpec>,
        shared: Arc<Shared>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            plugin,
            spec,
            shared,
            environment,
            is_rehearsal: false,
            last_error: None,
        }
    }

    /// Those of an instance that has a copy of the plugin's store, and of nothing else.
    pub(crate) fn of_rehearsal(self) -> Self {
        let shared = Shared {
            kv: self.shared.kv.copy(),
            ..Shared::default()
        };
        Self {
            shared: Arc::new(shared),
            is_rehearsal: true,
            ..self
        }
    }

    /// Whether the plugin may use this.
    pub(crate) fn has(&self, grant: Grant) -> bool {
        self.spec.grants.contains(&grant)
    }

    /// A call begins: what was said in another explains nothing of this one.
    pub(crate) fn begin(&mut self) {
        self.last_error = None;
    }

    pub(crate) fn last_error(&mut self) -> Option<String> {
        self.last_error.take()
    }
}

/// Puts the functions of a granted interface into the linker.
pub(crate) fn link(grant: Grant, linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    match grant {
        Grant::Log => log::link(linker),
        Grant::Metrics => metrics::link(linker),
        Grant::Clock => clock::link(linker),
        Grant::Random => random::link(linker),
        Grant::Config => config::link(linker),
        Grant::Kv => kv::link(linker),
        Grant::Publish => publish::link(linker),
    }
}
