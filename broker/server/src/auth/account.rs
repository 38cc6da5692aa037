//! What is known of a user: credential, tags, limits, permissions. It is one definition of the store, and changes as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use amphora_core::definition::Family;
use amphora_core::store::Write;
use bytes::{BufMut, Bytes, BytesMut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::password::PasswordHash;
use super::permission::Permissions;
use super::secret::Secret;
use super::topic_permission::TopicPermissions;
use crate::config::{self, Credential};

/// The family of definitions that holds users. Key: the family, the name to the end. Value: a byte for the version (1), and JSON.
const FAMILY: u8 = Family::OPAQUE_MIN + 3;
const VERSION: u8 = 1;

/// What is known of a user. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub(super) secret: Option<Arc<Secret>>,
    /// RabbitMQ's tags, and one's own.
    pub tags: Arc<[String]>,
    /// Accepted only from the broker's own machine.
    pub loopback_only: bool,
    /// What the user may do, by virtual host.
    pub permissions: BTreeMap<String, Arc<Permissions>>,
    /// What the user may do with routing keys, by virtual host and topic exchange. An exchange that is not here is open.
    pub topic_permissions: BTreeMap<String, BTreeMap<String, Arc<TopicPermissions>>>,
    /// How much the user may have.
    pub limits: UserLimits,
}

/// How much a user may have: nothing for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct UserLimits {
    /// Open connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<i64>,
    /// Open channels on all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_channels: Option<i64>,
}

/// A user as the store has it.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    password_hash: Option<String>,
    tags: Vec<String>,
    loopback_only: bool,
    limits: UserLimits,
    permissions: Vec<StoredPermission>,
    topic_permissions: Vec<StoredTopicPermission>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredPermission {
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredTopicPermission {
    vhost: String,
    exchange: String,
    write: String,
    read: String,
}

impl Account {
    /// Somebody who may do nothing yet.
    pub fn new(loopback_only: bool) -> Self {
        Self {
            loopback_only,
            ..Self::default()
        }
    }

    /// The user of a configuration. Hashes a password: slow.
    pub(super) fn seeded(user: &config::User) -> anyhow::Result<Self> {
        let secret = match &user.credential {
            Some(Credential::Password(password)) => Some(Secret::of_password(password)?),
            Some(Credential::Hash(hash)) => Some(Secret::of_hash(PasswordHash::parse(hash)?)),
            None => None,
        };
        let mut permissions = BTreeMap::new();
        for each in &user.permissions {
            let granted = Permissions::new(&each.configure, &each.write, &each.read)?;
            permissions.insert(each.vhost.clone(), Arc::new(granted));
        }
        Ok(Self {
            secret: secret.map(Arc::new),
            tags: user.tags.clone().into(),
            loopback_only: user.loopback_only,
            permissions,
            ..Self::default()
        })
    }

    /// Somebody who may do everything in every virtual host that is asked for.
    pub(super) fn of_the_broker(vhost: &str) -> Self {
        Self {
            permissions: BTreeMap::from([(vhost.to_owned(), Arc::new(Permissions::all()))]),
            ..Self::default()
        }
    }

    /// The hash of the user's password, if there is one.
    pub fn password_hash(&self) -> Option<&PasswordHash> {
        self.secret.as_ref().map(|secret| secret.hash())
    }

    /// From now on this is the password; with nothing, the user logs in by certificate only.
    pub fn set_password(&mut self, hash: Option<PasswordHash>) {
        let same = self.password_hash() == hash.as_ref();
        if !same {
            self.secret = hash.map(|hash| Arc::new(Secret::of_hash(hash)));
        }
    }

    /// What the store is to remember of the user.
    pub(super) fn remember(&self, name: &str) -> Write {
        let permissions = self.permissions.iter();
        let topics = self.topic_permissions.iter();
        let stored = Stored {
            password_hash: self.password_hash().map(ToString::to_string),
            tags: self.tags.to_vec(),
            loopback_only: self.loopback_only,
            limits: self.limits,
            permissions: permissions
                .map(|(vhost, granted)| StoredPermission {
                    vhost: vhost.clone(),
                    configure: granted.configure.as_str().to_owned(),
                    write: granted.write.as_str().to_owned(),
                    read: granted.read.as_str().to_owned(),
                })
                .collect(),
            topic_permissions: topics
                .flat_map(|(vhost, exchanges)| {
                    exchanges
                        .iter()
                        .map(move |(exchange, granted)| StoredTopicPermission {
                            vhost: vhost.clone(),
                            exchange: exchange.clone(),
                            write: granted.write().to_owned(),
                            read: granted.read().to_owned(),
                        })
                })
                .collect(),
        };
        let mut value = vec![VERSION];
        // Texts and numbers under names: there is nothing in it that JSON cannot say.
        value.extend(serde_json::to_vec(&stored).unwrap_or_default());
        Write::PutDefinition {
            key: key(name),
            value: value.into(),
        }
    }

    fn read(name: &str, value: &[u8]) -> anyhow::Result<Self> {
        let json = match value.split_first() {
            Some((&VERSION, json)) => json,
            Some((other, _)) => {
                anyhow::bail!("its version is {other}, and this program knows {VERSION}")
            }
            None => anyhow::bail!("it is cut short"),
        };
        let stored: Stored = serde_json::from_slice(json)?;
        let mut account = Self {
            tags: stored.tags.into(),
            loopback_only: stored.loopback_only,
            limits: stored.limits,
            ..Self::default()
        };
        let hash = stored.password_hash.as_deref();
        account.set_password(hash.map(PasswordHash::parse).transpose()?);
        for each in stored.permissions {
            let granted = Permissions::new(&each.configure, &each.write, &each.read)?;
            account.permissions.insert(each.vhost, Arc::new(granted));
        }
        for each in stored.topic_permissions {
            let granted = TopicPermissions::new(&each.write, &each.read, name, &each.vhost)?;
            let exchanges = account.topic_permissions.entry(each.vhost).or_default();
            exchanges.insert(each.exchange, Arc::new(granted));
        }
        Ok(account)
    }
}

/// What the store is to forget when a user goes.
pub(super) fn forget(name: &str) -> Write {
    Write::DeleteDefinition { key: key(name) }
}

/// The user of a definition, if it is one of that family.
///
/// # Errors
/// It is damaged, or was written by a later version.
pub(super) fn recover(key: &[u8], value: &[u8]) -> Option<anyhow::Result<(String, Account)>> {
    let name = key.strip_prefix(&[FAMILY])?;
    let name = String::from_utf8_lossy(name).into_owned();
    Some(match Account::read(&name, value) {
        Ok(account) => Ok((name, account)),
        Err(error) => Err(error.context(format!("the definition of user '{name}' is damaged"))),
    })
}

fn key(name: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(1 + name.len());
    key.put_u8(FAMILY);
    key.put_slice(name.as_bytes());
    key.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_comes_back_from_the_store() -> anyhow::Result<()> {
        let mut account = Account {
            tags: vec!["management".to_owned()].into(),
            loopback_only: true,
            limits: UserLimits {
                max_connections: Some(3),
                max_channels: None,
            },
            ..Account::default()
        };
        account.set_password(Some(PasswordHash::of("secret")?));
        let granted = Permissions::new("^a", "", ".*")?;
        account
            .permissions
            .insert("/".to_owned(), Arc::new(granted));
        let topic = TopicPermissions::new("^{username}", ".*", "shop", "/")?;
        account
            .topic_permissions
            .entry("/".to_owned())
            .or_default()
            .insert("amq.topic".to_owned(), Arc::new(topic));
        let Write::PutDefinition { key, value } = account.remember("shop") else {
            anyhow::bail!("it is put");
        };
        let (name, read) = recover(&key, &value).unwrap_or_else(|| anyhow::bail!("a user"))?;
        assert_eq!(name, "shop");
        assert_eq!(format!("{read:?}"), format!("{account:?}"));
        assert!(recover(b"\x03other", &value).is_none());
        for damaged in [&b""[..], b"\x02{}", b"\x01{", b"\x01{}"] {
            assert!(recover(&key, damaged).is_some_and(|read| read.is_err()));
        }
        Ok(())
    }
}
