//! Users: `/api/whoami`, `/api/users`.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Many, One};
use super::backend::{NewCredential, Put, PutUser};
use super::body::Fields;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional, required};
use crate::auth::{PasswordHash, User, UserLimits};

/// What RabbitMQ says of a user without a password.
const DEFAULT_ALGORITHM: &str = "rabbit_password_hashing_sha256";

pub(super) fn routes() -> Routes {
    Routes::of("Users")
        .get("/whoami", whoami, "Who asks.")
        .get("/users", list, "All users.")
        .get(
            "/users/without-permissions",
            list_without_permissions,
            "Users who may enter no virtual host.",
        )
        .post(
            "/users/bulk-delete",
            remove_several,
            "Deletes several users.",
        )
        .with([required("users", Kind::Any)])
        .get("/users/{name}", show, "A user.")
        .put("/users/{name}", put, "Adds or changes a user.")
        .with([
            optional("password", Kind::Text),
            optional("password_hash", Kind::Text),
            optional("hashing_algorithm", Kind::Text),
            required("tags", Kind::Any),
        ])
        .delete("/users/{name}", remove, "Deletes a user.")
        .get(
            "/auth/hash_password/{password}",
            hash_password,
            "The hash of a password, to be kept in definitions.",
        )
}

/// Who asks.
#[derive(Serialize, JsonSchema)]
struct Whoami {
    name: String,
    tags: Vec<String>,
    /// The broker keeps the user itself.
    is_internal_user: bool,
}

/// A hash of a password.
#[derive(Serialize, JsonSchema)]
struct Hashed {
    ok: String,
}

/// A user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(super) struct UserView {
    name: String,
    /// Empty for a user without a password.
    password_hash: String,
    hashing_algorithm: &'static str,
    tags: Vec<String>,
    limits: UserLimits,
}

async fn whoami(caller: Caller, listing: Listing) -> One<Whoami> {
    let identity = caller.identity();
    listing.one(Whoami {
        name: identity.user().to_string(),
        tags: identity.tags().to_vec(),
        is_internal_user: true,
    })
}

async fn list(caller: Caller, listing: Listing) -> Result<Many<UserView>, Refused> {
    caller.must_administrate()?;
    let users = caller.users().all();
    listing.list(users.iter().map(|user| view(user)), &["name"])
}

async fn list_without_permissions(
    caller: Caller,
    listing: Listing,
) -> Result<Many<UserView>, Refused> {
    caller.must_administrate()?;
    let users = caller.users().all();
    let shut_out = users
        .iter()
        .filter(|user| user.account().permissions.is_empty());
    listing.list(shut_out.map(|user| view(user)), &["name"])
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<UserView>, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(&name).ok_or_else(Refused::not_found)?;
    Ok(listing.one(view(&user)))
}

async fn put(
    caller: Caller,
    Path(name): Path<String>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let command = put_user(&body)?;
    let administration = caller.administration();
    let put = administration.put_user(caller.identity(), &name, command);
    Ok(status(put.await?))
}

async fn remove(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    caller.users().find(&name).ok_or_else(Refused::not_found)?;
    let administration = caller.administration();
    administration
        .delete_users(caller.identity(), &[name])
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_several(caller: Caller, body: Fields) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    body.require(&["users"])?;
    let names = body.texts("users")?.unwrap_or_default();
    let administration = caller.administration();
    administration
        .delete_users(caller.identity(), &names)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn hash_password(
    caller: Caller,
    Path(password): Path<String>,
    listing: Listing,
) -> Result<One<Hashed>, Refused> {
    let hash = caller.users().hash(&password).await;
    let hash = hash.map_err(|error| Refused::unavailable(error.to_string()))?;
    let ok = hash.to_string();
    Ok(listing.one(Hashed { ok }))
}

/// 201 for what is new, 204 for what was there.
pub(super) fn status(put: Put) -> StatusCode {
    match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::NO_CONTENT,
    }
}

/// The user that a body describes.
pub(super) fn put_user(body: &Fields) -> Result<PutUser, Refused> {
    let tags = body.texts("tags")?;
    let tags = tags.ok_or_else(|| Refused::bad_request("tags_not_present"))?;
    let credential = match (body.text("password")?, body.text("password_hash")?) {
        (Some(_), Some(_)) => {
            let reason = "both_password_and_password_hash_are_provided";
            return Err(Refused::bad_request(reason));
        }
        (Some(password), None) => Some(NewCredential::Password(password.to_owned())),
        (None, None | Some("")) => None,
        (None, Some(hash)) => {
            let invalid = |error: crate::auth::UnknownHash| {
                Refused::bad_request(format!("password_hash: {error}"))
            };
            let hash = PasswordHash::parse(hash).map_err(invalid)?;
            Some(NewCredential::Hash(hash))
        }
    };
    Ok(PutUser {
        credential,
        tags,
        limits: body.object("limits")?,
    })
}

pub(super) fn view(user: &User) -> UserView {
    let account = user.account();
    let hash = account.password_hash();
    UserView {
        name: user.name.to_string(),
        password_hash: hash.map(ToString::to_string).unwrap_or_default(),
        hashing_algorithm: hash.map_or(DEFAULT_ALGORITHM, PasswordHash::algorithm),
        tags: account.tags.to_vec(),
        limits: account.limits,
    }
}
