//! What exists in a virtual host: exchanges and bindings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::binding::{self, Binding};
use amphora_core::definition::ExchangeDefinition;
use amphora_core::policy::Applied;

use crate::management::backend::BindingFilter;
use crate::management::snapshot::{
    AppliedPolicies, BindingSnapshot, Destination, ExchangeSnapshot,
};
use crate::runtime::traffic::Traffic;
use crate::runtime::vhost::VirtualHost;

pub(super) fn exchanges(vhost: &VirtualHost) -> Vec<ExchangeSnapshot> {
    let topology = vhost.topology();
    let with_policies = |exchange: &Arc<ExchangeDefinition>| {
        let policies = topology.policies_of_exchange(&exchange.name);
        (Arc::clone(exchange), policies.cloned())
    };
    let definitions: Vec<_> = topology.exchanges().map(with_policies).collect();
    drop(topology);
    definitions
        .iter()
        .map(|(exchange, applied)| snapshot(vhost, exchange, applied.as_ref()))
        .collect()
}

pub(super) fn exchange(vhost: &VirtualHost, name: &str) -> Option<ExchangeSnapshot> {
    let topology = vhost.topology();
    let exchange = topology.find_exchange(name).ok().map(Arc::clone)?;
    let applied = topology.policies_of_exchange(name).cloned();
    drop(topology);
    Some(snapshot(vhost, &exchange, applied.as_ref()))
}

/// The policies that apply to something.
pub(super) fn policies(applied: Option<&Arc<Applied>>) -> AppliedPolicies {
    let Some(applied) = applied else {
        return AppliedPolicies::default();
    };
    AppliedPolicies {
        policy: applied.policy().cloned(),
        operator_policy: applied.operator_policy().cloned(),
        definition: applied.definition().clone(),
    }
}

fn snapshot(
    vhost: &VirtualHost,
    exchange: &ExchangeDefinition,
    applied: Option<&Arc<Applied>>,
) -> ExchangeSnapshot {
    let traffic = vhost.exchanges.get(&exchange.name).unwrap_or_default();
    let read = |counter: fn(&Traffic) -> &AtomicU64| counter(&traffic).load(Ordering::Relaxed);
    ExchangeSnapshot {
        vhost: vhost.name.clone(),
        name: exchange.name.clone(),
        kind: exchange.exchange_type.name().to_owned(),
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: exchange.arguments.clone(),
        declared_by: exchange.declared_by.clone(),
        published_in: read(|traffic| &traffic.received),
        published_out: read(|traffic| &traffic.routed),
        delayed: vhost.delays.count(&exchange.name),
        deduplicated: vhost
            .deduplicators
            .find(&exchange.name)
            .map_or(0, |deduplicator| deduplicator.dropped()),
        policies: policies(applied),
    }
}

pub(super) fn bindings(vhost: &VirtualHost, filter: &BindingFilter) -> Vec<BindingSnapshot> {
    let mut bindings: Vec<Arc<Binding>> = {
        let topology = vhost.topology();
        match (&filter.source, &filter.destination) {
            (_, Some(Destination::Queue(name))) => {
                topology.bindings_by_destination(&binding::Destination::Queue(name.clone()))
            }
            (_, Some(Destination::Exchange(name))) => {
                topology.bindings_by_destination(&binding::Destination::Exchange(name.clone()))
            }
            (Some(source), None) => topology.bindings_by_source(source),
            (None, None) => topology.bindings().collect(),
        }
    };
    if let Some(source) = &filter.source {
        bindings.retain(|binding| binding.source == *source);
    }
    let view = |binding: &Arc<Binding>| BindingSnapshot {
        vhost: vhost.name.clone(),
        source: binding.source.clone(),
        destination: Destination::from(&binding.destination),
        routing_key: binding.routing_key.clone(),
        arguments: binding.arguments.table().clone(),
    };
    bindings.iter().map(view).collect()
}
