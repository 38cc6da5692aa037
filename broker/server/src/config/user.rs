//! The users that exist at the first start.

use std::fmt;

use serde::Deserialize;

use super::value;

/// A user that exists at the first start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(try_from = "Written")]
#[serde(into = "Written")]
pub struct User {
    /// The login name.
    pub name: String,
    /// What proves that a client is this user; nothing for a user that logs in by certificate only.
    pub credential: Option<Credential>,
    /// RabbitMQ's tags: `administrator`, `monitoring`, `policymaker`, `management`, `impersonator`, or one's own.
    pub tags: Vec<String>,
    /// Accept this user only from the broker's own machine.
    pub loopback_only: bool,
    /// What the user may do, per virtual host; one that is not listed is closed to the user.
    pub permissions: Vec<Permission>,
}

/// What proves that a client is a certain user.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A password in clear.
    Password(String),
    /// A password's hash: an Argon2 string (`$argon2id$…`), or RabbitMQ's salted SHA-256 in base64.
    Hash(String),
}

/// A user's rights in one virtual host: regular expressions over the names of queues and exchanges.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The virtual host.
    pub vhost: String,
    /// What may be declared and deleted.
    #[serde(deserialize_with = "value::pattern")]
    pub configure: String,
    /// What may be published to or bound as a destination.
    #[serde(deserialize_with = "value::pattern")]
    pub write: String,
    /// What may be consumed from or bound as a source.
    #[serde(deserialize_with = "value::pattern")]
    pub read: String,
}

impl User {
    /// The user that exists when none is configured: `guest`, from this machine only.
    pub fn guest() -> Self {
        Self {
            name: "guest".to_owned(),
            credential: Some(Credential::Password("guest".to_owned())),
            tags: vec!["administrator".to_owned()],
            loopback_only: true,
            permissions: everything_in_the_default_vhost(),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

fn everything_in_the_default_vhost() -> Vec<Permission> {
    let all = || ".*".to_owned();
    vec![Permission {
        vhost: "/".to_owned(),
        configure: all(),
        write: all(),
        read: all(),
    }]
}

/// A user as the file writes it.
#[derive(Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    password: Option<String>,
    #[serde(default, deserialize_with = "value::password_hash")]
    password_hash: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    loopback_only: bool,
    #[serde(default = "everything_in_the_default_vhost")]
    permissions: Vec<Permission>,
}

impl TryFrom<Written> for User {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let credential = match (written.password, written.password_hash) {
            (Some(_), Some(_)) => {
                return Err(format!(
                    "user {:?} has `password` and `password_hash`; give one",
                    written.name
                ));
            }
            (Some(password), None) => Some(Credential::Password(password)),
            (None, hash) => hash.map(Credential::Hash),
        };
        let Written {
            name,
            tags,
            loopback_only,
            permissions,
            ..
        } = written;
        Ok(Self {
            name,
            credential,
            tags,
            loopback_only,
            permissions,
        })
    }
}

impl From<User> for Written {
    fn from(user: User) -> Self {
        let (password, password_hash) = match user.credential {
            Some(Credential::Password(password)) => (Some(password), None),
            Some(Credential::Hash(hash)) => (None, Some(hash)),
            None => (None, None),
        };
        let User {
            name,
            tags,
            loopback_only,
            permissions,
            ..
        } = user;
        Self {
            name,
            password,
            password_hash,
            tags,
            loopback_only,
            permissions,
        }
    }
}
