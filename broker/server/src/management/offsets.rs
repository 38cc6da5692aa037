//! Where the consumers of a stream go on: `/api/queues/VHOST/NAME/offsets`.

use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

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

async fn list(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.enter(&vhost)?;
    let offsets = caller.backend().stream_offsets(&vhost, &name);
    let offsets = offsets.ok_or_else(Refused::not_found)?.into_iter();
    let views = offsets.map(|(tag, next)| json!({ "consumer_tag": tag, "next_offset": next }));
    listing.list(views.collect(), &["consumer_tag"])
}
