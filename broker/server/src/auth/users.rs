//! The users that there are, and the check of what a client shows to be one of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Semaphore;

use super::identity::Identity;
use super::mechanism::Claim;
use super::password::PasswordHash;
use super::permission::{Pattern, Permissions};
use super::refusal::{Denial, Refusal};
use super::secret::Secret;
use crate::config::{self, Credential, LoginFrom};
use crate::tls::PeerCertificate;

/// How many passwords may be hashed at a time: each takes a core, and 19 MiB.
const HASHINGS_MAX: usize = 2;

/// The users that there are.
#[derive(Debug)]
pub struct Users {
    by_name: RwLock<HashMap<Arc<str>, Arc<User>>>,
    login_from: LoginFrom,
    hashings: Semaphore,
}

/// A user.
#[derive(Debug)]
pub struct User {
    /// The login name.
    pub name: Arc<str>,
    /// RabbitMQ's tags, and one's own.
    pub tags: Vec<String>,
    /// Accepted only from the broker's own machine.
    pub loopback_only: bool,
    /// What the user may do, by virtual host.
    pub permissions: HashMap<String, Arc<Permissions>>,
    secret: Option<Secret>,
}

/// What is known of a client before it logs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerInfo {
    /// It connects from the broker's own machine.
    pub loopback: bool,
    /// The certificate that it showed, and that was checked.
    pub certificate: Option<PeerCertificate>,
}

impl Users {
    /// The users of a configuration. Hashes their passwords: slow, not for a thread that serves clients.
    pub fn seeded(users: &[config::User], login_from: LoginFrom) -> anyhow::Result<Self> {
        let mut by_name = HashMap::new();
        for user in users {
            let user = User::seeded(user)?;
            by_name.insert(user.name.clone(), Arc::new(user));
        }
        Ok(Self {
            by_name: RwLock::new(by_name),
            login_from,
            hashings: Semaphore::new(HASHINGS_MAX),
        })
    }

    /// The mechanisms to offer in `connection.start`.
    pub fn mechanisms(peer: &PeerInfo) -> &'static str {
        match peer.certificate {
            Some(_) => "PLAIN AMQPLAIN EXTERNAL",
            None => "PLAIN AMQPLAIN",
        }
    }

    /// Checks what `connection.start-ok` brought. The first login of a user may take tens of milliseconds, off this thread.
    pub async fn authenticate(
        &self,
        mechanism: &str,
        response: &[u8],
        peer: &PeerInfo,
    ) -> Result<Identity, Refusal> {
        match Claim::read(mechanism, response)? {
            Claim::Password {
                mechanism,
                user,
                password,
            } => self
                .check_password(&user, &password, peer)
                .await
                .map_err(|reason| Refusal::Denied { mechanism, reason }),
            Claim::Certificate => self
                .check_certificate(peer)
                .map_err(|reason| Refusal::Denied {
                    mechanism: "EXTERNAL",
                    reason,
                }),
        }
    }

    /// Checks a name and a password, as HTTP brings them.
    pub async fn check_password(
        &self,
        name: &str,
        password: &[u8],
        peer: &PeerInfo,
    ) -> Result<Identity, Denial> {
        let user = self
            .find(name)
            .ok_or_else(|| Denial::InvalidCredentials(name.into()))?;
        if !self.is_password_of(&user, password).await {
            return Err(Denial::InvalidCredentials(user.name.clone()));
        }
        admit(user, peer)
    }

    /// All users, by name.
    pub fn all(&self) -> Vec<Arc<User>> {
        let mut users: Vec<_> = self.by_name.read().values().cloned().collect();
        users.sort_by(|a, b| a.name.cmp(&b.name));
        users
    }

    /// One user.
    pub fn find(&self, name: &str) -> Option<Arc<User>> {
        self.by_name.read().get(name).cloned()
    }

    fn check_certificate(&self, peer: &PeerInfo) -> Result<Identity, Denial> {
        let certificate = peer.certificate.as_ref().ok_or(Denial::NoCertificate)?;
        let name = match self.login_from {
            LoginFrom::DistinguishedName => Some(&certificate.distinguished_name),
            LoginFrom::CommonName => certificate.common_name.as_ref(),
        };
        let name = name.ok_or(Denial::NoCertificate)?;
        let user = self
            .find(name)
            .ok_or_else(|| Denial::InvalidCredentials(name.as_str().into()))?;
        admit(user, peer)
    }

    async fn is_password_of(&self, user: &Arc<User>, password: &[u8]) -> bool {
        let Some(secret) = &user.secret else {
            return false;
        };
        if let Some(answer) = secret.quick_check(password) {
            return answer;
        }
        let Ok(_permit) = self.hashings.acquire().await else {
            return false;
        };
        let (user, password) = (user.clone(), password.to_vec());
        let check = move || {
            user.secret
                .as_ref()
                .is_some_and(|secret| secret.slow_check(&password))
        };
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }
}

impl User {
    /// The hash of the user's password, if there is one.
    pub fn password_hash(&self) -> Option<&PasswordHash> {
        self.secret.as_ref().map(Secret::hash)
    }

    fn seeded(user: &config::User) -> anyhow::Result<Self> {
        let secret = match &user.credential {
            Some(Credential::Password(password)) => Some(Secret::of_password(password)?),
            Some(Credential::Hash(hash)) => Some(Secret::of_hash(PasswordHash::parse(hash)?)),
            None => None,
        };
        let mut permissions = HashMap::new();
        for permission in &user.permissions {
            let granted = Permissions {
                configure: Pattern::new(&permission.configure)?,
                write: Pattern::new(&permission.write)?,
                read: Pattern::new(&permission.read)?,
            };
            permissions.insert(permission.vhost.clone(), Arc::new(granted));
        }
        Ok(Self {
            name: user.name.as_str().into(),
            tags: user.tags.clone(),
            loopback_only: user.loopback_only,
            permissions,
            secret,
        })
    }
}

fn admit(user: Arc<User>, peer: &PeerInfo) -> Result<Identity, Denial> {
    if user.loopback_only && !peer.loopback {
        return Err(Denial::OnlyLoopback(user.name.clone()));
    }
    Ok(Identity::new(user))
}
