//! How much virtual hosts and users may have: `/api/vhost-limits`, `/api/user-limits`.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::Many;
use super::backend::{LIMITS, Parameter, VHOST_LIMITS};
use super::body::Fields;
use super::caller::Caller;
use super::json::Object;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, required};
use crate::auth::{User, UserLimits};

pub(super) fn routes() -> Routes {
    Routes::of("Limits")
        .get("/vhost-limits", list, "The limits of all virtual hosts.")
        .get(
            "/vhost-limits/{vhost}",
            show,
            "The limits of a virtual host.",
        )
        .put(
            "/vhost-limits/{vhost}/{name}",
            set,
            "Sets a limit of a virtual host: `max-connections` or `max-queues`.",
        )
        .with([required("value", Kind::Count)])
        .delete(
            "/vhost-limits/{vhost}/{name}",
            clear,
            "Removes a limit of a virtual host.",
        )
        .get("/user-limits", list_users, "The limits of all users.")
        .get("/user-limits/{user}", show_user, "The limits of a user.")
        .put(
            "/user-limits/{user}/{name}",
            set_user,
            "Sets a limit of a user: `max-connections` or `max-channels`.",
        )
        .with([required("value", Kind::Count)])
        .delete(
            "/user-limits/{user}/{name}",
            clear_user,
            "Removes a limit of a user.",
        )
}

async fn list(caller: Caller, listing: Listing) -> Result<Many<VhostLimits>, Refused> {
    let all = caller.identity().may_monitor();
    let limits = limits(&caller).filter(|limits| all || caller.may_enter(&limits.vhost));
    listing.list(limits.map(|limits| view(&limits)), &["vhost"])
}

async fn show(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<VhostLimits>, Refused> {
    must_exist(&caller, &vhost)?;
    if !caller.identity().may_monitor() {
        caller.enter(&vhost)?;
    }
    let limits = limits(&caller).filter(|limits| limits.vhost == vhost);
    listing.list(limits.map(|limits| view(&limits)), &["vhost"])
}

async fn set(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    body.require(&["value"])?;
    let mut value = current(&caller, &vhost);
    value.insert(name, body.value("value").cloned().unwrap_or_default());
    store(&caller, &vhost, value).await
}

/// What a user may have.
const USER_LIMITS: [&str; 2] = ["max-connections", "max-channels"];

/// A limit that is not set is not set afterwards, either.
async fn clear(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    must_exist(&caller, &vhost)?;
    let mut value = current(&caller, &vhost);
    if value.remove(&name).is_none() {
        return Ok(StatusCode::NO_CONTENT);
    }
    if !value.is_empty() {
        return store(&caller, &vhost, value).await;
    }
    let administration = caller.administration();
    administration
        .delete_parameter(caller.identity(), VHOST_LIMITS, &vhost, LIMITS)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn store(
    caller: &Caller,
    vhost: &str,
    value: Map<String, Value>,
) -> Result<StatusCode, Refused> {
    let parameter = Parameter {
        component: VHOST_LIMITS.to_owned(),
        vhost: vhost.to_owned(),
        name: LIMITS.to_owned(),
        value: Value::Object(value),
    };
    let administration = caller.administration();
    administration
        .put_parameter(caller.identity(), parameter)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn must_exist(caller: &Caller, vhost: &str) -> Result<(), Refused> {
    let names = caller.backend().vhost_names();
    if names.iter().any(|name| name.as_str() == vhost) {
        Ok(())
    } else {
        Err(Refused::not_found())
    }
}

fn limits(caller: &Caller) -> impl Iterator<Item = Parameter> {
    let parameters = caller.administration().parameters().into_iter();
    parameters.filter(|parameter| parameter.component == VHOST_LIMITS)
}

fn current(caller: &Caller, vhost: &str) -> Map<String, Value> {
    let found = limits(caller).find(|limits| limits.vhost == vhost);
    match found.map(|limits| limits.value) {
        Some(Value::Object(value)) => value,
        _ => Map::new(),
    }
}

/// What a virtual host may have.
#[derive(Serialize, JsonSchema)]
struct VhostLimits {
    vhost: String,
    /// `max-connections` and `max-queues`.
    #[schemars(with = "Object")]
    value: Value,
}

/// What a user may have.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LimitsOfUser")]
struct LimitedUser {
    user: String,
    value: UserLimits,
}

fn view(limits: &Parameter) -> VhostLimits {
    VhostLimits {
        vhost: limits.vhost.clone(),
        value: limits.value.clone(),
    }
}

async fn list_users(caller: Caller, listing: Listing) -> Result<Many<LimitedUser>, Refused> {
    let all = caller.identity().may_monitor();
    let own = caller.identity().user();
    let users = caller.users().all();
    let shown = users.iter().filter(|user| all || user.name == *own);
    listing.list(shown.filter_map(|user| view_user(user)), &["user"])
}

async fn show_user(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Many<LimitedUser>, Refused> {
    if **caller.identity().user() != *name {
        caller.must_monitor()?;
    }
    let user = caller.users().find(&name).ok_or_else(Refused::not_found)?;
    listing.list(view_user(&user), &["user"])
}

async fn set_user(
    caller: Caller,
    Path((user, name)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    body.require(&["value"])?;
    let value = body.value("value").cloned().unwrap_or_default();
    if value.is_null() {
        let text = format!("{name} should be a number, actually was null");
        return Err(Refused::bad_request(text));
    }
    change_user(&caller, &user, name, value).await
}

async fn clear_user(
    caller: Caller,
    Path((user, name)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    caller.users().find(&user).ok_or_else(Refused::not_found)?;
    if !USER_LIMITS.contains(&name.as_str()) {
        return Ok(StatusCode::NO_CONTENT);
    }
    change_user(&caller, &user, name, Value::Null).await
}

async fn change_user(
    caller: &Caller,
    user: &str,
    name: String,
    value: Value,
) -> Result<StatusCode, Refused> {
    let limits = Map::from_iter([(name, value)]);
    let administration = caller.administration();
    administration
        .set_user_limits(caller.identity(), user, &limits)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Nothing for a user without limits.
fn view_user(user: &User) -> Option<LimitedUser> {
    let value = user.account().limits;
    let limited = value != UserLimits::default();
    limited.then(|| LimitedUser {
        user: user.name.to_string(),
        value,
    })
}
