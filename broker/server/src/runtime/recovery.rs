//! Virtual hosts as they were before the last restart, from what the store kept of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use amphora_core::definition::{Definition, QueueDefinition};
use amphora_core::queue::{Effects, RecoveryError};
use amphora_core::store::{QueueId, Recovered, RecoveredQueue, Write};
use amphora_core::topology::Topology;
use amphora_protocol::wire::types::VhostName;
use anyhow::bail;

use super::administration::{Parameters, VhostMetadata, recovered_policies};
use super::announce::Tap;
use super::model::Model;
use super::peer::Touched;
use super::queue::SharedQueue;
use super::vhost::{Handle, Shared, VirtualHost};

type Definitions = BTreeMap<VhostName, (VhostMetadata, Vec<Definition>)>;

/// Rebuilds all virtual hosts; if there is none, as at the very first start, there is `/`.
pub(super) fn rebuild(
    recovered: Recovered,
    parameters: &Parameters,
    shared: &Shared,
) -> anyhow::Result<BTreeMap<VhostName, Arc<VirtualHost>>> {
    let Shared {
        committer, plugins, ..
    } = shared;
    let mut definitions = by_vhost(&recovered)?;
    let mut writes = Vec::new();
    if definitions.is_empty() {
        let root = VhostName::new("/")?;
        let metadata = VhostMetadata::of_the_default();
        writes.push(metadata.remember(&root));
        definitions.insert(root, (metadata, Vec::new()));
    }
    let mut models = Models::new(recovered.queues, &definitions);
    shared.queue_ids.store(models.next_id, Ordering::Relaxed);
    let mut vhosts = BTreeMap::new();
    for (name, (metadata, definitions)) in definitions {
        let hooks = Arc::new(plugins.host.clone());
        let tap = Tap::new(name.clone(), Arc::clone(&shared.announcer));
        let mut definitions = definitions;
        definitions.extend(shared.events.exchange(&name).map(|exchange| {
            // It is there as long as the configuration says so, and not stored.
            Definition::Exchange {
                vhost: name.clone(),
                exchange: Arc::new(exchange),
            }
        }));
        let policies = recovered_policies(parameters, &name);
        let handle = |definition: &Arc<QueueDefinition>, policies| {
            let model = models.take(definition, &name);
            let queue = SharedQueue::new(definition, policies, &tap, model);
            // One that keeps time looks for what has expired meanwhile, one with a limit for what is too much; and what was dying still is.
            queue.with(committer, &mut Touched::default(), |model, sink| {
                let dying = Effects {
                    bury: model.dying_count() > 0,
                    ..Effects::default()
                };
                ((), model.dispatch(sink).and(dying))
            });
            queue
        };
        let (topology, problems) =
            Topology::<Handle>::recover(name.clone(), hooks, policies, definitions, handle);
        for problem in problems {
            tracing::warn!(vhost = %name, %problem, "left out");
        }
        let vhost = VirtualHost::new(topology, metadata, shared, tap);
        vhost.limits.recover(parameters, &name);
        vhosts.insert(name, vhost);
    }
    if let Some(damaged) = models.damaged.first() {
        bail!("the storage is damaged: {damaged}");
    }
    writes.extend(models.orphans());
    if !writes.is_empty() {
        committer.define(writes);
    }
    Ok(vhosts)
}

fn by_vhost(recovered: &Recovered) -> anyhow::Result<Definitions> {
    let mut definitions = Definitions::new();
    for (key, value) in &recovered.definitions {
        let definition = Definition::decode(key, value)?;
        let vhost = match &definition {
            Definition::Vhost { vhost, .. }
            | Definition::Exchange { vhost, .. }
            | Definition::Queue { vhost, .. }
            | Definition::Binding { vhost, .. } => vhost.clone(),
            Definition::Opaque { .. } => continue,
        };
        let (said, within) = definitions.entry(vhost).or_default();
        match definition {
            Definition::Vhost { metadata, .. } => *said = VhostMetadata::from_table(&metadata),
            definition => within.push(definition),
        }
    }
    Ok(definitions)
}

/// What the store has of each queue.
struct Models {
    stored: HashMap<QueueId, RecoveredQueue>,
    next_id: u32,
    damaged: Vec<String>,
}

impl Models {
    fn new(stored: Vec<RecoveredQueue>, definitions: &Definitions) -> Self {
        let defined = definitions
            .values()
            .flat_map(|(_, definitions)| definitions)
            .filter_map(|definition| match definition {
                Definition::Queue { queue, .. } => Some(queue.id.0),
                _ => None,
            });
        let last = stored
            .iter()
            .map(|queue| queue.queue.0)
            .chain(defined)
            .max();
        Self {
            stored: stored
                .into_iter()
                .map(|queue| (queue.queue, queue))
                .collect(),
            next_id: last.unwrap_or(0) + 1,
            damaged: Vec::new(),
        }
    }

    fn take(&mut self, definition: &QueueDefinition, vhost: &VhostName) -> Model {
        let empty = || Model::new(definition);
        let Some(stored) = self.stored.remove(&definition.id) else {
            return empty();
        };
        Model::recover(definition, stored).unwrap_or_else(|RecoveryError { reason, .. }| {
            let name = &definition.name;
            self.damaged
                .push(format!("queue '{name}' in vhost '{vhost}': {reason}"));
            empty()
        })
    }

    /// Removes what belonged to queues whose deletion was stored before their messages were removed.
    fn orphans(self) -> impl Iterator<Item = Write> {
        self.stored.into_values().flat_map(|orphan| {
            let queue = orphan.queue;
            let records = orphan.records.into_iter();
            let parts = orphan.settlement.into_keys();
            records
                .map(move |record| Write::Remove { queue, record })
                .chain(parts.map(move |part| Write::Forget { queue, part }))
        })
    }
}
