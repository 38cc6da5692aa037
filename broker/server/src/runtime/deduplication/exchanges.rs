//! Which exchanges of a virtual host have deduplication, and what all owners have from before the last restart.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use amphora_core::definition::ExchangeDefinition;
use amphora_core::store::{QueueId, Write};
use amphora_core::topology::{Change, Changes};
use amphora_protocol::wire::types::{ExchangeName, VhostName};
use bytes::Bytes;
use parking_lot::RwLock;

use super::runs::Runs;
use super::{Deduplicator, Owner, Stored};
use crate::runtime::committer::Committer;
use crate::runtime::vhost::VirtualHost;

/// The exchanges of a virtual host that take each id once.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Deduplicators(RwLock<HashMap<ExchangeName, Arc<Deduplicator>>>);

impl Deduplicators {
    /// Those that exist when the virtual host comes to be.
    pub(in crate::runtime) fn of<'a>(
        vhost: &VhostName,
        exchanges: impl Iterator<Item = &'a Arc<ExchangeDefinition>>,
    ) -> Self {
        let with = exchanges.filter_map(|exchange| {
            let deduplicator = Deduplicator::of_exchange(vhost, exchange)?;
            Some((exchange.name.clone(), deduplicator))
        });
        Self(RwLock::new(with.collect()))
    }

    /// Follows the topology. Returns what the store must forget.
    pub(in crate::runtime) fn follow(&self, vhost: &VhostName, changes: &Changes) -> Vec<Write> {
        let mut writes = Vec::new();
        for change in &changes.0 {
            match change {
                Change::ExchangeCreated(exchange) => {
                    if let Some(deduplicator) = Deduplicator::of_exchange(vhost, exchange) {
                        let mut known = self.0.write();
                        known.insert(exchange.name.clone(), deduplicator);
                    }
                }
                Change::ExchangeDeleted(exchange) => {
                    let gone = self.0.write().remove(&exchange.name);
                    writes.extend(gone.iter().flat_map(|gone| gone.deletion()));
                }
                _ => {}
            }
        }
        writes
    }

    /// That of an exchange, if it has one.
    pub(in crate::runtime) fn find(&self, exchange: &str) -> Option<Arc<Deduplicator>> {
        self.0.read().get(exchange).cloned()
    }
}

/// Gives owners back what an earlier run stored. What has no owner any more is removed.
pub(in crate::runtime) fn restore(
    definitions: &[(Bytes, Bytes)],
    vhosts: &BTreeMap<VhostName, Arc<VirtualHost>>,
    committer: &Committer,
) {
    let mut stored: BTreeMap<Owner, Vec<Stored>> = BTreeMap::new();
    for (key, value) in definitions {
        match Stored::read(key, value) {
            None => {}
            Some(Ok((owner, run))) => stored.entry(owner).or_default().push(run),
            Some(Err(error)) => {
                tracing::error!(key = %key.escape_ascii(), error, "ids of messages are lost: duplicates of them may pass");
            }
        }
    }
    if stored.is_empty() {
        return;
    }
    let mut queues: HashMap<QueueId, Arc<Deduplicator>> = HashMap::new();
    for vhost in vhosts.values() {
        for entry in vhost.topology().queues() {
            let queue = &entry.handle;
            queues.extend(
                queue
                    .deduplicator
                    .iter()
                    .map(|own| (queue.id, Arc::clone(own))),
            );
        }
    }
    let mut orphans = Vec::new();
    for (owner, runs) in stored {
        let deduplicator = match &owner {
            Owner::Exchange(vhost, exchange) => vhosts
                .get(vhost)
                .and_then(|vhost| vhost.deduplicators.find(exchange)),
            Owner::Queue(id) => queues.get(id).cloned(),
        };
        match deduplicator {
            Some(deduplicator) => deduplicator.restore(runs),
            None => orphans.extend(runs.iter().map(|run| Runs::orphan(&owner, run))),
        }
    }
    if !orphans.is_empty() {
        committer.define(orphans);
    }
}
