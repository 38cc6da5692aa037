//! What exists in one virtual host: exchanges, queues, bindings.
//!
//! # Invariants
//! * A name is in `exchange_names` or `queue_names` exactly if its entry is in the table of entries.
//! * A binding is in `bindings`, in `binding_ids`, in its source's matcher and among its source's and its destination's
//!   binding ids, or in none of them. Its ends exist.
//! * Every change raises the generation, so that an answer of [`Topology::route`] may be kept while it stands still.

mod binding;
mod change;
mod declaration;
mod exchange;
mod policy;
mod queue;
mod recover;
pub(crate) mod reply_text;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::types::{ExchangeName, QueueName, ShortString, VhostName};
use foldhash::fast::RandomState;
use slab::Slab;

pub use self::change::{Change, Changes};
pub use self::declaration::{
    ConnectionId, ExchangeDeclaration, QueueDeclaration, without_line_breaks,
};
pub use self::queue::Declared;
pub use self::recover::RecoveryProblem;
use crate::binding::{Binding, BindingArguments, BindingId, Destination};
use crate::definition::{Definition, ExchangeDefinition, QueueDefinition};
use crate::exchange::{ExchangeType, Matcher};
use crate::hook::Hooks;
use crate::policy::{Applied, Policies};
use crate::route::Asked;

/// Who declares what no user asks for, in RabbitMQ's words.
pub const INTERNAL_USER: &str = "rmq-internal";

/// The exchanges that every virtual host has, beside the default exchange: name, type, internal.
const PREDECLARED: [(&str, ExchangeType, bool); 7] = [
    ("", ExchangeType::Direct, false),
    ("amq.direct", ExchangeType::Direct, false),
    ("amq.fanout", ExchangeType::Fanout, false),
    ("amq.headers", ExchangeType::Headers, false),
    ("amq.match", ExchangeType::Headers, false),
    ("amq.rabbitmq.trace", ExchangeType::Topic, true),
    ("amq.topic", ExchangeType::Topic, false),
];

/// The exchanges, queues and bindings of one virtual host, and where a message goes.
///
/// `Q` is what a queue is to the caller: a handle that is cheap to clone.
#[derive(Debug)]
pub struct Topology<Q> {
    vhost: VhostName,
    exchanges: Slab<ExchangeEntry>,
    exchange_names: HashMap<ExchangeName, u32, RandomState>,
    queues: Slab<QueueEntry<Q>>,
    queue_names: HashMap<QueueName, u32, RandomState>,
    exclusive: HashMap<ConnectionId, BTreeSet<QueueName>, RandomState>,
    bindings: BTreeMap<BindingId, BindingEntry>,
    binding_ids: HashMap<Arc<Binding>, BindingId, RandomState>,
    next_binding: BindingId,
    generation: u64,
    hooks: Arc<dyn Hooks>,
    policies: Policies,
}

/// An exchange and what it is bound to.
#[derive(Debug)]
pub(crate) struct ExchangeEntry {
    pub(crate) definition: Arc<ExchangeDefinition>,
    pub(crate) matcher: Matcher,
    pub(crate) alternate: Option<ExchangeName>,
    /// It lets messages wait that ask for it.
    pub(crate) delays: bool,
    policies: Option<Arc<Applied>>,
    /// The bindings whose source it is.
    leaving: BTreeSet<BindingId>,
    /// The bindings whose destination it is.
    arriving: BTreeSet<BindingId>,
}

/// A queue, as far as others can see it.
#[derive(Debug)]
pub struct QueueEntry<Q> {
    /// As it was declared.
    pub definition: Arc<QueueDefinition>,
    /// The caller's own handle.
    pub handle: Q,
    /// What applies to it.
    pub policies: Option<Arc<Applied>>,
    arriving: BTreeSet<BindingId>,
}

#[derive(Debug)]
struct BindingEntry {
    binding: Arc<Binding>,
    durable: bool,
}

impl<Q: Clone> Topology<Q> {
    /// A virtual host with the exchanges that every one has, without queues.
    pub fn new(vhost: VhostName, hooks: Arc<dyn Hooks>) -> Self {
        Self::with_policies(vhost, hooks, Policies::default())
    }

    /// As [`Topology::new`], with policies.
    fn with_policies(vhost: VhostName, hooks: Arc<dyn Hooks>, policies: Policies) -> Self {
        let mut topology = Self {
            vhost,
            exchanges: Slab::new(),
            exchange_names: HashMap::default(),
            queues: Slab::new(),
            queue_names: HashMap::default(),
            exclusive: HashMap::default(),
            bindings: BTreeMap::new(),
            binding_ids: HashMap::default(),
            next_binding: BindingId(1),
            generation: 1,
            hooks,
            policies,
        };
        for (name, exchange_type, internal) in PREDECLARED {
            if let Ok(name) = ExchangeName::new(name) {
                topology.insert_exchange(Arc::new(ExchangeDefinition {
                    name,
                    exchange_type,
                    durable: true,
                    auto_delete: false,
                    internal,
                    arguments: amphora_protocol::wire::table::FieldTable::default(),
                    declared_by: INTERNAL_USER.into(),
                }));
            }
        }
        topology
    }

    /// Adds an exchange that is not stored, because every virtual host that is to have it has it from its beginning.
    pub fn add_exchange(&mut self, exchange: ExchangeDefinition) {
        self.insert_exchange(Arc::new(exchange));
        self.changed();
    }

    /// The virtual host's name.
    pub fn vhost(&self) -> &VhostName {
        &self.vhost
    }

    /// Rises with every change that may alter where a message goes or what a listing shows.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Something else than the topology changed that may alter where a message goes, such as a plugin.
    pub fn touch(&mut self) {
        self.changed();
    }

    /// An exchange by its name, or `NOT_FOUND`.
    pub fn find_exchange(&self, name: &str) -> Result<&Arc<ExchangeDefinition>, ChannelException> {
        Ok(&self.exchange_entry(name)?.definition)
    }

    /// A queue by its name, for a connection that wants to use it.
    ///
    /// # Errors
    /// `NOT_FOUND`; `RESOURCE_LOCKED` if it is exclusive to another connection.
    pub fn find_queue(
        &self,
        name: &str,
        asker: ConnectionId,
    ) -> Result<&QueueEntry<Q>, ChannelException> {
        let entry = self.queue(name).ok_or_else(|| self.no_queue(name))?;
        match entry.definition.owner {
            Some(owner) if owner != asker => Err(self.locked_queue(name)),
            _ => Ok(entry),
        }
    }

    /// A queue by its name, whoever may use it.
    pub fn queue(&self, name: &str) -> Option<&QueueEntry<Q>> {
        self.queues.get(*self.queue_names.get(name)? as usize)
    }

    /// The queues that are exclusive to a connection and have to go with it, by name.
    pub fn exclusive_queues(&self, owner: ConnectionId) -> Vec<QueueName> {
        self.exclusive
            .get(&owner)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// All exchanges, in no particular order.
    pub fn exchanges(&self) -> impl ExactSizeIterator<Item = &Arc<ExchangeDefinition>> {
        self.exchanges.iter().map(|(_, entry)| &entry.definition)
    }

    /// All queues, in no particular order.
    pub fn queues(&self) -> impl ExactSizeIterator<Item = &QueueEntry<Q>> {
        self.queues.iter().map(|(_, entry)| entry)
    }

    /// All bindings: those of every queue to the default exchange, which are not stored, and then the others by age.
    pub fn bindings(&self) -> impl Iterator<Item = Arc<Binding>> {
        let implicit = self.queues.iter().map(|(_, entry)| implicit_binding(entry));
        implicit.chain(
            self.bindings
                .values()
                .map(|entry| Arc::clone(&entry.binding)),
        )
    }

    /// The bindings whose source the exchange is; none if it does not exist.
    pub fn bindings_by_source(&self, source: &str) -> Vec<Arc<Binding>> {
        if source.is_empty() {
            return self
                .queues
                .iter()
                .map(|(_, entry)| implicit_binding(entry))
                .collect();
        }
        let leaving = self.exchange_entry(source).ok().map(|entry| &entry.leaving);
        self.listed(leaving)
    }

    /// The bindings that lead to a queue or exchange; none if it does not exist.
    pub fn bindings_by_destination(&self, destination: &Destination) -> Vec<Arc<Binding>> {
        match destination {
            Destination::Queue(name) => {
                let Some(entry) = self.queue(name) else {
                    return Vec::new();
                };
                let mut bindings = vec![implicit_binding(entry)];
                bindings.extend(self.listed(Some(&entry.arriving)));
                bindings
            }
            Destination::Exchange(name) => {
                let arriving = self.exchange_entry(name).ok().map(|entry| &entry.arriving);
                self.listed(arriving)
            }
        }
    }

    /// The binding between two ends that has this [properties key](Binding::properties_key).
    pub fn find_binding(
        &self,
        source: &str,
        destination: &Destination,
        properties_key: &str,
    ) -> Option<Arc<Binding>> {
        let mut bindings = self.bindings_by_destination(destination).into_iter();
        bindings
            .find(|binding| binding.source == *source && binding.properties_key() == properties_key)
    }

    /// All that must be the same after a restart, beside the exchanges that every virtual host has.
    pub fn definitions(&self) -> impl Iterator<Item = Definition> {
        let vhost = || self.vhost.clone();
        let exchanges = self
            .exchanges()
            .filter(|exchange| exchange.durable && !is_predeclared(&exchange.name));
        let queues = self.queues().filter(|entry| entry.definition.durable);
        let bindings = self.bindings.iter().filter(|(_, entry)| entry.durable);
        exchanges
            .map(move |exchange| Definition::Exchange {
                vhost: vhost(),
                exchange: Arc::clone(exchange),
            })
            .chain(queues.map(move |entry| Definition::Queue {
                vhost: vhost(),
                queue: Arc::clone(&entry.definition),
            }))
            .chain(bindings.map(move |(id, entry)| Definition::Binding {
                vhost: vhost(),
                id: *id,
                binding: Arc::clone(&entry.binding),
            }))
    }

    /// Whether there is this very binding.
    pub fn has_binding(&self, binding: &Binding) -> bool {
        self.binding_ids.contains_key(binding)
    }

    /// The number of bindings, without those to the default exchange.
    pub fn binding_count(&self) -> usize {
        self.bindings.len()
    }

    fn listed(&self, ids: Option<&BTreeSet<BindingId>>) -> Vec<Arc<Binding>> {
        let entries = ids
            .into_iter()
            .flatten()
            .filter_map(|id| self.bindings.get(id));
        entries.map(|entry| Arc::clone(&entry.binding)).collect()
    }

    fn changed(&mut self) {
        self.generation += 1;
    }
}

/// Access by slot, for routing.
impl<Q> Topology<Q> {
    pub(crate) fn exchange_slot(&self, name: &str) -> Option<u32> {
        self.exchange_names.get(name).copied()
    }

    pub(crate) fn queue_slot(&self, name: &str) -> Option<u32> {
        self.queue_names.get(name).copied()
    }

    pub(crate) fn exchange_at(&self, slot: u32) -> Option<&ExchangeEntry> {
        self.exchanges.get(slot as usize)
    }

    pub(crate) fn queue_at(&self, slot: u32) -> Option<&QueueEntry<Q>> {
        self.queues.get(slot as usize)
    }

    pub(crate) fn exchange_entry(&self, name: &str) -> Result<&ExchangeEntry, ChannelException> {
        let entry = self
            .exchange_slot(name)
            .and_then(|slot| self.exchange_at(slot));
        entry.ok_or_else(|| self.no_exchange(name))
    }
}

impl ExchangeEntry {
    pub(crate) fn asked(&self, slot: u32) -> Option<Asked> {
        match &self.matcher {
            Matcher::Plugin(plugin) => Some(Asked::new(slot, plugin.hook())),
            _ => None,
        }
    }
}

fn is_predeclared(name: &str) -> bool {
    PREDECLARED
        .iter()
        .any(|(predeclared, ..)| *predeclared == name)
}

/// Every queue is bound to the default exchange by its name.
fn implicit_binding<Q>(entry: &QueueEntry<Q>) -> Arc<Binding> {
    let name = &entry.definition.name;
    Arc::new(Binding {
        source: ExchangeName::default(),
        destination: Destination::Queue(name.clone()),
        routing_key: ShortString::from(name.clone()).into(),
        arguments: BindingArguments::default(),
    })
}
