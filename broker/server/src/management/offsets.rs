//! Where the consumers of a stream go on: `/api/queues/VHOST/NAME/offsets`.

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Many;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::of("Queues").get(
        "/queues/{vhost}/{name}/offsets",
        list,
        "The consumers that a stream remembers, by their tags, and the offset that each gets next.",
    )
}

/// A consumer that a stream remembers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrackedOffset")]
struct Tracked {
    consumer_tag: String,
    /// What it gets next.
    next_offset: u64,
}

async fn list(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Many<Tracked>, Refused> {
    caller.enter(&vhost)?;
    let offsets = caller.backend().stream_offsets(&vhost, &name);
    let offsets = offsets.ok_or_else(Refused::not_found)?.into_iter();
    let views = offsets.map(|(consumer_tag, next_offset)| Tracked {
        consumer_tag,
        next_offset,
    });
    listing.list(views, &["consumer_tag"])
}
