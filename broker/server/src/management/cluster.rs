//! What tools ask of a RabbitMQ cluster, answered for one node: its name, its features, its memory.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::body::Fields;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, required};
use super::stats;

/// The global parameter that holds the cluster's name.
const CLUSTER_NAME: &str = "cluster_name";

/// What tools ask for before they use it.
const FEATURE_FLAGS: [(&str, &str); 9] = [
    (
        "detailed_queues_endpoint",
        "Queues are listed at /api/queues/detailed, too",
    ),
    (
        "drop_unroutable_metric",
        "Messages that reach no queue and are dropped are counted",
    ),
    (
        "empty_basic_get_metric",
        "Fetches that find nothing are counted",
    ),
    (
        "implicit_default_bindings",
        "The default exchange's bindings are not stored",
    ),
    ("quorum_queue", "Queues of type quorum can be declared"),
    ("stream_filtering", "Streams filter what consumers get"),
    ("stream_queue", "Queues of type stream can be declared"),
    (
        "user_limits",
        "Users have limits of connections and channels",
    ),
    (
        "virtual_host_metadata",
        "Virtual hosts have a description, tags and a default type of queues",
    ),
];

pub(super) fn routes() -> Routes {
    Routes::of("Cluster")
        .get("/cluster-name", name, "The name of the cluster.")
        .put("/cluster-name", rename, "Renames the cluster.")
        .with([required("name", Kind::Text)])
        .get(
            "/feature-flags",
            feature_flags,
            "RabbitMQ's feature flags that mean something here: all of them are enabled.",
        )
        .put(
            "/feature-flags/{name}/enable",
            enable_feature_flag,
            "Enables a feature flag: all that there are already are.",
        )
        .post(
            "/rebalance/queues",
            rebalance,
            "Spreads queues over nodes, of which there is one.",
        )
        .get(
            "/deprecated-features",
            nothing,
            "Deprecated features: none.",
        )
        .get(
            "/deprecated-features/used",
            nothing,
            "Deprecated features that are used: none.",
        )
        .get(
            "/nodes/{name}/memory",
            memory,
            "What a node's memory is used for.",
        )
        .get("/auth", auth, "How users log in.")
        .delete(
            "/reset",
            reset,
            "Resets figures, of which there are none to reset.",
        )
        .delete(
            "/reset/{node}",
            reset_node,
            "Resets the figures of a node, likewise.",
        )
}

/// The name that the cluster was given, or the node's.
pub(super) fn cluster_name(caller: &Caller) -> Value {
    let parameters = caller.administration().global_parameters();
    let named = parameters
        .into_iter()
        .find(|(name, _)| name == CLUSTER_NAME);
    named.map_or_else(|| caller.about().node.as_str().into(), |(_, name)| name)
}

async fn name(caller: Caller, listing: Listing) -> Response {
    listing.one(json!({ "name": cluster_name(&caller) }))
}

async fn rename(caller: Caller, body: Fields) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    body.require(&["name"])?;
    let name = body.text("name")?.map(Value::from);
    let administration = caller.administration();
    administration
        .set_global_parameter(caller.identity(), CLUSTER_NAME, name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn feature_flags(_: Caller, listing: Listing) -> Result<Response, Refused> {
    let view = |(name, about): &(&str, &str)| {
        json!({
            "name": name,
            "desc": about,
            "doc_url": "",
            "state": "enabled",
            "stability": "stable",
            "provided_by": "amphora",
        })
    };
    listing.list(FEATURE_FLAGS.iter().map(view).collect(), &["name"])
}

async fn enable_feature_flag(
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    if FEATURE_FLAGS.iter().any(|(known, _)| *known == name) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused::bad_request("unsupported"))
    }
}

async fn rebalance(caller: Caller) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    Ok(StatusCode::NO_CONTENT)
}

/// No feature is on its way out.
async fn nothing(_: Caller, listing: Listing) -> Result<Response, Refused> {
    listing.list(Vec::new(), &["name"])
}

async fn memory(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_monitor()?;
    if name != caller.about().node {
        return Err(Refused::not_found());
    }
    Ok(listing.one(json!({ "memory": breakdown(&caller) })))
}

/// RabbitMQ's shares, of which many are nothing here.
fn breakdown(caller: &Caller) -> Value {
    let node = caller.backend().node();
    let plugins = caller.backend().plugins().all();
    let of_plugins: u64 = plugins.iter().map(|plugin| plugin.memory).sum();
    let allocated = node.allocator.allocated.max(node.memory_of_messages);
    let unused = node
        .allocator
        .resident
        .saturating_sub(node.allocator.allocated);
    let told = node.memory_of_messages + of_plugins + unused;
    let mut shares = stats::columns(json!({
        "strategy": "rss",
        "total": { "rss": node.memory_used, "allocated": allocated, "erlang": allocated },
        "queue_procs": node.memory_of_messages,
        "plugins": of_plugins,
        "allocated_unused": unused,
        "reserved_unallocated": 0,
        "other_system": node.memory_used.saturating_sub(told),
    }));
    for absent in [
        "connection_readers",
        "connection_writers",
        "connection_channels",
        "connection_other",
        "quorum_queue_procs",
        "quorum_queue_dlx_procs",
        "stream_queue_procs",
        "stream_queue_replica_reader_procs",
        "stream_queue_coordinator_procs",
        "metadata_store",
        "other_proc",
        "metrics",
        "mgmt_db",
        "mnesia",
        "quorum_ets",
        "metadata_store_ets",
        "other_ets",
        "binary",
        "msg_index",
        "code",
        "atom",
    ] {
        shares.insert(absent.to_owned(), 0.into());
    }
    Value::Object(shares)
}

/// Users log in with a password, and nowhere else.
async fn auth(listing: Listing) -> Response {
    listing.one(json!({ "oauth_enabled": false }))
}

/// There is no database of statistics that could be emptied: figures are counted from the start of the broker on.
async fn reset(caller: Caller) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset_node(caller: Caller, Path(node): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    if node == caller.about().node {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused::not_found())
    }
}
