//! What the management API asks for users, virtual hosts, policies, limits and other parameters.

use std::pin::Pin;

use serde_json::Value;

use crate::auth::{Identity, PasswordHash};

/// What a command comes back with, once that is as durable as the broker promises.
pub type AdministrationReply<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, AdministrationRefusal>> + Send + 'a>>;

/// Users, virtual hosts and parameters, as the management API changes them. Users are read from [`Users`](crate::auth::Users).
///
/// Reading methods return at once. Whoever calls has checked that the user `by` may do it; the name is for the log.
/// A change is in force when its command is over, also for clients that are connected.
pub trait Administration: Send + Sync {
    /// Adds a user, or changes one.
    fn put_user<'a>(
        &'a self,
        by: &'a Identity,
        name: &'a str,
        command: PutUser,
    ) -> AdministrationReply<'a, Put>;
    /// Removes users and closes their connections; none of them if one does not exist.
    fn delete_users<'a>(
        &'a self,
        by: &'a Identity,
        names: &'a [String],
    ) -> AdministrationReply<'a, ()>;
    /// Sets what a user may do in a virtual host.
    fn put_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
        patterns: PermissionPatterns<'a>,
    ) -> AdministrationReply<'a, Put>;
    /// Closes a virtual host to a user.
    fn delete_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
    ) -> AdministrationReply<'a, ()>;
    /// Sets what a user may do with routing keys at a topic exchange: `write` and `read`.
    fn put_topic_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
        exchange: &'a str,
        patterns: [&'a str; 2],
    ) -> AdministrationReply<'a, Put>;
    /// Lets a user use all routing keys again: of one exchange, or of all.
    fn delete_topic_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
        exchange: Option<&'a str>,
    ) -> AdministrationReply<'a, ()>;
    /// Sets a user's limits, or takes them away with `null`: an object such as `{"max-connections": 5}`. Those that are not named stay.
    fn set_user_limits<'a>(
        &'a self,
        by: &'a Identity,
        user: &'a str,
        limits: &'a serde_json::Map<String, Value>,
    ) -> AdministrationReply<'a, ()>;

    /// Adds a virtual host, or changes what is said of one. The one who adds it may do everything in it.
    fn put_vhost<'a>(
        &'a self,
        by: &'a Identity,
        name: &'a str,
        command: PutVhost,
    ) -> AdministrationReply<'a, Put>;
    /// Removes a virtual host with all that is in it, and closes its connections.
    fn delete_vhost<'a>(&'a self, by: &'a Identity, name: &'a str) -> AdministrationReply<'a, ()>;

    /// All parameters of all virtual hosts, policies and limits included, by component, virtual host and name.
    fn parameters(&self) -> Vec<Parameter>;
    /// Sets a parameter: a policy is one of the components [`POLICY`] and [`OPERATOR_POLICY`], the limits of a virtual host are
    /// `limits` of [`VHOST_LIMITS`].
    fn put_parameter<'a>(
        &'a self,
        by: &'a Identity,
        parameter: Parameter,
    ) -> AdministrationReply<'a, Put>;
    /// Removes a parameter.
    fn delete_parameter<'a>(
        &'a self,
        by: &'a Identity,
        component: &'a str,
        vhost: &'a str,
        name: &'a str,
    ) -> AdministrationReply<'a, ()>;
    /// The parameters of the broker as a whole, by name.
    fn global_parameters(&self) -> Vec<(String, Value)>;
    /// Sets one of them, or removes it.
    fn set_global_parameter<'a>(
        &'a self,
        by: &'a Identity,
        name: &'a str,
        value: Option<Value>,
    ) -> AdministrationReply<'a, Put>;
}

/// The component of policies.
pub const POLICY: &str = "policy";
/// The component of operator policies.
pub const OPERATOR_POLICY: &str = "operator_policy";
/// The component of a virtual host's limits, which are one parameter.
pub const VHOST_LIMITS: &str = "vhost-limits";
/// The name of that parameter.
pub const LIMITS: &str = "limits";

/// Whether something was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was.
    Created,
    /// Something was replaced, or was the same already.
    Replaced,
}

/// A user in a virtual host.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The virtual host's.
    pub vhost: &'a str,
}

/// The three patterns of a permission.
#[derive(Clone, Copy, Debug)]
pub struct PermissionPatterns<'a> {
    /// What may be declared and deleted.
    pub configure: &'a str,
    /// What may be published to, or bound as a destination.
    pub write: &'a str,
    /// What may be consumed from, or bound as a source.
    pub read: &'a str,
}

/// Adds or changes a user.
#[derive(Clone, Debug, Default)]
pub struct PutUser {
    /// The password. One that is not given is none: the user logs in by certificate only.
    pub credential: Option<NewCredential>,
    /// What the user may do in the management API.
    pub tags: Vec<String>,
    /// Limits to set, as [`Administration::set_user_limits`] takes them.
    pub limits: serde_json::Map<String, Value>,
}

/// A user's new password.
#[derive(Clone)]
pub enum NewCredential {
    /// In clear.
    Password(String),
    /// Hashed elsewhere.
    Hash(PasswordHash),
}

impl std::fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewCredential")
    }
}

/// Adds or changes a virtual host. What is not given stays, or is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutVhost {
    /// What it is for.
    pub description: Option<String>,
    /// Whatever its owner sorts by.
    pub tags: Option<Vec<String>>,
    /// The type of queues that are declared without one.
    pub default_queue_type: Option<String>,
    /// Refuse to delete it.
    pub protected_from_deletion: Option<bool>,
}

/// A value that belongs to a virtual host.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// What it is for, such as [`POLICY`].
    pub component: String,
    /// The virtual host.
    pub vhost: String,
    /// Its name, unique within component and virtual host.
    pub name: String,
    /// What its component makes of it.
    pub value: Value,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdministrationRefusal {
    /// There is no such thing.
    Missing,
    /// There is no such virtual host.
    NoVhost,
    /// There is no such user.
    NoUser(String),
    /// What is asked for makes no sense: RabbitMQ's text.
    Invalid(String),
    /// The broker could not do it.
    Failed(String),
}

impl AdministrationRefusal {
    /// A parameter whose value is not one for its component.
    pub fn validation(text: impl std::fmt::Display) -> Self {
        Self::Invalid(format!("Validation failed\n\n{text}\n"))
    }
}
