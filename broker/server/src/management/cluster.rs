//! What tools ask of a RabbitMQ cluster, answered for one node: its name, its features, its memory.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get};
use serde_json::{Value, json};

use super::Api;
use super::body::Fields;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;

/// The global parameter that holds the cluster's name.
const CLUSTER_NAME: &str = "cluster_name";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/cluster-name", get(name).put(rename))
        .route("/feature-flags", get(nothing))
        .route("/deprecated-features", get(nothing))
        .route("/deprecated-features/used", get(nothing))
        .route("/nodes/{name}/memory", get(memory))
        .route("/auth", get(auth))
        .route("/reset", delete(reset))
        .route("/reset/{node}", delete(reset_node))
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
