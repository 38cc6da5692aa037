//! What the operator says of a plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use amphora_core::hook::OnError;

/// Bytes of memory that an operator may grant to one instance, at most.
pub const MEMORY_MAX: u64 = 1 << 30;

/// Bytes of a plugin's name, at most.
pub const NAME_MAX: usize = 64;

/// Bytes of the name of a type of exchange that a plugin supplies, at most.
pub const TYPE_NAME_MAX: usize = 128;

/// A plugin, as its section of the configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSpec {
    /// The name under which the operator knows it.
    pub name: String,
    /// The type of exchange that it supplies; it begins with `x-`. None for transforms.
    pub exchange_type: Option<String>,
    /// What it may import.
    pub grants: BTreeSet<Grant>,
    /// How long one call may run.
    pub deadline: Duration,
    /// Bytes of memory that one instance may have.
    pub memory_max: u64,
    /// Bytes that its keys and values may have together, with the grant `kv`.
    pub kv_max: u64,
    /// What happens to a message that it has no answer for.
    pub on_error: OnError,
    /// What it reads with the grant `config`: a text as it is, anything else as JSON.
    pub config: BTreeMap<String, String>,
}

impl PluginSpec {
    /// How long one call may run if nothing else is said.
    pub const DEADLINE: Duration = Duration::from_millis(10);
    /// Bytes of memory for one instance if nothing else is said: language runtimes need more than 16 MiB.
    pub const MEMORY_MAX: u64 = 64 << 20;
    /// Bytes of keys and values if nothing else is said.
    pub const KV_MAX: u64 = 16 << 20;

    /// A plugin of which nothing is known but its name: a transform without grants.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            exchange_type: None,
            grants: BTreeSet::new(),
            deadline: Self::DEADLINE,
            memory_max: Self::MEMORY_MAX,
            kv_max: Self::KV_MAX,
            on_error: OnError::default(),
            config: BTreeMap::new(),
        }
    }

    /// Bytes of messages that the plugin is shown at once, at most: a guest copies them more than once, and needs memory for its own ends.
    pub(crate) fn shown_max(&self) -> u64 {
        self.memory_max / 4
    }
}

/// What a plugin may be allowed. Each is an interface of the contract with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grant {
    /// Lines in the broker's log.
    Log,
    /// Figures in the broker's metrics.
    Metrics,
    /// What time it is.
    Clock,
    /// Numbers that cannot be guessed.
    Random,
    /// Its table of the configuration.
    Config,
    /// A persistent store of its own.
    Kv,
    /// Messages of its own.
    Publish,
}

impl Grant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Log,
        Self::Metrics,
        Self::Clock,
        Self::Random,
        Self::Config,
        Self::Kv,
        Self::Publish,
    ];

    /// The name in the configuration, which is also the interface's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metrics => "metrics",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Config => "config",
            Self::Kv => "kv",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no grant of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no grant '{0}'; there are log, metrics, clock, random, config, kv and publish")]
pub struct UnknownGrant(pub String);

impl FromStr for Grant {
    type Err = UnknownGrant;

    fn from_str(name: &str) -> Result<Self, UnknownGrant> {
        let mut all = Self::ALL.into_iter();
        all.find(|grant| grant.name() == name)
            .ok_or_else(|| UnknownGrant(name.to_owned()))
    }
}
