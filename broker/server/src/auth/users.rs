//! The users that there are, and the check of what a client shows to be one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use amphora_core::store::Write;
use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::Semaphore;

use super::account::{self, Account};
use super::attempts::Attempts;
use super::identity::Identity;
use super::mechanism::Claim;
use super::password::PasswordHash;
use super::refusal::{Denial, Refusal};
use crate::config::{self, LoginFrom};
use crate::tls::PeerCertificate;

/// How many passwords may be hashed at a time: each takes a core, and 19 MiB.
const HASHINGS_MAX: usize = 2;

/// The users that there are. Changes are in memory at once; each says what the store has to learn of it, in the order of the calls.
#[derive(Debug)]
pub struct Users {
    by_name: RwLock<BTreeMap<Arc<str>, Arc<User>>>,
    login_from: LoginFrom,
    hashings: Semaphore,
    /// Logins of AMQP clients.
    pub amqp_attempts: Attempts,
    /// Logins at the management API.
    pub http_attempts: Attempts,
}

/// A user, for as long as there is one of that name: who has logged in before a change is subject to it, too.
#[derive(Debug)]
pub struct User {
    /// The login name.
    pub name: Arc<str>,
    account: ArcSwap<Account>,
    /// Open connections.
    pub(crate) connections: AtomicU32,
    /// Open channels.
    pub(crate) channels: AtomicU32,
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
    /// Nobody.
    pub fn none(login_from: LoginFrom) -> Self {
        Self {
            by_name: RwLock::default(),
            login_from,
            hashings: Semaphore::new(HASHINGS_MAX),
            amqp_attempts: Attempts::default(),
            http_attempts: Attempts::default(),
        }
    }

    /// The users of a configuration.
    #[cfg(test)]
    pub(crate) fn seeded(users: &[config::User], login_from: LoginFrom) -> anyhow::Result<Self> {
        let seeded = Self::none(login_from);
        seeded.seed(users)?;
        Ok(seeded)
    }

    /// Adds the users of a configuration. Hashes their passwords: slow, not for a thread that serves clients. Returns what the store has to
    /// learn.
    ///
    /// # Errors
    /// The machine has no memory to hash with.
    pub fn seed(&self, users: &[config::User]) -> anyhow::Result<Vec<Write>> {
        let add = |user: &config::User| Ok(self.put(&user.name, Account::seeded(user)?));
        users.iter().map(add).collect()
    }

    /// Takes in the users that the store has, and says whether there are any.
    ///
    /// # Errors
    /// One is damaged, or was written by a later version.
    pub fn recover<'a>(
        &self,
        definitions: impl IntoIterator<Item = &'a (Bytes, Bytes)>,
    ) -> anyhow::Result<bool> {
        let mut any = false;
        for (key, value) in definitions {
            if let Some(user) = account::recover(key, value) {
                let (name, account) = user?;
                let _stored_already = self.put(&name, account);
                any = true;
            }
        }
        Ok(any)
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
        let claim = Claim::read(mechanism, response)?;
        let checked = self.check(claim, peer).await;
        self.amqp_attempts.count(checked)
    }

    async fn check(&self, claim: Claim, peer: &PeerInfo) -> Result<Identity, Refusal> {
        match claim {
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
        let Some(user) = self.find(name) else {
            // As long as a known user's password takes: or else names could be found out by the clock.
            let _wasted = self.hash("").await;
            return Err(Denial::InvalidCredentials(name.into()));
        };
        if !self.is_password_of(&user, password).await {
            return Err(Denial::InvalidCredentials(user.name.clone()));
        }
        admit(user, peer)
    }

    /// Hashes a new password, off this thread.
    ///
    /// # Errors
    /// The machine has no memory or no thread for it.
    pub async fn hash(&self, password: &str) -> anyhow::Result<PasswordHash> {
        let _permit = self.hashings.acquire().await?;
        let password = password.to_owned();
        let hash = tokio::task::spawn_blocking(move || PasswordHash::of(&password)).await?;
        Ok(hash?)
    }

    /// All users, by name.
    pub fn all(&self) -> Vec<Arc<User>> {
        self.by_name.read().values().cloned().collect()
    }

    /// One user.
    pub fn find(&self, name: &str) -> Option<Arc<User>> {
        self.by_name.read().get(name).cloned()
    }

    /// Adds a user, or gives the one of that name another account. Returns what the store has to learn.
    #[must_use = "the store has to learn of it"]
    pub fn put(&self, name: &str, account: Account) -> Write {
        let write = account.remember(name);
        let mut users = self.by_name.write();
        if let Some(user) = users.get(name) {
            user.account.store(Arc::new(account));
        } else {
            let user = Arc::new(User::new(name, account));
            users.insert(Arc::clone(&user.name), user);
        }
        write
    }

    /// Removes a user. Whoever is logged in as the user may do nothing any more.
    #[must_use = "the store has to learn of it"]
    pub fn remove(&self, name: &str) -> Option<Write> {
        let user = self.by_name.write().remove(name)?;
        user.account.store(Arc::default());
        Some(account::forget(name))
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
        let Some(secret) = user.account().secret.clone() else {
            return false;
        };
        if let Some(answer) = secret.quick_check(password) {
            return answer;
        }
        let Ok(_permit) = self.hashings.acquire().await else {
            return false;
        };
        let password = password.to_vec();
        let check = move || secret.slow_check(&password);
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }
}

impl User {
    pub(super) fn new(name: &str, account: Account) -> Self {
        Self {
            name: name.into(),
            account: ArcSwap::from_pointee(account),
            connections: AtomicU32::new(0),
            channels: AtomicU32::new(0),
        }
    }

    /// What is known of the user now.
    pub fn account(&self) -> Arc<Account> {
        self.account.load_full()
    }

    /// How many connections the user has open.
    pub fn connection_count(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

pub(super) fn admit(user: Arc<User>, peer: &PeerInfo) -> Result<Identity, Denial> {
    if user.account().loopback_only && !peer.loopback {
        return Err(Denial::OnlyLoopback(user.name.clone()));
    }
    Ok(Identity::new(user))
}
