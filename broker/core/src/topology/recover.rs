//! Rebuilding a virtual host at start.

use std::fmt;
use std::sync::Arc;

use amphora_protocol::wire::types::VhostName;

use super::Topology;
use crate::binding::{Binding, BindingId};
use crate::definition::{Definition, QueueDefinition};
use crate::hook::Hooks;
use crate::policy::{Applied, Policies};

/// A stored binding that was left out, because an end of it is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryProblem {
    /// Its number.
    pub id: BindingId,
    /// The binding.
    pub binding: Arc<Binding>,
}

impl fmt::Display for RecoveryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding {
            source,
            destination,
            ..
        } = &*self.binding;
        let (kind, name) = (destination.kind(), destination.name());
        write!(
            f,
            "binding {} from exchange '{source}' to {kind} '{name}' lacks an end",
            self.id.0
        )
    }
}

impl<Q: Clone> Topology<Q> {
    /// Rebuilds a virtual host from its policies and definitions, which may come in any order; those of others are passed over.
    /// `handle` makes the queues, and is told what applies to them. What cannot be rebuilt is left out and reported.
    pub fn recover(
        vhost: VhostName,
        hooks: Arc<dyn Hooks>,
        policies: Policies,
        definitions: impl IntoIterator<Item = Definition>,
        mut handle: impl FnMut(&Arc<QueueDefinition>, Option<Arc<Applied>>) -> Q,
    ) -> (Self, Vec<RecoveryProblem>) {
        let mut topology = Self::with_policies(vhost, hooks, policies);
        let mut bindings = Vec::new();
        for definition in definitions {
            match definition {
                Definition::Exchange { vhost, exchange }
                    if vhost == topology.vhost
                        && topology.exchange_slot(&exchange.name).is_none() =>
                {
                    topology.insert_exchange(exchange);
                }
                Definition::Queue { vhost, queue }
                    if vhost == topology.vhost && topology.queue(&queue.name).is_none() =>
                {
                    let handle = handle(&queue, topology.policies_for_queue(&queue));
                    // It is stored already: that is where it comes from.
                    let _changes = topology.insert_queue(queue, handle);
                }
                Definition::Binding { vhost, id, binding } if vhost == topology.vhost => {
                    bindings.push((id, binding));
                }
                _ => {}
            }
        }
        let mut problems = Vec::new();
        for (id, binding) in bindings {
            topology.next_binding = topology.next_binding.max(BindingId(id.0.saturating_add(1)));
            if topology.binding_ids.contains_key(&binding) {
                continue;
            }
            if topology.missing_end(&binding).is_some() {
                problems.push(RecoveryProblem { id, binding });
            } else {
                topology.insert_binding(id, &binding);
            }
        }
        (topology, problems)
    }
}
