//! Which broker it is: what RabbitMQ's dashboards find it by, and join all other figures with.

use super::exposition::{Exposition, Kind};
use crate::management::Api;
use crate::management::cluster::cluster_name;
use crate::management::overview::RABBITMQ_VERSION;

/// Versions, and the node. Dashboards choose one of the endpoints, so that what several of them have is not shown twice.
pub(super) fn of(api: &Api, endpoint: &str) -> Exposition {
    let mut metrics = Exposition::new("rabbitmq_");
    let info = [
        ("rabbitmq_version", RABBITMQ_VERSION),
        ("product_name", "Amphora"),
        ("product_version", env!("CARGO_PKG_VERSION")),
    ];
    metrics
        .family("build_info", Kind::Gauge, "Versions")
        .sample(&info, 1);
    let node = api.about().node.as_str();
    let cluster = cluster_name(api.backend(), api.about());
    let identity = [
        ("rabbitmq_node", node),
        ("rabbitmq_cluster", &cluster),
        ("rabbitmq_cluster_permanent_id", node),
        ("rabbitmq_endpoint", endpoint),
    ];
    metrics
        .family("identity_info", Kind::Gauge, "The node and its cluster")
        .sample(&identity, 1);
    metrics
}
