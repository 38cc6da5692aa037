//! A user that logged in, and that user within a virtual host.

use std::sync::Arc;

use amphora_protocol::exception::{ChannelException, ConnectionException};
use amphora_protocol::wire::types::VhostName;

use super::account::Account;
use super::permission::{Access, Permissions, Resource};
use super::topic_permission::TopicAccess;
use super::users::User;

/// A user that logged in. What the user may do is as it is now, not as it was then. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    user: Arc<User>,
}

/// A user within a virtual host that was open to the user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VhostAccess {
    user: Arc<User>,
    vhost: VhostName,
    is_the_broker: bool,
}

impl Identity {
    pub(super) fn new(user: Arc<User>) -> Self {
        Self { user }
    }

    /// The broker itself, which acts by its own account at start.
    pub fn of_the_broker() -> Self {
        Self::new(Arc::new(User::new("amphora", Account::default())))
    }

    /// The login name.
    pub fn user(&self) -> &Arc<str> {
        &self.user.name
    }

    /// The user, whose open connections and channels are counted there.
    pub fn shared(&self) -> &Arc<User> {
        &self.user
    }

    /// RabbitMQ's tags, and one's own.
    pub fn tags(&self) -> Arc<[String]> {
        Arc::clone(&self.user.account().tags)
    }

    /// May look at the management API, and see there what is the user's own.
    pub fn may_manage(&self) -> bool {
        self.has_any(&["administrator", "monitoring", "policymaker", "management"])
    }

    /// May see everybody's connections.
    pub fn may_monitor(&self) -> bool {
        self.has_any(&["administrator", "monitoring"])
    }

    /// May set policies and parameters of virtual hosts that are open to the user.
    pub fn may_make_policies(&self) -> bool {
        self.has_any(&["administrator", "policymaker"])
    }

    /// May do everything in the management API.
    pub fn is_administrator(&self) -> bool {
        self.has_any(&["administrator"])
    }

    /// May publish with the user-id of another.
    pub fn may_impersonate(&self) -> bool {
        self.has_any(&["impersonator"])
    }

    /// What the user may do in a virtual host; nothing if it is closed to the user.
    pub fn permissions(&self, vhost: &str) -> Option<Arc<Permissions>> {
        self.user.account().permissions.get(vhost).cloned()
    }

    /// Enters a virtual host, which must be known to exist.
    ///
    /// # Errors
    /// 530 (not allowed) if it is closed to the user.
    pub fn enter(&self, vhost: VhostName) -> Result<VhostAccess, ConnectionException> {
        if self.permissions(&vhost).is_none() {
            let user = &self.user.name;
            tracing::warn!(target: "amphora::audit", %user, %vhost, "access to the vhost refused");
            return Err(ConnectionException::not_allowed(format!(
                "access to vhost '{vhost}' refused for user '{user}'"
            )));
        }
        Ok(VhostAccess {
            user: self.user.clone(),
            vhost,
            is_the_broker: false,
        })
    }

    fn has_any(&self, tags: &[&str]) -> bool {
        let account = self.user.account();
        account.tags.iter().any(|tag| tags.contains(&tag.as_str()))
    }
}

impl VhostAccess {
    /// Access to everything, for what the broker does on behalf of somebody who may do everything: import definitions.
    pub fn of_the_broker(name: &str, vhost: VhostName) -> Self {
        let account = Account::of_the_broker(&vhost);
        Self {
            user: Arc::new(User::new(name, account)),
            vhost,
            is_the_broker: true,
        }
    }

    /// The broker does it, and may use reserved names.
    pub fn is_the_broker(&self) -> bool {
        self.is_the_broker
    }

    /// The login name.
    pub fn user(&self) -> &Arc<str> {
        &self.user.name
    }

    /// The virtual host.
    pub fn vhost(&self) -> &VhostName {
        &self.vhost
    }

    /// The user, for what does not depend on the virtual host.
    pub fn identity(&self) -> Identity {
        Identity::new(self.user.clone())
    }

    /// Checks that the user may do this. Costs two lookups for the pattern `.*`, and a match for others.
    ///
    /// # Errors
    /// 403 (access refused), with RabbitMQ's text.
    pub fn check(&self, access: Access, resource: Resource<'_>) -> Result<(), ChannelException> {
        let account = self.user.account();
        let permissions = account.permissions.get(self.vhost.as_str());
        if permissions.is_some_and(|permissions| permissions.allow(access, resource)) {
            return Ok(());
        }
        Err(self.refuse(&format!("{access} access to {resource}")))
    }

    /// Whether some topic exchange of the virtual host has permissions of its own for the user: only then, [`VhostAccess::check_topic`]
    /// can refuse.
    pub fn has_topic_permissions(&self) -> bool {
        let account = self.user.account();
        account.topic_permissions.contains_key(self.vhost.as_str())
    }

    /// Checks that the user may use a routing key at an exchange of type topic.
    ///
    /// # Errors
    /// 403 (access refused), with RabbitMQ's text.
    pub fn check_topic(
        &self,
        access: TopicAccess,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), ChannelException> {
        let account = self.user.account();
        let exchanges = account.topic_permissions.get(self.vhost.as_str());
        let permissions = exchanges.and_then(|exchanges| exchanges.get(exchange));
        if permissions.is_none_or(|permissions| permissions.allow(access, routing_key)) {
            return Ok(());
        }
        let access = match access {
            TopicAccess::Write => "write",
            TopicAccess::Read => "read",
        };
        let what = format!("{access} access to topic '{routing_key}' in exchange '{exchange}'");
        Err(self.refuse(&what))
    }

    fn refuse(&self, what: &str) -> ChannelException {
        let Self { user, vhost, .. } = self;
        let user = &user.name;
        tracing::warn!(target: "amphora::audit", %user, %vhost, "{what} refused");
        ChannelException::access_refused(format!(
            "{what} in vhost '{vhost}' refused for user '{user}'"
        ))
    }
}
