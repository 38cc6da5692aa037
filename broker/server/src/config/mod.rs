//! What the operator decides: one TOML file, overridden by environment variables, overridden by flags.
//!
//! `config.example.toml` documents every key; a test keeps it, and the defaults here, the same.

mod check;
mod de;
#[cfg(test)]
mod example;
mod limits;
mod load;
mod management;
mod plugin;
mod shown;
mod user;
mod value;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use amphora_protocol::wire::types::VhostName;
use serde::Deserialize;

pub use self::limits::Limits;
pub use self::load::ConfigError;
pub use self::management::{Management, Tracing};
pub use self::plugin::{Attachment, Grant, NamePattern, Plugin, Target};
pub use self::user::{Credential, Permission, User};
pub use self::value::{ByteSize, Maximum, MemoryMark};

/// The whole configuration, with every default filled in.
#[derive(Clone, Debug, PartialEq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where messages and definitions are kept. One broker at a time.
    pub data_dir: PathBuf,
    /// What a publisher's confirm promises.
    pub durability: Durability,
    /// Where the broker listens.
    pub listeners: Listeners,
    /// Certificates for the `amqps` listeners.
    pub tls: Tls,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
    /// What the management API lets callers do.
    pub management: Management,
    /// What is logged, and how.
    pub logging: Logging,
    /// Where spans are exported to.
    pub tracing: Tracing,
    /// Sent to clients in `connection.start`, beside or instead of the broker's own.
    pub server_properties: BTreeMap<String, String>,
    /// The virtual host with the exchange `amq.rabbitmq.event`; empty for none.
    pub event_vhost: String,
    /// The users that exist at the first start.
    pub users: Vec<User>,
    /// A file of definitions in RabbitMQ's format that is taken in at each start.
    pub load_definitions: Option<PathBuf>,
    /// Plugins that are loaded from files, with the files' paths complete.
    #[serde(rename = "plugin")]
    pub plugins: Vec<Plugin>,
    /// Where transforms are applied.
    #[serde(rename = "attach")]
    pub attachments: Vec<Attachment>,
}

/// What a publisher's confirm of a persistent message promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The message is on the disk: it survives a loss of power.
    #[default]
    Fsync,
    /// The operating system has the message: it survives the end of the broker, not of the machine.
    Os,
}

/// Addresses to listen on. An empty list turns the listener off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listeners {
    /// AMQP 0-9-1.
    #[serde(deserialize_with = "value::addresses")]
    pub amqp: Vec<SocketAddr>,
    /// AMQP 0-9-1 over TLS; needs [`Tls::certificate`] and [`Tls::key`].
    #[serde(deserialize_with = "value::addresses")]
    pub amqps: Vec<SocketAddr>,
    /// The management API.
    #[serde(deserialize_with = "value::addresses")]
    pub http: Vec<SocketAddr>,
}

/// Certificates for the `amqps` listeners; all files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The broker's certificate, followed by its intermediate certificates.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key.
    pub key: Option<PathBuf>,
    /// The authorities whose client certificates are accepted; without it none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Refuse clients that present no certificate.
    pub require_client_certificate: bool,
    /// Which part of a client's certificate names the user of an EXTERNAL login.
    pub login_from: LoginFrom,
}

/// Which part of a client's certificate names the user of an EXTERNAL login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginFrom {
    /// The whole subject as RFC 4514 writes it: `CN=shop,O=Example`.
    #[default]
    DistinguishedName,
    /// The subject's common name: `shop`.
    CommonName,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// A level, optionally with levels per part: `info,amphora::management=debug`.
    #[serde(deserialize_with = "value::log_level")]
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The virtual host with the event exchange, if there is to be one.
    ///
    /// # Errors
    /// The name is too long for one.
    pub(crate) fn event_vhost(&self) -> anyhow::Result<Option<VhostName>> {
        let name = Some(self.event_vhost.as_str()).filter(|name| !name.is_empty());
        Ok(name.map(VhostName::new).transpose()?)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./amphora-data"),
            durability: Durability::default(),
            listeners: Listeners::default(),
            tls: Tls::default(),
            limits: Limits::default(),
            management: Management::default(),
            logging: Logging::default(),
            tracing: Tracing::default(),
            server_properties: BTreeMap::new(),
            event_vhost: "/".to_owned(),
            users: vec![User::guest()],
            load_definitions: None,
            plugins: Vec::new(),
            attachments: Vec::new(),
        }
    }
}

impl Default for Listeners {
    fn default() -> Self {
        let local = |port| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        Self {
            amqp: local(5672),
            amqps: Vec::new(),
            http: local(15672),
        }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

impl std::fmt::Display for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fsync => "fsync",
            Self::Os => "os",
        })
    }
}
