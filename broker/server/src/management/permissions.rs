//! What users may do: `/api/permissions`, `/api/topic-permissions`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::backend::{AdministrationRefusal, PermissionPatterns, Place};
use super::body::Fields;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, required};
use super::users::status;
use crate::auth::User;

const ORDER: &[&str] = &["vhost", "user", "exchange"];

pub(super) fn routes() -> Routes {
    Routes::of("Permissions")
        .get("/permissions", list, "The permissions of all users.")
        .get(
            "/permissions/{vhost}/{user}",
            show,
            "What a user may do in a virtual host.",
        )
        .put(
            "/permissions/{vhost}/{user}",
            put,
            "Sets what a user may do in a virtual host.",
        )
        .with([
            required("configure", Kind::Text),
            required("write", Kind::Text),
            required("read", Kind::Text),
        ])
        .delete(
            "/permissions/{vhost}/{user}",
            remove,
            "Closes a virtual host to a user.",
        )
        .get(
            "/users/{user}/permissions",
            list_of_user,
            "The permissions of a user.",
        )
        .get(
            "/vhosts/{vhost}/permissions",
            list_of_vhost,
            "The permissions in a virtual host.",
        )
        .merge(topic_routes())
}

fn topic_routes() -> Routes {
    Routes::of("Permissions")
        .get(
            "/topic-permissions",
            list_topics,
            "The topic permissions of all users.",
        )
        .get(
            "/topic-permissions/{vhost}/{user}",
            show_topics,
            "The topic permissions of a user in a virtual host.",
        )
        .put(
            "/topic-permissions/{vhost}/{user}",
            put_topics,
            "Sets the topic permissions of a user at an exchange.",
        )
        .with([
            required("exchange", Kind::Text),
            required("write", Kind::Text),
            required("read", Kind::Text),
        ])
        .delete(
            "/topic-permissions/{vhost}/{user}",
            remove_all_topics,
            "Removes all topic permissions of a user in a virtual host.",
        )
        .get(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            show_topics_of_exchange,
            "The topic permissions of a user at an exchange.",
        )
        .delete(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            remove_topics,
            "Removes the topic permissions of a user at an exchange.",
        )
        .get(
            "/users/{user}/topic-permissions",
            list_topics_of_user,
            "The topic permissions of a user.",
        )
        .get(
            "/vhosts/{vhost}/topic-permissions",
            list_topics_of_vhost,
            "The topic permissions in a virtual host.",
        )
}

type View = fn(&User) -> Vec<Value>;

/// Those of all users that pass.
fn listed(
    caller: &Caller,
    listing: &Listing,
    view: View,
    passes: impl Fn(&Value) -> bool,
) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let users = caller.users().all();
    let shown = users.iter().flat_map(|user| view(user));
    listing.list(shown.filter(passes).collect(), ORDER)
}

/// Those of one user, if there is such a user.
fn listed_of_user(
    caller: &Caller,
    listing: &Listing,
    view: View,
    user: &str,
    passes: impl Fn(&Value) -> bool,
) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(user).ok_or_else(Refused::not_found)?;
    let shown = view(&user).into_iter().filter(passes);
    listing.list(shown.collect(), ORDER)
}

async fn list(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    listed(&caller, &listing, permissions, |_| true)
}

async fn list_of_user(
    caller: Caller,
    Path(user): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    listed_of_user(&caller, &listing, permissions, &user, |_| true)
}

async fn list_of_vhost(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    must_exist(&caller, &vhost)?;
    listed(&caller, &listing, permissions, |shown| {
        shown["vhost"] == vhost
    })
}

async fn show(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(&name).ok_or_else(Refused::not_found)?;
    let mut shown = permissions(&user).into_iter();
    let shown = shown.find(|shown| shown["vhost"] == vhost);
    Ok(listing.one(shown.ok_or_else(Refused::not_found)?))
}

async fn put(
    caller: Caller,
    Path((vhost, user)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    body.require(&["configure", "write", "read"])?;
    let text = |name| Ok::<_, Refused>(body.text(name)?.unwrap_or_default());
    let patterns = PermissionPatterns {
        configure: text("configure")?,
        write: text("write")?,
        read: text("read")?,
    };
    let place = Place {
        user: &user,
        vhost: &vhost,
    };
    let administration = caller.administration();
    let put = administration.put_permissions(caller.identity(), place, patterns);
    Ok(status(put.await.map_err(refused_place)?))
}

async fn remove(
    caller: Caller,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let place = Place {
        user: &user,
        vhost: &vhost,
    };
    let administration = caller.administration();
    let removed = administration.delete_permissions(caller.identity(), place);
    removed.await.map_err(absent_place)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_topics(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    listed(&caller, &listing, topic_permissions, |_| true)
}

async fn list_topics_of_user(
    caller: Caller,
    Path(user): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    listed_of_user(&caller, &listing, topic_permissions, &user, |_| true)
}

async fn list_topics_of_vhost(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    must_exist(&caller, &vhost)?;
    listed(&caller, &listing, topic_permissions, |shown| {
        shown["vhost"] == vhost
    })
}

async fn show_topics(
    caller: Caller,
    Path((vhost, user)): Path<(String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    listed_of_user(&caller, &listing, topic_permissions, &user, |shown| {
        shown["vhost"] == vhost
    })
}

async fn show_topics_of_exchange(
    caller: Caller,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    listed_of_user(&caller, &listing, topic_permissions, &user, |shown| {
        shown["vhost"] == vhost && shown["exchange"] == exchange
    })
}

async fn put_topics(
    caller: Caller,
    Path((vhost, user)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    body.require(&["exchange", "write", "read"])?;
    let text = |name| Ok::<_, Refused>(body.text(name)?.unwrap_or_default());
    let (exchange, patterns) = (text("exchange")?, [text("write")?, text("read")?]);
    let place = Place {
        user: &user,
        vhost: &vhost,
    };
    let administration = caller.administration();
    let put = administration.put_topic_permissions(caller.identity(), place, exchange, patterns);
    Ok(status(put.await.map_err(refused_place)?))
}

async fn remove_all_topics(
    caller: Caller,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    open_topics(&caller, &vhost, &user, None).await
}

async fn remove_topics(
    caller: Caller,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
) -> Result<StatusCode, Refused> {
    open_topics(&caller, &vhost, &user, Some(&exchange)).await
}

async fn open_topics(
    caller: &Caller,
    vhost: &str,
    user: &str,
    exchange: Option<&str>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let place = Place { user, vhost };
    let administration = caller.administration();
    let opened = administration.delete_topic_permissions(caller.identity(), place, exchange);
    opened.await.map_err(absent_place)?;
    Ok(StatusCode::NO_CONTENT)
}

fn must_exist(caller: &Caller, vhost: &str) -> Result<(), Refused> {
    caller.must_administrate()?;
    let names = caller.backend().vhost_names();
    if names.iter().any(|name| name.as_str() == vhost) {
        Ok(())
    } else {
        Err(Refused::not_found())
    }
}

/// A body for a user or virtual host that is not there makes no sense.
fn refused_place(refusal: AdministrationRefusal) -> Refused {
    match refusal {
        AdministrationRefusal::NoVhost | AdministrationRefusal::NoUser(_) => {
            Refused::bad_request("vhost_or_user_not_found")
        }
        other => other.into(),
    }
}

/// What is to be removed there does not exist.
fn absent_place(refusal: AdministrationRefusal) -> Refused {
    match refusal {
        AdministrationRefusal::NoVhost | AdministrationRefusal::NoUser(_) => Refused::not_found(),
        other => other.into(),
    }
}

/// A user's permissions, one object per virtual host.
pub(super) fn permissions(user: &User) -> Vec<Value> {
    let account = user.account();
    let granted = account.permissions.iter();
    granted
        .map(|(vhost, granted)| {
            json!({
                "user": &*user.name,
                "vhost": vhost,
                "configure": granted.configure.as_str(),
                "write": granted.write.as_str(),
                "read": granted.read.as_str(),
            })
        })
        .collect()
}

/// A user's topic permissions, one object per virtual host and exchange.
pub(super) fn topic_permissions(user: &User) -> Vec<Value> {
    let account = user.account();
    let mut shown = Vec::new();
    for (vhost, exchanges) in &account.topic_permissions {
        for (exchange, granted) in exchanges {
            shown.push(json!({
                "user": &*user.name,
                "vhost": vhost,
                "exchange": exchange,
                "write": granted.write(),
                "read": granted.read(),
            }));
        }
    }
    shown
}
