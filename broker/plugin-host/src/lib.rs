//! Runs plugins: WebAssembly components that supply types of exchange and transform messages.
//!
//! A [`Host`] is what the rest of the broker knows. It implements the core's hooks; nothing of WebAssembly shows outside of this crate. What plugins
//! may rely on is in `wit/`, in the root of the repository.

mod bindings;
mod call;
mod check;
mod code;
mod code_cache;
mod contract;
mod counters;
mod depended;
mod engine;
mod environment;
mod error;
mod exchange;
mod fault;
mod force;
mod grants;
mod health;
mod host;
mod ids;
mod inspect;
mod instance;
mod lane;
mod load;
mod pace;
mod plugin;
mod rehearse;
mod running;
mod snapshot;
mod spec;
mod state;
mod ticker;
mod transform;
mod verdicts;
mod wasi;
mod worker;

pub use self::counters::{BATCH_BUCKETS, CounterSnapshot, LATENCY_BUCKETS};
pub use self::environment::{Environment, KvEntry, Outgoing, Role, Standalone};
pub use self::error::{HostError, LoadError, NotLoaded};
pub use self::fault::one_line;
pub use self::host::{Host, HostSettings};
pub use self::inspect::{Described, Inspection};
pub use self::load::Loading;
pub use self::snapshot::{
    FaultCounts, Kinds, LastError, LogLevel, LogLine, Metric, PluginState, Snapshot,
    VersionSnapshot,
};
pub use self::spec::{Grant, MEMORY_MAX, NAME_MAX, PluginSpec, TYPE_NAME_MAX, UnknownGrant};
pub use self::worker::{spent, take_spent};
