//! Consumers: `/api/consumers`.

use axum::extract::Path;
use axum::response::Response;
use serde_json::{Value, json};

use super::caller::Caller;
use super::json;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::ConsumerSnapshot;

const ORDER: &[&str] = &["queue.vhost", "queue.name", "consumer_tag"];

pub(super) fn routes() -> Routes {
    Routes::of("Consumers")
        .get("/consumers", list_all, "All consumers.")
        .get(
            "/consumers/{vhost}",
            list,
            "The consumers in a virtual host.",
        )
}

async fn list_all(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    let vhosts = caller.vhosts();
    let consumers = vhosts.iter().flat_map(|vhost| consumers(&caller, vhost));
    listing.list(
        consumers.map(|consumer| view(&caller, &consumer)).collect(),
        ORDER,
    )
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.enter(&vhost)?;
    let consumers = consumers(&caller, &vhost);
    listing.list(
        consumers
            .iter()
            .map(|consumer| view(&caller, consumer))
            .collect(),
        ORDER,
    )
}

fn consumers(caller: &Caller, vhost: &str) -> Vec<ConsumerSnapshot> {
    let mut consumers = caller.backend().consumers(vhost);
    consumers.retain(|consumer| caller.may_see(&consumer.user, &consumer.vhost));
    consumers
}

/// A consumer, also as a detail of its queue or channel.
pub(super) fn view(caller: &Caller, consumer: &ConsumerSnapshot) -> Value {
    let connection = &consumer.connection;
    json!({
        "queue": { "name": consumer.queue.as_str(), "vhost": consumer.vhost.as_str() },
        "consumer_tag": consumer.tag.as_str(),
        "ack_required": consumer.ack_required,
        "exclusive": consumer.exclusive,
        "active": consumer.active,
        "activity_status": if consumer.active { "up" } else { "waiting" },
        "prefetch_count": consumer.prefetch_count,
        "arguments": json::from_table(&consumer.arguments),
        "channel_details": {
            "name": connection.channel_name(consumer.channel),
            "number": consumer.channel.0,
            "connection_name": &*connection.name,
            "node": caller.about().node,
            "peer_host": connection.peer.ip(),
            "peer_port": connection.peer.port(),
            "user": &*consumer.user,
        },
    })
}
