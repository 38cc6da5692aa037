//! What tools ask of a RabbitMQ cluster, answered for one node: its name, its features.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::About;
use super::answer::{Many, One};
use super::backend::Backend;
use super::body::Fields;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, required};

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

/// The cluster, of which the broker is the one node.
#[derive(Serialize, JsonSchema)]
struct ClusterName {
    name: String,
}

/// A feature flag of RabbitMQ's.
#[derive(Serialize, JsonSchema)]
struct FeatureFlag {
    name: &'static str,
    desc: &'static str,
    doc_url: &'static str,
    /// `enabled`.
    state: &'static str,
    /// `stable`.
    stability: &'static str,
    provided_by: &'static str,
}

/// A feature that is on its way out.
#[derive(Serialize, JsonSchema)]
struct DeprecatedFeature {
    name: String,
}

/// How users log in.
#[derive(Serialize, JsonSchema)]
struct Auth {
    /// By a token of somebody else's: they cannot.
    oauth_enabled: bool,
}

/// The name that the cluster was given, or the node's.
pub(super) fn cluster_name(backend: &dyn Backend, about: &About) -> String {
    let parameters = backend.administration().global_parameters();
    let mut named = parameters.iter().filter(|(name, _)| name == CLUSTER_NAME);
    let named = named.find_map(|(_, name)| name.as_str());
    named.unwrap_or(&about.node).to_owned()
}

async fn name(caller: Caller, listing: Listing) -> One<ClusterName> {
    let name = cluster_name(caller.backend(), caller.about());
    listing.one(ClusterName { name })
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

async fn feature_flags(_: Caller, listing: Listing) -> Result<Many<FeatureFlag>, Refused> {
    let view = |&(name, desc): &(&'static str, &'static str)| FeatureFlag {
        name,
        desc,
        doc_url: "",
        state: "enabled",
        stability: "stable",
        provided_by: "amphora",
    };
    listing.list(FEATURE_FLAGS.iter().map(view), &["name"])
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
async fn nothing(_: Caller, listing: Listing) -> Result<Many<DeprecatedFeature>, Refused> {
    listing.list([], &["name"])
}

/// Users log in with a password, and nowhere else.
async fn auth(listing: Listing) -> One<Auth> {
    listing.one(Auth {
        oauth_enabled: false,
    })
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
