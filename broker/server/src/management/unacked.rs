//! What consumers hold of a queue: `/api/queues/VHOST/NAME/unacked`.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Path;
use axum::response::Response;
use serde_json::{Value, json};

use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::UnackedSnapshot;

const ORDER: &[&str] = &["position"];

pub(super) fn routes() -> Routes {
    Routes::of("Queues").get(
        "/queues/{vhost}/{name}/unacked",
        list,
        "What consumers hold of a queue.",
    )
}

async fn list(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.enter(&vhost)?;
    let unacked = caller
        .backend()
        .unacked(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    listing.list(unacked.iter().map(view).collect(), ORDER)
}

fn view(unacked: &UnackedSnapshot) -> Value {
    let since = UNIX_EPOCH + unacked.since;
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    json!({
        "position": unacked.position,
        "delivery_tag": unacked.delivery_tag,
        // basic.get has none.
        "consumer_tag": unacked.consumer_tag.as_deref().unwrap_or_default(),
        "channel_name": unacked.connection.channel_name(unacked.channel),
        "unacked_for_seconds": age.as_secs(),
        "unacked_since": super::stats::timestamp(since),
    })
}
