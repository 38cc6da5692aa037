//! What a plugin host may implement: types of exchange that the core does not know, and transforms of messages.
//!
//! The core calls none of this while it routes. It says which exchange of a plugin's type was reached (see [`crate::route`]), its owner asks
//! the plugin without holding a lock, many messages at a time, and hands the answer back.

mod needs;
mod packed;
mod rehearsed;
mod verdict;

use std::fmt;
use std::sync::Arc;

use amphora_protocol::wire::types::VhostName;

use crate::binding::Binding;
use crate::definition::ExchangeDefinition;

pub use self::needs::{BodyNeeds, HeaderNeeds, InvalidNeeds, Needs, Parts};
pub use self::packed::{HEAD, LAYOUT, Origin, PackedBatch, project};
pub use self::rehearsed::{Rehearsed, Sending};
pub use self::verdict::{Replacement, Verdict};

/// The argument of exchange.declare and queue.declare that names transforms.
pub const TRANSFORM: &str = "x-transform";

/// Messages in one call of [`ExchangeHook::route`], at most.
pub const BATCH_MAX: usize = 256;

/// A type of exchange that a plugin supplies, and what else a plugin host has to say of topology.
pub trait Hooks: fmt::Debug + Send + Sync {
    /// Whether an exchange of this type can be declared.
    fn has_exchange_type(&self, name: &str) -> bool;

    /// The handle of an exchange of a plugin's type, which is made when the exchange is, and also if the plugin is not there.
    /// The exchange's bindings follow by [`ExchangeHook::bind`].
    fn exchange(
        &self,
        type_name: &str,
        vhost: &VhostName,
        definition: &ExchangeDefinition,
    ) -> Arc<dyn ExchangeHook>;
}

/// Nothing but the types of exchange that AMQP has.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn has_exchange_type(&self, _: &str) -> bool {
        false
    }

    fn exchange(
        &self,
        type_name: &str,
        _: &VhostName,
        _: &ExchangeDefinition,
    ) -> Arc<dyn ExchangeHook> {
        Arc::new(Missing(type_name.into()))
    }
}

/// One exchange whose type is a plugin's.
///
/// [`bind`](Self::bind) and [`unbind`](Self::unbind) only note what changed and are called under the topology's lock;
/// the other methods may run the plugin and must not be.
pub trait ExchangeHook: fmt::Debug + Send + Sync {
    /// There is a new binding, with a number that the exchange never had before.
    fn bind(&self, id: u32, binding: &Arc<Binding>);

    /// The binding is gone.
    fn unbind(&self, id: u32);

    /// What the plugin that is in force needs to see.
    ///
    /// # Errors
    /// It is not there, or in quarantine.
    fn needs(&self) -> Result<Arc<Needs>, HookError>;

    /// How many messages the next call should have at most, so that it ends well before its deadline.
    fn batch_max(&self) -> usize;

    /// Routes a batch. Appends for each message the number of bindings that it goes to and their ids; every id is one that the exchange has
    /// or had until just now.
    ///
    /// # Errors
    /// The plugin did not answer as it must, or was replaced by one with other needs. Nothing was appended. If the batch has several
    /// messages and the [fault](Fault::may_be_one_messages) may be that of one, nobody is blamed yet: whoever routes asks about each half.
    fn route(&self, batch: &PackedBatch, answer: &mut Vec<u32>) -> Result<(), HookError>;

    /// As [`route`](Self::route) for a batch of one message, but nothing comes of it: see [`Rehearsed`]. Appends the ids of the bindings.
    ///
    /// # Errors
    /// As there.
    fn rehearse(&self, batch: &PackedBatch) -> Result<Rehearsed<Vec<u32>>, HookError>;

    /// What to do with messages that the plugin has no answer for.
    fn on_error(&self) -> OnError;
}

/// A transform where it is attached.
pub trait TransformHook: fmt::Debug + Send + Sync {
    /// What becomes of a message. `queue` is the one that the transform is attached to; none if that is an exchange.
    ///
    /// # Errors
    /// The plugin did not answer as it must.
    fn apply(&self, message: &Origin<'_>, queue: Option<&str>) -> Result<Verdict, HookError>;

    /// As [`apply`](Self::apply), but nothing comes of it: see [`Rehearsed`].
    ///
    /// # Errors
    /// As there.
    fn rehearse(
        &self,
        message: &Origin<'_>,
        queue: Option<&str>,
    ) -> Result<Rehearsed<Verdict>, HookError>;

    /// What to do with a message that the plugin has no answer for.
    fn on_error(&self) -> OnError;

    /// The name under which the operator knows the plugin.
    fn plugin(&self) -> &str;
}

/// What happens to a message whose plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// Its publisher gets a nack, and basic.return if it asked for that.
    #[default]
    Reject,
    /// It goes on as if the plugin were not there. Not for exchanges: they cannot route without.
    Pass,
    /// It goes nowhere, and is confirmed.
    Drop,
    /// It goes to the attachment's dead-letter exchange.
    DeadLetter,
    /// It goes to the alternate exchange, as if no binding matched. For exchanges only.
    AlternateExchange,
}

impl OnError {
    /// All of them, by the names that the configuration has for them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("reject", Self::Reject),
        ("pass", Self::Pass),
        ("drop", Self::Drop),
        ("dead-letter", Self::DeadLetter),
        ("alternate-exchange", Self::AlternateExchange),
    ];

    /// The name that the configuration has for it.
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, value)| *value == self)
            .map_or("reject", |(name, _)| name)
    }
}

/// Why a plugin has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookError {
    /// The name under which the operator knows the plugin, or the type of exchange if there is none.
    pub plugin: Arc<str>,
    /// The kind of failure.
    pub fault: Fault,
    /// The failure, in words.
    pub text: String,
}

impl HookError {
    /// There is no plugin for a type of exchange.
    pub fn nobody(exchange_type: &Arc<str>) -> Self {
        Self {
            plugin: Arc::clone(exchange_type),
            fault: Fault::NotLoaded,
            text: nobody_supplies(exchange_type),
        }
    }
}

impl std::error::Error for HookError {}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            text,
            fault,
        } = self;
        // A type of exchange is not called a plugin.
        if *fault == Fault::NotLoaded && *text == nobody_supplies(plugin) {
            return f.write_str(text);
        }
        write!(f, "plugin '{plugin}': {text}")
    }
}

fn nobody_supplies(exchange_type: &str) -> String {
    format!("no plugin supplies exchange type '{exchange_type}'")
}

/// The kinds of failure, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The code trapped: a panic, an access out of bounds, a stack overflow.
    Trap,
    /// The call took longer than its deadline.
    Timeout,
    /// The code asked for more memory than it may have.
    Memory,
    /// The answer is not one that the contract allows.
    BadAnswer,
    /// The plugin says that it cannot do it.
    Refused,
    /// There is no such plugin now.
    NotLoaded,
    /// The plugin failed too often and is not called for a while.
    Quarantined,
    /// The plugin was replaced by one that needs to see something else: ask again.
    Replaced,
    /// The message is too large for the memory that the plugin may have.
    TooLarge,
    /// The broker has no place for another instance of any plugin.
    Crowded,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Trap,
        Self::Timeout,
        Self::Memory,
        Self::BadAnswer,
        Self::Refused,
        Self::NotLoaded,
        Self::Quarantined,
        Self::Replaced,
        Self::TooLarge,
        Self::Crowded,
    ];

    /// Whether one message of a batch may be the cause, and the others would have had an answer without it.
    pub fn may_be_one_messages(self) -> bool {
        self.is_failure() || self == Self::TooLarge
    }

    /// Whether the plugin itself failed: what quarantine is for.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Trap | Self::Timeout | Self::Memory | Self::BadAnswer
        )
    }

    /// The name in listings and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::BadAnswer => "bad_answer",
            Self::Refused => "refused",
            Self::NotLoaded => "not_loaded",
            Self::Quarantined => "quarantined",
            Self::Replaced => "replaced",
            Self::TooLarge => "too_large",
            Self::Crowded => "crowded",
        }
    }
}

/// An exchange whose type nobody supplies.
#[derive(Debug)]
struct Missing(Arc<str>);

impl Missing {
    fn error(&self) -> HookError {
        HookError::nobody(&self.0)
    }
}

impl ExchangeHook for Missing {
    fn bind(&self, _: u32, _: &Arc<Binding>) {}

    fn unbind(&self, _: u32) {}

    fn needs(&self) -> Result<Arc<Needs>, HookError> {
        Err(self.error())
    }

    fn batch_max(&self) -> usize {
        1
    }

    fn route(&self, _: &PackedBatch, _: &mut Vec<u32>) -> Result<(), HookError> {
        Err(self.error())
    }

    fn rehearse(&self, _: &PackedBatch) -> Result<Rehearsed<Vec<u32>>, HookError> {
        Err(self.error())
    }

    fn on_error(&self) -> OnError {
        OnError::Reject
    }
}
