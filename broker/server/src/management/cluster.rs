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

/// The global parameter that holds the cluster's name.
const CLUSTER_NAME: &str = "cluster_name";

pub(super) fn routes() -> Routes {
    Routes::of("Cluster")
        .get("/cluster-name", name, "The name of the cluster.")
        .put("/cluster-name", rename, "Renames the cluster.")
        .with([required("name", Kind::Text)])
        .get(
            "/feature-flags",
            nothing,
            "Feature flags: none, everything is there.",
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

/// Every feature is there from the first version on, and none is on its way out.
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
    let used = caller.backend().node().memory_used;
    Ok(listing.one(json!({
        "memory": {
            "strategy": "rss",
            "total": { "rss": used, "allocated": used, "erlang": used },
        },
    })))
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
