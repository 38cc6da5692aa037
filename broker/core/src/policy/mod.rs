//! Policies: what an operator sets for all queues and exchanges with a name like this, whatever they were declared with.
//!
//! One policy and one operator policy apply to an object at a time: of those that match, the one with the highest priority. The two
//! are [merged](Applied), and for a queue also with what it was declared with, into its [effective arguments](Applied::queue_arguments).

mod applied;
mod key;
mod keys;
mod pattern;
mod term;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use amphora_protocol::wire::table::FieldTable;

pub use self::applied::Applied;
pub use self::pattern::{InvalidPattern, NamePattern};
pub use self::term::Term;
use crate::queue_arguments::QueueType;

/// Names that begin so are the broker's own: no policy is for them.
const OWN_PREFIX: &str = "amq.amphora.";

/// What a policy may be applied to: `apply-to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApplyTo {
    /// `all`: exchanges and queues.
    #[default]
    All,
    /// `exchanges`
    Exchanges,
    /// `queues`, of all types.
    Queues,
    /// `classic_queues`, `quorum_queues` or `streams`
    QueuesOf(QueueType),
}

/// The two kinds of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// What a policymaker sets.
    User,
    /// What an operator sets on top of that: it may only narrow.
    Operator,
}

/// A policy that was checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, unique among those of its kind in a virtual host.
    pub name: Arc<str>,
    /// Which objects it is for, by their names.
    pub pattern: NamePattern,
    /// Which objects it is for, by what they are.
    pub apply_to: ApplyTo,
    /// Of several that match, the one with the highest priority applies.
    pub priority: i64,
    /// What it sets: keys such as `message-ttl`.
    pub definition: FieldTable,
}

/// All policies of a virtual host, of both kinds.
#[derive(Debug, Default)]
pub struct Policies {
    /// In the order in which they are tried: by falling priority, then by name.
    user: Vec<Arc<Policy>>,
    operator: Vec<Arc<Policy>>,
}

impl ApplyTo {
    /// Reads RabbitMQ's word for it.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exchanges" => Self::Exchanges,
            "queues" => Self::Queues,
            "classic_queues" => Self::QueuesOf(QueueType::Classic),
            "quorum_queues" => Self::QueuesOf(QueueType::Quorum),
            "streams" => Self::QueuesOf(QueueType::Stream),
            _ => return None,
        })
    }

    /// RabbitMQ's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exchanges => "exchanges",
            Self::Queues => "queues",
            Self::QueuesOf(QueueType::Classic) => "classic_queues",
            Self::QueuesOf(QueueType::Quorum) => "quorum_queues",
            Self::QueuesOf(QueueType::Stream) => "streams",
        }
    }

    fn covers_queue(self, queue_type: QueueType) -> bool {
        match self {
            Self::All | Self::Queues => true,
            Self::QueuesOf(only) => only == queue_type,
            Self::Exchanges => false,
        }
    }

    fn covers_exchange(self) -> bool {
        matches!(self, Self::All | Self::Exchanges)
    }
}

impl Policy {
    /// Checks what somebody wants to set.
    ///
    /// # Errors
    /// RabbitMQ's text: the pattern is no regular expression, `apply-to` or a key is unknown, or a value is none for its key.
    pub fn new(
        kind: PolicyKind,
        name: &str,
        pattern: &str,
        apply_to: &str,
        priority: i64,
        definition: FieldTable,
    ) -> Result<Self, String> {
        let pattern = NamePattern::new(pattern).map_err(|invalid| {
            format!("pattern should be regular expression but is invalid: {invalid}")
        })?;
        let apply_to = ApplyTo::from_name(apply_to).ok_or_else(|| {
            format!(
                "apply-to '{apply_to}' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', \
                 'exchanges', or 'all'"
            )
        })?;
        key::check(kind, &definition)?;
        Ok(Self {
            name: name.into(),
            pattern,
            apply_to,
            priority,
            definition,
        })
    }

    /// The keys that are kept and shown, but mean nothing to a broker of one node without federation.
    pub fn keys_without_effect(&self) -> impl Iterator<Item = &str> {
        let keys = self.definition.iter().map(|(name, _)| name.as_str());
        keys.filter(|name| key::find(name).is_some_and(|key| !key.is_in_effect()))
    }

    /// One that sets what this type of queue does not have is not for it at all.
    fn covers_queue(&self, name: &str, queue_type: QueueType) -> bool {
        let mut keys = self.definition.iter().map(|(name, _)| name.as_str());
        self.apply_to.covers_queue(queue_type)
            && keys.all(|key| queue_type.allows_policy_key(key))
            && self.pattern.matches(name)
    }

    fn covers_exchange(&self, name: &str) -> bool {
        self.apply_to.covers_exchange() && self.pattern.matches(name)
    }
}

impl Policies {
    /// Sets a policy, in place of the one of its kind with its name.
    pub fn set(&mut self, kind: PolicyKind, policy: Policy) {
        let policies = self.of_kind_mut(kind);
        policies.retain(|other| other.name != policy.name);
        policies.push(Arc::new(policy));
        policies.sort_by(|a, b| {
            b.priority
                .cmp(&a.priority)
                .then_with(|| a.name.cmp(&b.name))
        });
    }

    /// Removes a policy. Returns it, if there was one.
    pub fn clear(&mut self, kind: PolicyKind, name: &str) -> Option<Arc<Policy>> {
        let policies = self.of_kind_mut(kind);
        let index = policies.iter().position(|policy| *policy.name == *name)?;
        Some(policies.remove(index))
    }

    /// The policies of a kind, in the order in which they are tried.
    pub fn of_kind(&self, kind: PolicyKind) -> &[Arc<Policy>] {
        match kind {
            PolicyKind::User => &self.user,
            PolicyKind::Operator => &self.operator,
        }
    }

    /// What applies to a queue, if anything does.
    pub fn for_queue(&self, name: &str, queue_type: QueueType) -> Option<Arc<Applied>> {
        self.first(|policy| policy.covers_queue(name, queue_type), name)
    }

    /// What applies to an exchange, if anything does.
    pub fn for_exchange(&self, name: &str) -> Option<Arc<Applied>> {
        self.first(|policy| policy.covers_exchange(name), name)
    }

    fn first(&self, covers: impl Fn(&Policy) -> bool, name: &str) -> Option<Arc<Applied>> {
        if name.starts_with(OWN_PREFIX) {
            return None;
        }
        let first = |policies: &[Arc<Policy>]| {
            let mut matching = policies.iter().filter(|policy| covers(policy));
            matching.next().map(Arc::clone)
        };
        Applied::new(first(&self.user), first(&self.operator)).map(Arc::new)
    }

    fn of_kind_mut(&mut self, kind: PolicyKind) -> &mut Vec<Arc<Policy>> {
        match kind {
            PolicyKind::User => &mut self.user,
            PolicyKind::Operator => &mut self.operator,
        }
    }
}
