//! What users may do: `/api/permissions`, `/api/topic-permissions`.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Many, One};
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

/// Those of all users that pass.
fn listed<T: Granted>(
    caller: &Caller,
    listing: &Listing,
    passes: impl Fn(&T) -> bool,
) -> Result<Many<T>, Refused> {
    caller.must_administrate()?;
    let users = caller.users().all();
    let shown = users.iter().flat_map(|user| T::to(user));
    listing.list(shown.filter(passes), ORDER)
}

/// Those of one user, if there is such a user.
fn listed_of_user<T: Granted>(
    caller: &Caller,
    listing: &Listing,
    user: &str,
    passes: impl Fn(&T) -> bool,
) -> Result<Many<T>, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(user).ok_or_else(Refused::not_found)?;
    listing.list(T::to(&user).into_iter().filter(passes), ORDER)
}

async fn list(caller: Caller, listing: Listing) -> Result<Many<Permission>, Refused> {
    listed(&caller, &listing, |_| true)
}

async fn list_of_user(
    caller: Caller,
    Path(user): Path<String>,
    listing: Listing,
) -> Result<Many<Permission>, Refused> {
    listed_of_user(&caller, &listing, &user, |_| true)
}

async fn list_of_vhost(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Permission>, Refused> {
    must_exist(&caller, &vhost)?;
    listed(&caller, &listing, |shown: &Permission| shown.vhost == vhost)
}

async fn show(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<One<Permission>, Refused> {
    caller.must_administrate()?;
    let user = caller.users().find(&name).ok_or_else(Refused::not_found)?;
    let mut shown = permissions(&user).into_iter();
    let shown = shown.find(|shown| shown.vhost == vhost);
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

async fn list_topics(caller: Caller, listing: Listing) -> Result<Many<TopicPermission>, Refused> {
    listed(&caller, &listing, |_| true)
}

async fn list_topics_of_user(
    caller: Caller,
    Path(user): Path<String>,
    listing: Listing,
) -> Result<Many<TopicPermission>, Refused> {
    listed_of_user(&caller, &listing, &user, |_| true)
}

async fn list_topics_of_vhost(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<TopicPermission>, Refused> {
    must_exist(&caller, &vhost)?;
    listed(&caller, &listing, |shown: &TopicPermission| {
        shown.vhost == vhost
    })
}

async fn show_topics(
    caller: Caller,
    Path((vhost, user)): Path<(String, String)>,
    listing: Listing,
) -> Result<Many<TopicPermission>, Refused> {
    listed_of_user(&caller, &listing, &user, |shown: &TopicPermission| {
        shown.vhost == vhost
    })
}

async fn show_topics_of_exchange(
    caller: Caller,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
    listing: Listing,
) -> Result<Many<TopicPermission>, Refused> {
    listed_of_user(&caller, &listing, &user, |shown: &TopicPermission| {
        shown.vhost == vhost && shown.exchange == exchange
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

/// What a user may do in a virtual host: regular expressions of names.
#[derive(Serialize, JsonSchema)]
pub(super) struct Permission {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

/// With which routing keys a user may publish to an exchange, and bind to it: regular expressions.
#[derive(Serialize, JsonSchema)]
pub(super) struct TopicPermission {
    user: String,
    vhost: String,
    exchange: String,
    write: String,
    read: String,
}

/// What is granted to one user somewhere.
trait Granted: Serialize + Sized {
    /// All that a user has.
    fn to(user: &User) -> Vec<Self>;
}

impl Granted for Permission {
    fn to(user: &User) -> Vec<Self> {
        permissions(user)
    }
}

impl Granted for TopicPermission {
    fn to(user: &User) -> Vec<Self> {
        topic_permissions(user)
    }
}

/// A user's permissions, one for each virtual host.
pub(super) fn permissions(user: &User) -> Vec<Permission> {
    let account = user.account();
    let granted = account.permissions.iter();
    granted
        .map(|(vhost, granted)| Permission {
            user: user.name.to_string(),
            vhost: vhost.clone(),
            configure: granted.configure.as_str().to_owned(),
            write: granted.write.as_str().to_owned(),
            read: granted.read.as_str().to_owned(),
        })
        .collect()
}

/// A user's topic permissions, one for each virtual host and exchange.
pub(super) fn topic_permissions(user: &User) -> Vec<TopicPermission> {
    let account = user.account();
    let mut shown = Vec::new();
    for (vhost, exchanges) in &account.topic_permissions {
        for (exchange, granted) in exchanges {
            shown.push(TopicPermission {
                user: user.name.to_string(),
                vhost: vhost.clone(),
                exchange: exchange.clone(),
                write: granted.write().to_owned(),
                read: granted.read().to_owned(),
            });
        }
    }
    shown
}
