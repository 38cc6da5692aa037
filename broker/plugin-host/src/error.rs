//! Why a plugin does not come into force.

use amphora_core::hook::{HookError, InvalidNeeds};

use crate::spec::Grant;

/// Why a host could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The engine refuses its configuration: the machine lacks what it needs.
    #[error("the WebAssembly engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    /// The thread that watches deadlines could not be started.
    #[error("the thread that watches plugins' deadlines does not start: {0}")]
    Ticker(std::io::Error),
}

/// Why plugins that were to be loaded together are not: none of them is.
#[derive(Debug, thiserror::Error)]
#[error("plugin '{plugin}' is not loaded: {error}")]
pub struct NotLoaded {
    /// The one of them that cannot be loaded.
    pub plugin: String,
    /// Why.
    pub error: LoadError,
}

impl NotLoaded {
    /// What is to be told of one of the plugins.
    pub fn told_of(&self, plugin: &str) -> String {
        let Self {
            plugin: failed,
            error,
        } = self;
        if plugin == failed {
            return error.to_string();
        }
        format!("it is to be loaded together with plugin '{failed}', which is not loaded: {error}")
    }
}

/// Why a component is not loaded. The version that was in force before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What the operator says of it contradicts itself or the limits.
    #[error("{0}")]
    Spec(String),
    /// The bytes are something else.
    #[error("this is no WebAssembly component: {0}")]
    NotAComponent(String),
    /// The compiler refuses it.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// It was built for another contract.
    #[error(
        "the component was built against {found}, and this broker speaks {}: build it again with that version's wit/ folder or SDK",
        crate::contract::PACKAGE
    )]
    Version {
        /// The package that it names.
        found: String,
    },
    /// It imports what it was not granted.
    #[error("{}", ungranted(.0))]
    Ungranted(Vec<(String, Grant)>),
    /// It imports what nobody supplies.
    #[error(
        "the component imports what this broker does not have: {}; it may import amphora:plugin interfaces that are granted to it, and wasi: cli, io, clocks, random, filesystem and sockets 0.2, which are empty",
        .0.join(", ")
    )]
    UnknownImports(Vec<String>),
    /// It does not export what it must.
    #[error("{0}")]
    Exports(String),
    /// An import or export has other types than the contract.
    #[error("the component does not fit the contract: {0}")]
    Mismatch(String),
    /// It lacks what the version in force has, and somebody depends on that.
    #[error("{0}")]
    DependedOn(String),
    /// It needs what cannot be.
    #[error("what `describe` says the plugin needs is refused: {0}")]
    Needs(#[from] InvalidNeeds),
    /// It failed while it was tried: a trap, a timeout, an exchange or a binding that it refuses.
    #[error("{step}: {error}")]
    Trial {
        /// What was tried.
        step: String,
        /// How it failed.
        error: HookError,
    },
    /// There is no plugin of this name, or no earlier version.
    #[error("{0}")]
    Nothing(String),
}

fn ungranted(imports: &[(String, Grant)]) -> String {
    let imports: Vec<String> = imports
        .iter()
        .map(|(import, grant)| format!("{import} needs the grant '{grant}'"))
        .collect();
    format!(
        "the component imports what it was not granted: {}",
        imports.join(", ")
    )
}
