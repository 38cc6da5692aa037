//! Where a script is played: at a broker of its own, or, to see what another one says, in a virtual host of its own there.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use amphora_tests::{Broker, Client, Login};
use anyhow::{Context, bail};

use super::operator::request;

/// Names another broker, as the addresses of its AMQP and HTTP listeners with a comma between them. With RabbitMQ's, this
/// shows that the scripts are true of it, but for those that `differences.toml` names.
const ELSEWHERE: &str = "AMPHORA_SCRIPTS_AT";

#[derive(Debug)]
pub(super) enum Place {
    Own(Box<Broker>),
    Elsewhere {
        amqp: SocketAddr,
        http: String,
        vhost: String,
    },
}

impl Place {
    pub(super) fn find() -> anyhow::Result<Self> {
        match std::env::var(ELSEWHERE) {
            Ok(addresses) => Self::elsewhere(&addresses),
            Err(_) => Ok(Self::Own(Box::new(Broker::start()?))),
        }
    }

    pub(super) fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    pub(super) fn login(&self, login: &Login) -> anyhow::Result<Client> {
        match self {
            Self::Own(broker) => broker.login(login),
            Self::Elsewhere { amqp, vhost, .. } => {
                let mut client = Client::dial(*amqp)?;
                client.login(&Login {
                    vhost: vhost.clone(),
                    ..login.clone()
                })?;
                Ok(client)
            }
        }
    }

    pub(super) fn crash(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Own(broker) => broker.restart(),
            Self::Elsewhere { .. } => bail!("the other broker is not ours to kill"),
        }
    }

    /// What the broker says, as if it were said in `/`.
    pub(super) fn at_home(&self, line: &str) -> String {
        match self {
            Self::Own(_) => line.to_owned(),
            Self::Elsewhere { vhost, .. } => line.replace(vhost, "/"),
        }
    }

    /// The address of its management API.
    pub(super) fn http(&self) -> anyhow::Result<String> {
        match self {
            Self::Own(broker) => Ok(broker.http()?.to_string()),
            Self::Elsewhere { http, .. } => Ok(http.clone()),
        }
    }

    /// The virtual host as that API names it.
    pub(super) fn vhost_in_paths(&self) -> String {
        match self {
            Self::Own(_) => "%2F".to_owned(),
            Self::Elsewhere { vhost, .. } => vhost.clone(),
        }
    }

    fn elsewhere(addresses: &str) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (amqp, http) = addresses.split_once(',').context(ELSEWHERE)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let vhost = format!("scripts-{}-{count}", std::process::id());
        put(http, &format!("vhosts/{vhost}"), "")?;
        let everything = r#"{"configure":".*","write":".*","read":".*"}"#;
        put(http, &format!("permissions/{vhost}/guest"), everything)?;
        Ok(Self::Elsewhere {
            amqp: amqp.parse()?,
            http: http.to_owned(),
            vhost,
        })
    }
}

fn put(http: &str, path: &str, body: &str) -> anyhow::Result<()> {
    let (status, answer) = request(http, "PUT", path, body)?;
    if !(200..300).contains(&status) {
        bail!("PUT {path}: {status} {answer}");
    }
    Ok(())
}
