//! Users and their permissions, to look at: `/api/whoami`, `/api/users`, `/api/permissions`.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::Api;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use crate::auth::User;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/whoami", get(whoami))
        .route("/users", get(list))
        .route("/users/{name}", get(show))
        .route("/users/{name}/permissions", get(list_permissions_of))
        .route("/permissions", get(list_permissions))
        .route("/permissions/{vhost}/{user}", get(show_permission))
}

async fn whoami(caller: Caller, listing: Listing) -> Response {
    let identity = caller.identity();
    listing.one(
        json!({ "name": &**identity.user(), "tags": identity.tags(), "is_internal_user": true }),
    )
}

async fn list(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    caller.must_administrate()?;
    listing.list(
        caller.users().all().iter().map(|user| view(user)).collect(),
        &["name"],
    )
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(&name).ok_or_else(Refused::not_found)?;
    Ok(listing.one(view(&user)))
}

async fn list_permissions(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let users = caller.users().all();
    listing.list(
        users.iter().flat_map(|user| permissions(user)).collect(),
        &["vhost", "user"],
    )
}

async fn list_permissions_of(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(&name).ok_or_else(Refused::not_found)?;
    listing.list(permissions(&user), &["vhost"])
}

async fn show_permission(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(&name).ok_or_else(Refused::not_found)?;
    let shown = permissions(&user)
        .into_iter()
        .find(|shown| shown["vhost"] == vhost);
    Ok(listing.one(shown.ok_or_else(Refused::not_found)?))
}

/// A user's permissions, one object per virtual host.
pub(super) fn permissions(user: &User) -> Vec<Value> {
    let view = |(vhost, granted): (&String, &std::sync::Arc<crate::auth::Permissions>)| {
        json!({
            "user": &*user.name,
            "vhost": vhost,
            "configure": granted.configure.as_str(),
            "write": granted.write.as_str(),
            "read": granted.read.as_str(),
        })
    };
    user.permissions.iter().map(view).collect()
}

fn view(user: &User) -> Value {
    json!({
        "name": &*user.name,
        "password_hash": user.password_hash().map(ToString::to_string).unwrap_or_default(),
        "hashing_algorithm": user.password_hash().map(crate::auth::PasswordHash::algorithm),
        "tags": user.tags,
        "limits": {},
    })
}
