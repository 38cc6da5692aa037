//! Policies of a virtual host, kept applied to all that is in it.

use std::sync::Arc;

use super::exchange::alternate_exchange;
use super::{ExchangeEntry, Topology};
use crate::definition::{ExchangeDefinition, QueueDefinition};
use crate::exchange::delays;
use crate::policy::{Applied, Policies};

impl<Q: Clone> Topology<Q> {
    /// The policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// What applies to a queue, be it here or about to be inserted.
    pub fn policies_for_queue(&self, queue: &QueueDefinition) -> Option<Arc<Applied>> {
        self.policies
            .for_queue(&queue.name, queue.parsed.queue_type)
    }

    /// What applies to an exchange; nothing if there is none.
    pub fn policies_of_exchange(&self, name: &str) -> Option<&Arc<Applied>> {
        self.exchange_entry(name).ok()?.policies.as_ref()
    }

    /// Changes the policies and looks at all exchanges and queues again: one match for each object and policy. Returns the queues that
    /// something else applies to now, with that.
    pub fn change_policies(
        &mut self,
        change: impl FnOnce(&mut Policies),
    ) -> Vec<(Q, Option<Arc<Applied>>)> {
        change(&mut self.policies);
        let policies = &self.policies;
        for (_, entry) in &mut self.exchanges {
            let applied = policies.for_exchange(&entry.definition.name);
            if entry.policies != applied {
                entry.policies = applied;
                entry.settle_policies();
            }
        }
        let mut changed = Vec::new();
        for (_, entry) in &mut self.queues {
            let queue = &entry.definition;
            let applied = policies.for_queue(&queue.name, queue.parsed.queue_type);
            if entry.policies != applied {
                entry.policies.clone_from(&applied);
                changed.push((entry.handle.clone(), applied));
            }
        }
        self.changed();
        changed
    }
}

impl ExchangeEntry {
    /// What the declaration says, else the policies: the alternate exchange, and whether messages may wait.
    pub(super) fn settle_policies(&mut self) {
        let ExchangeDefinition {
            exchange_type,
            arguments,
            ..
        } = &*self.definition;
        let declared = alternate_exchange(arguments).unwrap_or_default();
        let policies = self.policies.as_ref();
        // A publisher that names a queue has to learn that there is none, as in RabbitMQ.
        let diverted = policies.filter(|_| !self.definition.name.is_empty());
        self.alternate = declared.or_else(|| diverted?.alternate_exchange());
        self.delays = delays(exchange_type, arguments)
            .unwrap_or_else(|| policies.is_some_and(|policies| policies.delays()));
    }
}
