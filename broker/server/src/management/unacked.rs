//! What consumers hold of a queue: `/api/queues/VHOST/NAME/unacked`.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Many;
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
) -> Result<Many<Unacked>, Refused> {
    caller.enter(&vhost)?;
    let unacked = caller
        .backend()
        .unacked(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    listing.list(unacked.iter().map(view), ORDER)
}

/// A delivery that waits for its acknowledgement.
#[derive(Serialize, JsonSchema)]
struct Unacked {
    /// Where the message is in its queue.
    position: u64,
    /// The delivery's tag on its channel.
    delivery_tag: u64,
    /// The consumer; empty for basic.get.
    consumer_tag: String,
    channel_name: String,
    unacked_for_seconds: u64,
    unacked_since: String,
}

fn view(unacked: &UnackedSnapshot) -> Unacked {
    let since = UNIX_EPOCH + unacked.since;
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    let tag = unacked.consumer_tag.as_deref().unwrap_or_default();
    Unacked {
        position: unacked.position,
        delivery_tag: unacked.delivery_tag,
        consumer_tag: tag.to_owned(),
        channel_name: unacked.connection.channel_name(unacked.channel),
        unacked_for_seconds: age.as_secs(),
        unacked_since: super::stats::timestamp(since),
    }
}
