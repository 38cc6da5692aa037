//! What policies come to for one object.

use std::sync::Arc;

use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, ShortString};

use super::{Policy, key};
use crate::definition::QueueDefinition;
use crate::queue_arguments::QueueArguments;

/// What applies to one object: a policy, an operator policy, or both.
#[derive(Clone, Debug)]
pub struct Applied {
    policy: Option<Arc<Policy>>,
    operator_policy: Option<Arc<Policy>>,
    definition: FieldTable,
}

/// The policies are the same, not merely alike.
impl PartialEq for Applied {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Option<Arc<Policy>>, b: &Option<Arc<Policy>>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        same(&self.policy, &other.policy) && same(&self.operator_policy, &other.operator_policy)
    }
}

impl Eq for Applied {}

impl Applied {
    pub(super) fn new(
        policy: Option<Arc<Policy>>,
        operator_policy: Option<Arc<Policy>>,
    ) -> Option<Self> {
        let definition = match (&policy, &operator_policy) {
            (None, None) => return None,
            (Some(policy), None) => policy.definition.clone(),
            (None, Some(operator)) => operator.definition.clone(),
            (Some(policy), Some(operator)) => merge(&policy.definition, &operator.definition),
        };
        Some(Self {
            policy,
            operator_policy,
            definition,
        })
    }

    /// The policy's name.
    pub fn policy(&self) -> Option<&Arc<str>> {
        self.policy.as_ref().map(|policy| &policy.name)
    }

    /// The operator policy's name.
    pub fn operator_policy(&self) -> Option<&Arc<str>> {
        self.operator_policy.as_ref().map(|policy| &policy.name)
    }

    /// What both come to.
    pub fn definition(&self) -> &FieldTable {
        &self.definition
    }

    /// `alternate-exchange`
    pub fn alternate_exchange(&self) -> Option<ExchangeName> {
        let name = self.definition.get("alternate-exchange")?.as_str()?;
        ExchangeName::new(name).ok()
    }

    /// `delayed-exchange`, or `delayed-message`
    pub fn delays(&self) -> bool {
        let keys = ["delayed-exchange", "delayed-message"];
        let mut set = keys.iter().filter_map(|key| self.definition.get(key));
        set.any(|value| value.as_bool() == Some(true))
    }

    /// What a queue's arguments and these policies come to: limits are the smaller ones, for all else the argument counts.
    pub fn queue_arguments(&self, queue: &QueueDefinition) -> QueueArguments {
        let mut table = queue.arguments.clone();
        for (name, value) in &self.definition {
            let argument = format!("x-{name}");
            let known = key::find(name).filter(|key| key.is_in_effect());
            let Some(key) = known.filter(|_| queue.parsed.queue_type.has_argument(&argument))
            else {
                continue;
            };
            let value = match queue.arguments.get(&argument) {
                Some(declared) => key.against_argument(declared, value).clone(),
                None => value.clone(),
            };
            table.insert(ShortString::cut(&argument), value);
        }
        if table.get("x-dead-letter-exchange").is_none() {
            // Without the exchange it has no meaning, and is refused as an argument.
            table.remove("x-dead-letter-routing-key");
        }
        // Each value was checked when it was set, and so the arguments are legal.
        QueueArguments::parse(&table, &queue.name).unwrap_or_else(|_| queue.parsed.clone())
    }
}

fn merge(policy: &FieldTable, operator: &FieldTable) -> FieldTable {
    let mut merged = policy.clone();
    for (name, value) in operator {
        let value: &FieldValue = match (policy.get(name), key::find(name)) {
            (Some(other), Some(key)) => key.against_operator(other, value),
            _ => value,
        };
        merged.insert(name.clone(), value.clone());
    }
    merged
}
