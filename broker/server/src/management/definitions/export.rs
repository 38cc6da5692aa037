//! From what there is to a file.

use amphora_protocol::wire::types::QueueName;
use serde_json::{Value, json};
use std::collections::HashSet;

use crate::auth::Users;
use crate::management::backend::{Backend, BindingFilter, POLICY};
use crate::management::overview::RABBITMQ_VERSION;
use crate::management::snapshot::{Destination, QueueSnapshot};
use crate::management::{json, parameters, permissions, policies, users, vhosts};

/// Names that begin so are the broker's own: they come with it.
const RESERVED: &str = "amq.";
const OWN_QUEUES: &str = "amq.amphora.";

/// All users, virtual hosts, and what is in them, exclusive queues excepted.
pub(super) fn whole(backend: &dyn Backend, users: &Users, node: &str) -> Value {
    let accounts = users.all();
    let parameters = backend.administration().parameters();
    let (policies, others): (Vec<_>, Vec<_>) = parameters
        .into_iter()
        .partition(|parameter| parameter.component == POLICY);
    let global = backend.administration().global_parameters();
    let vhosts = backend.vhosts();
    let mut inside = Inside::default();
    for vhost in &vhosts {
        inside.add(backend, &vhost.name, true);
    }
    json!({
        "rabbit_version": RABBITMQ_VERSION,
        "rabbitmq_version": RABBITMQ_VERSION,
        "product_name": "Amphora",
        "product_version": env!("CARGO_PKG_VERSION"),
        "rabbitmq_definition_format": "cluster",
        "original_cluster_name": node,
        "explanation": format!("Definitions of broker '{node}'"),
        "users": accounts.iter().map(|user| users::view(user)).collect::<Vec<_>>(),
        "vhosts": vhosts.iter().map(vhosts::definition).collect::<Vec<_>>(),
        "permissions": accounts.iter().flat_map(|user| permissions::permissions(user)).collect::<Vec<_>>(),
        "topic_permissions": accounts.iter().flat_map(|user| permissions::topic_permissions(user)).collect::<Vec<_>>(),
        "parameters": others.iter().map(parameters::view).collect::<Vec<_>>(),
        "global_parameters": global.iter().map(parameters::view_global).collect::<Vec<_>>(),
        "policies": policies.iter().map(policies::view).collect::<Vec<_>>(),
        "queues": inside.queues,
        "exchanges": inside.exchanges,
        "bindings": inside.bindings,
    })
}

/// What is in one virtual host, without its name, so that it can be taken into another.
pub(super) fn of_vhost(backend: &dyn Backend, vhost: &str) -> Value {
    let mut parameters = backend.administration().parameters();
    parameters.retain(|parameter| parameter.vhost == vhost);
    let (policies, others): (Vec<_>, Vec<_>) = parameters
        .into_iter()
        .partition(|parameter| parameter.component == POLICY);
    let mut inside = Inside::default();
    inside.add(backend, vhost, false);
    let without_vhost = |mut value: Value| {
        if let Value::Object(object) = &mut value {
            object.remove("vhost");
        }
        value
    };
    json!({
        "rabbit_version": RABBITMQ_VERSION,
        "rabbitmq_version": RABBITMQ_VERSION,
        "product_name": "Amphora",
        "product_version": env!("CARGO_PKG_VERSION"),
        "rabbitmq_definition_format": "single_virtual_host",
        "original_vhost_name": vhost,
        "explanation": format!("Definitions of virtual host '{vhost}'"),
        "parameters": others.iter().map(parameters::view).map(without_vhost).collect::<Vec<_>>(),
        "policies": policies.iter().map(policies::view).map(without_vhost).collect::<Vec<_>>(),
        "queues": inside.queues,
        "exchanges": inside.exchanges,
        "bindings": inside.bindings,
    })
}

/// What is in virtual hosts.
#[derive(Default)]
struct Inside {
    queues: Vec<Value>,
    exchanges: Vec<Value>,
    bindings: Vec<Value>,
}

impl Inside {
    fn add(&mut self, backend: &dyn Backend, vhost: &str, with_name: bool) {
        let named = |mut value: Value| {
            if with_name {
                value["vhost"] = vhost.into();
            }
            value
        };
        let lasting =
            |queue: &QueueSnapshot| queue.owner.is_none() && !queue.name.starts_with(OWN_QUEUES);
        let mut queues = backend.queues(vhost);
        queues.retain(lasting);
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        let known: HashSet<&QueueName> = queues.iter().map(|queue| &queue.name).collect();
        let mut exchanges = backend.exchanges(vhost);
        exchanges
            .retain(|exchange| !exchange.name.is_empty() && !exchange.name.starts_with(RESERVED));
        exchanges.sort_by(|a, b| a.name.cmp(&b.name));
        self.exchanges.extend(exchanges.iter().map(|exchange| {
            named(json!({
                "name": exchange.name.as_str(),
                "type": exchange.kind,
                "durable": exchange.durable,
                "auto_delete": exchange.auto_delete,
                "internal": exchange.internal,
                "arguments": json::from_table(&exchange.arguments),
            }))
        }));
        for binding in backend.bindings(vhost, &BindingFilter::default()) {
            let leads_on = match &binding.destination {
                Destination::Queue(name) => known.contains(name),
                Destination::Exchange(_) => true,
            };
            if binding.source.is_empty() || !leads_on {
                continue;
            }
            self.bindings.push(named(json!({
                "source": binding.source.as_str(),
                "destination": binding.destination.name(),
                "destination_type": binding.destination.kind(),
                "routing_key": binding.routing_key.as_str(),
                "arguments": json::from_table(&binding.arguments),
            })));
        }
        self.queues.extend(queues.iter().map(|queue| {
            let queue_type = queue.arguments.get("x-queue-type");
            let queue_type = queue_type.and_then(|value| value.as_str());
            named(json!({
                "name": queue.name.as_str(),
                "type": queue_type.unwrap_or("classic"),
                "durable": queue.durable,
                "auto_delete": queue.auto_delete,
                "arguments": json::from_table(&queue.arguments),
            }))
        }));
    }
}
