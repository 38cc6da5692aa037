//! A user that logged in, and that user within a virtual host.

use std::sync::Arc;

use amphora_protocol::exception::{ChannelException, ConnectionException};
use amphora_protocol::wire::types::VhostName;

use super::permission::{Access, Permissions, Resource};
use super::users::User;

/// A user that logged in, as the user was at that moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    user: Arc<User>,
}

/// A user within a virtual host that is open to the user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VhostAccess {
    user: Arc<User>,
    vhost: VhostName,
    permissions: Arc<Permissions>,
}

impl Identity {
    pub(super) fn new(user: Arc<User>) -> Self {
        Self { user }
    }

    /// The login name.
    pub fn user(&self) -> &Arc<str> {
        &self.user.name
    }

    /// RabbitMQ's tags, and one's own.
    pub fn tags(&self) -> &[String] {
        &self.user.tags
    }

    /// May look at the management API, and see there what is the user's own.
    pub fn may_manage(&self) -> bool {
        self.has_any(&["administrator", "monitoring", "policymaker", "management"])
    }

    /// May see everybody's connections.
    pub fn may_monitor(&self) -> bool {
        self.has_any(&["administrator", "monitoring"])
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
    pub fn permissions(&self, vhost: &str) -> Option<&Arc<Permissions>> {
        self.user.permissions.get(vhost)
    }

    /// Enters a virtual host, which must be known to exist.
    ///
    /// # Errors
    /// 530 (not allowed) if it is closed to the user.
    pub fn enter(&self, vhost: VhostName) -> Result<VhostAccess, ConnectionException> {
        match self.permissions(&vhost) {
            Some(permissions) => Ok(VhostAccess {
                user: self.user.clone(),
                permissions: permissions.clone(),
                vhost,
            }),
            None => Err(ConnectionException::not_allowed(format!(
                "access to vhost '{vhost}' refused for user '{}'",
                self.user.name
            ))),
        }
    }

    fn has_any(&self, tags: &[&str]) -> bool {
        self.user
            .tags
            .iter()
            .any(|tag| tags.contains(&tag.as_str()))
    }
}

impl VhostAccess {
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

    /// Checks that the user may do this. Costs nothing for the pattern `.*`, else one match.
    ///
    /// # Errors
    /// 403 (access refused), with RabbitMQ's text.
    pub fn check(&self, access: Access, resource: Resource<'_>) -> Result<(), ChannelException> {
        if self.permissions.allow(access, resource) {
            return Ok(());
        }
        let Self { user, vhost, .. } = self;
        Err(ChannelException::access_refused(format!(
            "{access} access to {resource} in vhost '{vhost}' refused for user '{}'",
            user.name
        )))
    }
}
