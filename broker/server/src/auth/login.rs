//! What stays of a login, so that the user is known again without the password.

use std::sync::Arc;

use super::identity::Identity;
use super::password::PasswordHash;
use super::refusal::Denial;
use super::users::{PeerInfo, User, Users, admit};

/// A user who showed a password, and which one it was. It is worth nothing any more when the user is deleted or gets another password.
#[derive(Clone, Debug)]
pub struct Login {
    user: Arc<User>,
    password: Option<PasswordHash>,
}

impl Login {
    /// Of a user who has just logged in.
    pub fn of(identity: &Identity) -> Self {
        let user = Arc::clone(identity.shared());
        let password = user.account().password_hash().cloned();
        Self { user, password }
    }

    /// The login name.
    pub fn user(&self) -> &Arc<str> {
        &self.user.name
    }
}

impl Users {
    /// The user of a login that may be old.
    ///
    /// # Errors
    /// It is worth nothing any more, or the user may not come from there.
    pub fn recall(&self, login: &Login, peer: &PeerInfo) -> Result<Identity, Denial> {
        let name = login.user();
        let known = self.find(name);
        let same = known.is_some_and(|user| Arc::ptr_eq(&user, &login.user));
        let password = login.user.account().password_hash().cloned();
        if !same || password != login.password {
            return Err(Denial::InvalidCredentials(Arc::clone(name)));
        }
        admit(Arc::clone(&login.user), peer)
    }
}
