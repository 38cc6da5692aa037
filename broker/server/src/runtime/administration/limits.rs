//! How much users and virtual hosts may have.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use amphora_core::policy::Term;
use amphora_protocol::exception::ConnectionException;
use serde_json::{Map, Value};

use super::Parameters;
use crate::auth::{Identity, User, UserLimits};
use crate::management::backend::{AdministrationRefusal, LIMITS, VHOST_LIMITS};
use crate::management::json;
use crate::runtime::vhost::VirtualHost;

/// A limit that is none.
const NONE: i64 = -1;

/// How much a virtual host may have. Read for each new connection and queue.
#[derive(Debug)]
pub(in crate::runtime) struct VhostLimits {
    connections_max: AtomicI64,
    queues_max: AtomicI64,
}

impl Default for VhostLimits {
    fn default() -> Self {
        Self {
            connections_max: AtomicI64::new(NONE),
            queues_max: AtomicI64::new(NONE),
        }
    }
}

impl VhostLimits {
    /// The limit of queues, if so many are too many for another one.
    pub(in crate::runtime) fn refuses_queue(&self, count: usize) -> Option<i64> {
        reached(self.queues_max.load(Ordering::Relaxed), count as u64)
    }

    fn refuses_connection(&self, count: u32) -> Option<i64> {
        reached(self.connections_max.load(Ordering::Relaxed), count.into())
    }

    /// Puts the limits in force that the store has.
    pub(in crate::runtime) fn recover(&self, parameters: &Parameters, vhost: &str) {
        let stored = parameters.of(VHOST_LIMITS, vhost);
        let limits = stored.iter().find(|(name, _)| name == LIMITS);
        self.set(limits.map(|(_, value)| value));
    }

    /// Puts the limits in force that the parameter has, which was checked; those that it does not name are none.
    pub(super) fn set(&self, value: Option<&Value>) {
        let limit = |name: &str| {
            let value = value.and_then(|value| value.get(name));
            value.and_then(Value::as_i64).unwrap_or(NONE)
        };
        self.connections_max
            .store(limit("max-connections"), Ordering::Relaxed);
        self.queues_max
            .store(limit("max-queues"), Ordering::Relaxed);
    }
}

/// The limit, if it is one and is reached.
fn reached(limit: i64, count: u64) -> Option<i64> {
    let bound = u64::try_from(limit).ok()?;
    (count >= bound).then_some(limit)
}

/// Checks the limits of a virtual host as somebody gave them.
pub(super) fn check_vhost(value: &Value) -> Result<(), AdministrationRefusal> {
    // RabbitMQ exports limits that were all taken away again as a list.
    if *value == Value::Array(Vec::new()) {
        return Ok(());
    }
    let Value::Object(limits) = value else {
        return Err(AdministrationRefusal::validation(format_args!(
            "limits: expected an object, found {value}"
        )));
    };
    check(limits, &["max-connections", "max-queues"], "limits")
        .and_then(
            |()| match limits.iter().find(|(_, value)| value.is_null()) {
                None => Ok(()),
                Some((name, _)) => Err(not_a_number(name, "null")),
            },
        )
        .map_err(AdministrationRefusal::validation)
}

/// Sets limits of a user, or takes away those that are `null`.
pub(super) fn set(
    limits: &mut UserLimits,
    given: &Map<String, Value>,
) -> Result<(), AdministrationRefusal> {
    check(given, &["max-connections", "max-channels"], "user-limits")
        .map_err(AdministrationRefusal::Invalid)?;
    let set = |name: &str, limit: &mut Option<i64>| {
        if let Some(value) = given.get(name) {
            *limit = value.as_i64();
        }
    };
    set("max-connections", &mut limits.max_connections);
    set("max-channels", &mut limits.max_channels);
    Ok(())
}

fn check(limits: &Map<String, Value>, known: &[&str], of: &str) -> Result<(), String> {
    for (name, value) in limits {
        let term = json::term(value);
        let term = Term(&term);
        if !known.contains(&name.as_str()) {
            return Err(format!(
                "Unrecognised terms [{{<<\"{name}\">>,{term}}}] in {of}"
            ));
        }
        if !value.is_null() && value.as_i64().is_none() {
            return Err(not_a_number(name, term));
        }
    }
    Ok(())
}

fn not_a_number(name: &str, term: impl fmt::Display) -> String {
    format!("{name} should be a number, actually was {term}")
}

/// A connection's place among those of its user and of its virtual host, for as long as it is there.
#[derive(Debug)]
pub(in crate::runtime) struct Admission {
    user: Arc<User>,
    vhost: Arc<VirtualHost>,
}

impl Admission {
    /// Lets a connection in, unless there are as many as there may be.
    pub(in crate::runtime) fn new(
        identity: &Identity,
        vhost: &Arc<VirtualHost>,
    ) -> Result<Self, ConnectionException> {
        let user = identity.shared();
        let admission = Self {
            user: Arc::clone(user),
            vhost: Arc::clone(vhost),
        };
        let among_vhost = vhost.connections.fetch_add(1, Ordering::Relaxed);
        let among_user = user.connections.fetch_add(1, Ordering::Relaxed);
        let (name, vhost_name) = (&user.name, &vhost.name);
        if let Some(limit) = vhost.limits.refuses_connection(among_vhost) {
            return Err(ConnectionException::not_allowed(format!(
                "access to vhost '{vhost_name}' refused for user '{name}': connection limit ({limit}) is reached"
            )));
        }
        let limit = user.account().limits.max_connections.unwrap_or(NONE);
        if let Some(limit) = reached(limit, among_user.into()) {
            return Err(ConnectionException::not_allowed(format!(
                "connection refused for user '{name}': user connection limit ({limit}) is reached"
            )));
        }
        Ok(admission)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.vhost.connections.fetch_sub(1, Ordering::Relaxed);
        self.user.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A channel's place among those of its user, for as long as it is there.
#[derive(Debug)]
pub(in crate::runtime) struct ChannelAdmission(Arc<User>);

impl ChannelAdmission {
    /// Lets a channel be opened, unless the user has as many as there may be.
    pub(in crate::runtime) fn new(user: &Arc<User>) -> Result<Self, ConnectionException> {
        let admission = Self(Arc::clone(user));
        let count = user.channels.fetch_add(1, Ordering::Relaxed);
        let limit = user.account().limits.max_channels.unwrap_or(NONE);
        match reached(limit, count.into()) {
            None => Ok(admission),
            Some(limit) => Err(ConnectionException::not_allowed(format!(
                "number of channels opened for user '{}' has reached the maximum allowed user limit of ({limit})",
                user.name
            ))),
        }
    }
}

impl Drop for ChannelAdmission {
    fn drop(&mut self) {
        self.0.channels.fetch_sub(1, Ordering::Relaxed);
    }
}
