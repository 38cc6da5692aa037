//! From what there is to a file.

use amphora_protocol::wire::types::QueueName;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashSet;

use crate::auth::Users;
use crate::management::backend::{Backend, BindingFilter, POLICY, Parameter};
use crate::management::json::{Object, from_table};
use crate::management::overview::RABBITMQ_VERSION;
use crate::management::parameters::{self, GlobalParameter, ParameterView};
use crate::management::permissions::{Permission, TopicPermission, permissions, topic_permissions};
use crate::management::policies::{self, Policy};
use crate::management::snapshot::{Destination, QueueSnapshot};
use crate::management::users::{self, UserView};
use crate::management::vhosts;

/// Names that begin so are the broker's own: they come with it.
const RESERVED: &str = "amq.";
const OWN_QUEUES: &str = "amq.amphora.";

/// All definitions, or those of a virtual host, in RabbitMQ's format.
#[derive(Serialize, JsonSchema)]
pub(super) struct Definitions {
    rabbit_version: &'static str,
    rabbitmq_version: &'static str,
    product_name: &'static str,
    product_version: &'static str,
    /// `cluster` or `single_virtual_host`.
    rabbitmq_definition_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_cluster_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_vhost_name: Option<String>,
    explanation: String,
    #[serde(flatten)]
    accounts: Option<Accounts>,
    parameters: Vec<ParameterView>,
    policies: Vec<Policy>,
    #[serde(flatten)]
    inside: Inside,
}

/// What is in no virtual host.
#[derive(Serialize, JsonSchema)]
struct Accounts {
    users: Vec<UserView>,
    vhosts: Vec<vhosts::Definition>,
    permissions: Vec<Permission>,
    topic_permissions: Vec<TopicPermission>,
    global_parameters: Vec<GlobalParameter>,
}

/// What is in virtual hosts.
#[derive(Default, Serialize, JsonSchema)]
struct Inside {
    queues: Vec<Queue>,
    exchanges: Vec<Exchange>,
    bindings: Vec<Binding>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QueueDefinition")]
struct Queue {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
    auto_delete: bool,
    arguments: Object,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExchangeDefinition")]
struct Exchange {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: Object,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BindingDefinition")]
struct Binding {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    destination: String,
    destination_type: &'static str,
    routing_key: String,
    arguments: Object,
}

/// All users, virtual hosts, and what is in them, exclusive queues excepted.
pub(super) fn whole(backend: &dyn Backend, users: &Users, node: &str) -> Definitions {
    let accounts = users.all();
    let (policies, others) = parameters_of(backend, |_| true);
    let global = backend.administration().global_parameters();
    let vhosts = backend.vhosts();
    let mut inside = Inside::default();
    for vhost in &vhosts {
        inside.add(backend, &vhost.name, true);
    }
    let permissions = accounts.iter().flat_map(|user| permissions(user));
    let topics = accounts.iter().flat_map(|user| topic_permissions(user));
    Definitions {
        rabbitmq_definition_format: "cluster",
        original_cluster_name: Some(node.to_owned()),
        accounts: Some(Accounts {
            users: accounts.iter().map(|user| users::view(user)).collect(),
            vhosts: vhosts.iter().map(vhosts::definition).collect(),
            permissions: permissions.collect(),
            topic_permissions: topics.collect(),
            global_parameters: global.iter().map(parameters::view_global).collect(),
        }),
        parameters: others.iter().map(parameters::view).collect(),
        policies: policies.iter().map(policies::view).collect(),
        ..Definitions::with(inside, format!("Definitions of broker '{node}'"))
    }
}

/// What is in one virtual host, without its name, so that it can be taken into another.
pub(super) fn of_vhost(backend: &dyn Backend, vhost: &str) -> Definitions {
    let (policies, others) = parameters_of(backend, |parameter| parameter.vhost == vhost);
    let mut inside = Inside::default();
    inside.add(backend, vhost, false);
    let parameters = others
        .iter()
        .map(|parameter| parameters::view(parameter).without_vhost());
    let policies = policies
        .iter()
        .map(|policy| policies::view(policy).without_vhost());
    Definitions {
        rabbitmq_definition_format: "single_virtual_host",
        original_vhost_name: Some(vhost.to_owned()),
        parameters: parameters.collect(),
        policies: policies.collect(),
        ..Definitions::with(inside, format!("Definitions of virtual host '{vhost}'"))
    }
}

/// Policies, and other parameters.
fn parameters_of(
    backend: &dyn Backend,
    is_wanted: impl Fn(&Parameter) -> bool,
) -> (Vec<Parameter>, Vec<Parameter>) {
    let mut parameters = backend.administration().parameters();
    parameters.retain(is_wanted);
    let parameters = parameters.into_iter();
    parameters.partition(|parameter| parameter.component == POLICY)
}

impl Definitions {
    fn with(inside: Inside, explanation: String) -> Self {
        Self {
            rabbit_version: RABBITMQ_VERSION,
            rabbitmq_version: RABBITMQ_VERSION,
            product_name: "Amphora",
            product_version: env!("CARGO_PKG_VERSION"),
            rabbitmq_definition_format: "",
            original_cluster_name: None,
            original_vhost_name: None,
            explanation,
            accounts: None,
            parameters: Vec::new(),
            policies: Vec::new(),
            inside,
        }
    }
}

impl Inside {
    fn add(&mut self, backend: &dyn Backend, vhost: &str, with_name: bool) {
        let vhost_name = with_name.then(|| vhost.to_owned());
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
        self.exchanges
            .extend(exchanges.iter().map(|exchange| Exchange {
                name: exchange.name.to_string(),
                vhost: vhost_name.clone(),
                kind: exchange.kind.clone(),
                durable: exchange.durable,
                auto_delete: exchange.auto_delete,
                internal: exchange.internal,
                arguments: from_table(&exchange.arguments),
            }));
        let bindings = backend.bindings(vhost, &BindingFilter::default());
        let lasting = bindings.iter().filter(|binding| {
            let leads_on = match &binding.destination {
                Destination::Queue(name) => known.contains(name),
                Destination::Exchange(_) => true,
            };
            !binding.source.is_empty() && leads_on
        });
        self.bindings.extend(lasting.map(|binding| Binding {
            source: binding.source.to_string(),
            vhost: vhost_name.clone(),
            destination: binding.destination.name().to_owned(),
            destination_type: binding.destination.kind(),
            routing_key: binding.routing_key.to_string(),
            arguments: from_table(&binding.arguments),
        }));
        self.queues.extend(queues.iter().map(|queue| {
            let queue_type = queue.arguments.get("x-queue-type");
            let queue_type = queue_type.and_then(|value| value.as_str());
            Queue {
                name: queue.name.to_string(),
                vhost: vhost_name.clone(),
                kind: queue_type.unwrap_or("classic").to_owned(),
                durable: queue.durable,
                auto_delete: queue.auto_delete,
                arguments: from_table(&queue.arguments),
            }
        }));
    }
}
