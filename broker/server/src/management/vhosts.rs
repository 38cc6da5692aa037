//! Virtual hosts: `/api/vhosts`.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::Api;
use super::body::Fields;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::snapshot::VhostSnapshot;
use super::stats;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/vhosts", get(list))
        .route("/vhosts/{vhost}", get(show).put(change))
        .route("/vhosts/{vhost}/permissions", get(list_permissions))
}

async fn list(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    listing.list(
        open(&caller).map(|vhost| view(&caller, &vhost)).collect(),
        &["name"],
    )
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.enter(&name)?;
    let vhost = open(&caller).find(|vhost| vhost.name.as_str() == name);
    Ok(listing.one(view(&caller, &vhost.ok_or_else(Refused::not_found)?)))
}

/// The firehose is all of a virtual host that can be changed.
async fn change(
    caller: Caller,
    Path(name): Path<String>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let on = body.flag("tracing")?;
    if caller.backend().trace(&name, on) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused::not_found())
    }
}

async fn list_permissions(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let users = caller.users().all();
    let inside = users
        .iter()
        .flat_map(|user| super::users::permissions(user))
        .filter(|shown| shown["vhost"] == name);
    listing.list(inside.collect(), &["user"])
}

fn open(caller: &Caller) -> impl Iterator<Item = VhostSnapshot> {
    let vhosts = caller.backend().vhosts().into_iter();
    vhosts.filter(|vhost| caller.may_enter(&vhost.name))
}

fn view(caller: &Caller, vhost: &VhostSnapshot) -> Value {
    let mut columns = stats::columns(json!({
        "name": vhost.name.as_str(),
        "description": vhost.description,
        "tags": [],
        "metadata": { "description": vhost.description, "tags": [] },
        "default_queue_type": "classic",
        "tracing": vhost.tracing,
        "cluster_state": { caller.about().node.as_str(): "running" },
    }));
    columns.extend(stats::message_counts(&vhost.messages));
    Value::Object(columns)
}
