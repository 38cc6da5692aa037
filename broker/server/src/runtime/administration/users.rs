//! Users and their permissions.

use std::sync::Arc;

use amphora_protocol::limits::SHORT_STRING_MAX;
use serde_json::{Map, Value};

use super::events::Password;
use super::{Outcome, audit};
use crate::auth::{Account, Identity, PasswordHash, Permissions, TopicPermissions, User};
use crate::management::backend::{
    AdministrationRefusal, NewCredential, PermissionPatterns, Place, Put, PutUser,
};
use crate::runtime::broker::Broker;
use crate::runtime::peer::Letter;

/// The user that RabbitMQ, too, lets in from the broker's own machine only.
const LOOPBACK_USER: &str = "guest";

pub(super) async fn put(
    broker: &Broker,
    by: &Identity,
    name: &str,
    command: PutUser,
) -> Outcome<Put> {
    if name.is_empty() || name.len() > SHORT_STRING_MAX {
        let text = format!("a user's name has 1 to {SHORT_STRING_MAX} bytes");
        return Err(AdministrationRefusal::Invalid(text));
    }
    let hash = hash(broker, command.credential).await?;
    let _turn = broker.changing.lock();
    let known = broker.users.find(name);
    let mut account = match &known {
        Some(user) => Account::clone(&user.account()),
        None => Account::new(name == LOOPBACK_USER),
    };
    let password = match &hash {
        Some(_) => Password::Changed,
        None => Password::Cleared,
    };
    account.set_password(hash);
    account.tags = command.tags.clone().into();
    super::limits::set(&mut account.limits, &command.limits)?;
    let write = broker.store_user(name, account);
    let (put, action) = match known {
        Some(_) => (Put::Replaced, "changed a user"),
        None => (Put::Created, "added a user"),
    };
    audit(by, action, format_args!("user '{name}'"));
    match put {
        Put::Created => broker.tell_user(by, "user.created", name),
        Put::Replaced => broker.tell_password(by, name, password),
    }
    broker.tell_tags(by, name, &command.tags);
    Ok(broker.changed(put, vec![write]))
}

async fn hash(
    broker: &Broker,
    credential: Option<NewCredential>,
) -> Result<Option<PasswordHash>, AdministrationRefusal> {
    match credential {
        None => Ok(None),
        // Nobody logs in with a blank password.
        Some(NewCredential::Password(password)) if password.is_empty() => Ok(None),
        Some(NewCredential::Password(password)) => {
            let hash = broker.users.hash(&password).await;
            let failed = |error: anyhow::Error| AdministrationRefusal::Failed(error.to_string());
            hash.map(Some).map_err(failed)
        }
        Some(NewCredential::Hash(hash)) => Ok(Some(hash)),
    }
}

pub(super) fn delete(broker: &Broker, by: &Identity, names: &[String]) -> Outcome<()> {
    let _turn = broker.changing.lock();
    for name in names {
        find(broker, name)?;
    }
    let mut writes = Vec::new();
    for name in names {
        writes.extend(broker.users.remove(name));
        audit(by, "deleted a user", format_args!("user '{name}'"));
        broker.tell_user(by, "user.deleted", name);
    }
    broker.forget_routes();
    for connection in broker.connections() {
        let user = connection.user();
        if names.iter().any(|name| **name == *user) {
            let text = format!("user '{user}' was deleted");
            connection.peer.post(Letter::Close(text));
        }
    }
    Ok(broker.changed((), writes))
}

pub(super) fn permit(
    broker: &Broker,
    by: &Identity,
    place: Place<'_>,
    patterns: PermissionPatterns<'_>,
) -> Outcome<Put> {
    let PermissionPatterns {
        configure,
        write,
        read,
    } = patterns;
    let granted = Permissions::new(configure, write, read).map_err(invalid_pattern)?;
    let _turn = broker.changing.lock();
    let mut account = account(broker, place)?;
    let permissions = &mut account.permissions;
    let before = permissions.insert(place.vhost.to_owned(), Arc::new(granted));
    let write = broker.store_user(place.user, account);
    let Place { user, vhost } = place;
    let what = format_args!("user '{user}' in vhost '{vhost}': {patterns:?}");
    audit(by, "set permissions", what);
    broker.tell_permitted(by, place, patterns);
    Ok(broker.changed(put_over(before.is_some()), vec![write]))
}

pub(super) fn forbid(broker: &Broker, by: &Identity, place: Place<'_>) -> Outcome<()> {
    let _turn = broker.changing.lock();
    let mut account = account(broker, place)?;
    let permissions = &mut account.permissions;
    permissions
        .remove(place.vhost)
        .ok_or(AdministrationRefusal::Missing)?;
    let write = broker.store_user(place.user, account);
    let Place { user, vhost } = place;
    let what = format_args!("user '{user}' in vhost '{vhost}'");
    audit(by, "cleared permissions", what);
    broker.tell_forbidden(by, place);
    Ok(broker.changed((), vec![write]))
}

pub(super) fn permit_topics(
    broker: &Broker,
    by: &Identity,
    place: Place<'_>,
    exchange: &str,
    [write, read]: [&str; 2],
) -> Outcome<Put> {
    let Place { user, vhost } = place;
    let granted = TopicPermissions::new(write, read, user, vhost).map_err(invalid_pattern)?;
    let _turn = broker.changing.lock();
    let mut account = account(broker, place)?;
    let exchanges = account
        .topic_permissions
        .entry(vhost.to_owned())
        .or_default();
    let before = exchanges.insert(exchange.to_owned(), Arc::new(granted));
    let stored = broker.store_user(user, account);
    let what = format_args!(
        "user '{user}' at exchange '{exchange}' in vhost '{vhost}': write '{write}', read '{read}'"
    );
    audit(by, "set topic permissions", what);
    broker.tell_topics(by, place, exchange, [write, read]);
    Ok(broker.changed(put_over(before.is_some()), vec![stored]))
}

pub(super) fn open_topics(
    broker: &Broker,
    by: &Identity,
    place: Place<'_>,
    exchange: Option<&str>,
) -> Outcome<()> {
    let Place { user, vhost } = place;
    let _turn = broker.changing.lock();
    let mut account = account(broker, place)?;
    let exchanges = account.topic_permissions.get_mut(vhost);
    let exchanges = exchanges.ok_or(AdministrationRefusal::Missing)?;
    match exchange {
        None => exchanges.clear(),
        Some(exchange) => {
            let removed = exchanges.remove(exchange);
            removed.ok_or(AdministrationRefusal::Missing)?;
        }
    }
    if exchanges.is_empty() {
        account.topic_permissions.remove(vhost);
    }
    let write = broker.store_user(user, account);
    broker.tell_topics_open(by, place, exchange);
    let exchange = exchange.unwrap_or("*");
    let what = format_args!("user '{user}' at exchange '{exchange}' in vhost '{vhost}'");
    audit(by, "cleared topic permissions", what);
    Ok(broker.changed((), vec![write]))
}

pub(super) fn limit(
    broker: &Broker,
    by: &Identity,
    user: &str,
    given: &Map<String, Value>,
) -> Outcome<()> {
    let _turn = broker.changing.lock();
    let mut account = Account::clone(&find(broker, user)?.account());
    super::limits::set(&mut account.limits, given)?;
    let limits = account.limits;
    let write = broker.store_user(user, account);
    audit(
        by,
        "set user limits",
        format_args!("user '{user}': {limits:?}"),
    );
    broker.tell_limits(by, user, given);
    Ok(broker.changed((), vec![write]))
}

fn find(broker: &Broker, name: &str) -> Result<Arc<User>, AdministrationRefusal> {
    let user = broker.users.find(name);
    user.ok_or_else(|| AdministrationRefusal::NoUser(name.to_owned()))
}

/// The account of a user, to be changed in a virtual host; both must exist.
fn account(broker: &Broker, place: Place<'_>) -> Result<Account, AdministrationRefusal> {
    broker
        .vhost(place.vhost)
        .ok_or(AdministrationRefusal::NoVhost)?;
    Ok(Account::clone(&find(broker, place.user)?.account()))
}

fn put_over(existed: bool) -> Put {
    if existed { Put::Replaced } else { Put::Created }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is given to map_err, which passes values"
)]
fn invalid_pattern(error: crate::auth::PatternError) -> AdministrationRefusal {
    AdministrationRefusal::Invalid(format!("invalid_regexp: {error}"))
}
