//! The broker as a whole: `/api/overview`, `/api/nodes`, and what is asked before anything else.

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde_json::{Value, json};

use super::About;
use super::caller::Caller;
use super::cluster::cluster_name;
use super::health::alarms_in_effect;
use super::history::Of;
use super::listing::Listing;
use super::plugins;
use super::refused::Refused;
use super::routes::Routes;
use super::stats;

/// The version of RabbitMQ whose behaviour clients may count on; some of them look at it before they ask for more.
pub(super) const RABBITMQ_VERSION: &str = "3.13.7";

const EXCHANGE_TYPES: [(&str, &str); 10] = [
    (
        "direct",
        "AMQP direct exchange, as per the AMQP specification",
    ),
    (
        "fanout",
        "AMQP fanout exchange, as per the AMQP specification",
    ),
    (
        "headers",
        "AMQP headers exchange, as per the AMQP specification",
    ),
    (
        "topic",
        "AMQP topic exchange, as per the AMQP specification",
    ),
    (
        "x-consistent-hash",
        "Consistent hash exchange: one binding, by a hash and the bindings' weights",
    ),
    (
        "x-delayed-message",
        "Delayed message exchange: routes when a message's time has come",
    ),
    (
        "x-local-random",
        "Picks one random local binding (queue) to route via (to).",
    ),
    (
        "x-modulus-hash",
        "Modulus hash exchange: one binding, by a hash of the routing key",
    ),
    (
        "x-random",
        "Random exchange: one binding, each with the same chance",
    ),
    (
        "x-recent-history",
        "Recent history exchange: a fanout that gives its last messages to who is bound later",
    ),
];

const AUTH_MECHANISMS: [(&str, &str); 3] = [
    ("PLAIN", "SASL PLAIN authentication mechanism"),
    ("AMQPLAIN", "QPid AMQPLAIN mechanism"),
    ("EXTERNAL", "TLS client certificate"),
];

pub(super) fn routes() -> Routes {
    Routes::of("Overview")
        .get("/overview", overview, "The broker as a whole.")
        .get("/version", version, "The broker's version.")
        .get(
            "/extensions",
            extensions,
            "Extensions of the web pages: none.",
        )
        .get("/nodes", list_nodes, "All nodes.")
        .get("/nodes/{name}", show_node, "A node.")
}

async fn overview(caller: Caller, listing: Listing) -> Response {
    let about = caller.about();
    let overview = caller.backend().overview();
    let (totals, churn) = (&overview.totals, &overview.churn);
    let details = |of| caller.details(of, &listing);
    let messages = details(Of::Broker);
    listing.one(json!({
        "product_name": "Amphora",
        "product_version": env!("CARGO_PKG_VERSION"),
        "management_version": RABBITMQ_VERSION,
        "rabbitmq_version": RABBITMQ_VERSION,
        "cluster_name": cluster_name(&caller),
        "node": about.node,
        "durability": about.durability.to_string(),
        "alarms": alarms_in_effect(&caller),
        "rates_mode": "basic",
        "sample_retention_policies": {
            "global": [600, 3600, 86_400],
            "basic": [600, 3600, 86_400],
            "detailed": [600, 3600, 86_400],
        },
        "disable_stats": false,
        "enable_queue_totals": false,
        "statistics_db_event_queue": 0,
        "default_queue_type": "classic",
        "exchange_types": exchange_types(&caller),
        "listeners": listeners(about),
        "contexts": contexts(about),
        "message_stats": stats::message_stats(&overview.message_stats, &messages),
        "queue_totals": stats::message_counts(&overview.messages, &messages),
        "object_totals": details(Of::Objects).beside(json!({
            "connections": totals.connections,
            "channels": totals.channels,
            "consumers": totals.consumers,
            "exchanges": totals.exchanges,
            "queues": totals.queues,
        })),
        "churn_rates": details(Of::Churn).beside(json!({
            "connection_created": churn.connections_opened,
            "connection_closed": churn.connections_closed,
            "channel_created": churn.channels_opened,
            "channel_closed": churn.channels_closed,
            "queue_declared": churn.queues_declared,
            "queue_created": churn.queues_created,
            "queue_deleted": churn.queues_deleted,
        })),
    }))
}

async fn version(_: Caller) -> Json<Value> {
    Json(env!("CARGO_PKG_VERSION").into())
}

async fn extensions(_: Caller) -> Json<Value> {
    Json(json!([]))
}

async fn list_nodes(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    caller.must_monitor()?;
    listing.list(vec![node(&caller, &listing)], &["name"])
}

async fn show_node(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_monitor()?;
    if name != caller.about().node {
        return Err(Refused::not_found());
    }
    Ok(listing.one(node(&caller, &listing)))
}

fn node(caller: &Caller, listing: &Listing) -> Value {
    let about = caller.about();
    let node = caller.backend().node();
    let machine = json!({
        "name": about.node,
        "type": "disc",
        "running": true,
        "being_drained": false,
        "partitions": [],
        "os_pid": std::process::id().to_string(),
        "uptime": u64::try_from(node.uptime.as_millis()).unwrap_or(u64::MAX),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "mem_used": node.memory_used,
        "mem_limit": node.memory_mark,
        "mem_alarm": node.memory_alarm,
        "disk_free": node.disk_free,
        "disk_free_limit": node.disk_free_limit,
        "disk_free_alarm": node.disk_alarm,
        "sockets_used": node.sockets_used,
        "fd_used": stats::open_files(),
        "fd_total": rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        "rates_mode": "basic",
        "applications": [{ "name": "amphora", "description": "Amphora", "version": env!("CARGO_PKG_VERSION") }],
        "enabled_plugins": [],
        "exchange_types": exchange_types(caller),
        "auth_mechanisms": named(&AUTH_MECHANISMS),
        "contexts": contexts(about),
    });
    caller.details(Of::Node, listing).beside(machine)
}

/// Those that need no plugin, then those of plugins.
fn exchange_types(caller: &Caller) -> Value {
    let mut types = named(&EXCHANGE_TYPES);
    types.extend(plugins::exchange_types(caller));
    Value::Array(types)
}

fn named(items: &[(&str, &str)]) -> Vec<Value> {
    let view = |(name, description): &(&str, &str)| json!({ "name": name, "description": description, "enabled": true });
    items.iter().map(view).collect()
}

fn listeners(about: &About) -> Value {
    let view = |listener: &super::Listener| {
        json!({
            "node": about.node,
            "protocol": listener.protocol,
            "ip_address": listener.address.ip(),
            "port": listener.address.port(),
            "socket_opts": {},
        })
    };
    about.listeners.iter().map(view).collect()
}

fn contexts(about: &About) -> Value {
    let http = about
        .listeners
        .iter()
        .filter(|listener| listener.protocol == "http");
    let view = |listener: &super::Listener| {
        json!({
            "node": about.node,
            "description": "Amphora Management",
            "path": "/",
            "ip": listener.address.ip(),
            "port": listener.address.port().to_string(),
            "ssl_opts": [],
        })
    };
    http.map(view).collect()
}
