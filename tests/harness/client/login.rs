//! The handshake, as a client does it that knows what it wants.

use amphora_protocol::wire::frame::PROTOCOL_HEADER;
use amphora_protocol::wire::method::Method;
use amphora_protocol::wire::method::connection::{self, Open, StartOk, Tune, TuneOk};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ShortString, VhostName};
use anyhow::bail;
use bytes::Bytes;

use super::Client;

/// How a client introduces itself.
#[derive(Clone, Debug)]
pub struct Login {
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// What the mechanism asks for.
    pub response: Bytes,
    /// The capabilities that the client has.
    pub capabilities: Vec<&'static str>,
    /// What it answers to the server's limits; the server's own, without heartbeats, if it is `None`.
    pub tune: Option<TuneOk>,
    /// The virtual host.
    pub vhost: String,
}

impl Default for Login {
    /// guest, in `/`, with all that RabbitMQ's clients can.
    fn default() -> Self {
        Self {
            mechanism: "PLAIN",
            response: Bytes::from_static(b"\0guest\0guest"),
            capabilities: vec![
                "authentication_failure_close",
                "basic.nack",
                "connection.blocked",
                "consumer_cancel_notify",
                "exchange_exchange_bindings",
                "publisher_confirms",
            ],
            tune: None,
            vhost: "/".to_owned(),
        }
    }
}

impl Login {
    /// A user with a password.
    pub fn plain(user: &str, password: &str) -> Self {
        Self {
            response: format!("\0{user}\0{password}").into(),
            ..Self::default()
        }
    }

    /// As by default, with heartbeats after so many seconds.
    pub fn with_heartbeat(seconds: u16) -> Self {
        Self {
            tune: Some(TuneOk {
                channel_max: 2047,
                frame_max: 131_072,
                heartbeat: seconds,
            }),
            ..Self::default()
        }
    }

    /// The answer to connection.start.
    pub fn start_ok(&self) -> StartOk {
        let capabilities: FieldTable = self
            .capabilities
            .iter()
            .map(|name| (ShortString::cut(name), FieldValue::Bool(true)))
            .collect();
        let properties = [(
            ShortString::cut("capabilities"),
            FieldValue::Table(capabilities),
        )];
        StartOk {
            client_properties: properties.into_iter().collect(),
            mechanism: ShortString::cut(self.mechanism),
            response: self.response.clone(),
            locale: ShortString::cut("en_US"),
        }
    }
}

impl Client {
    /// From the protocol header into the virtual host.
    pub fn login(&mut self, login: &Login) -> anyhow::Result<()> {
        let tune = self.introduce(login)?;
        let tune_ok = login.tune.clone().unwrap_or(TuneOk {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: 0,
        });
        self.frame_max = tune_ok.frame_max;
        self.send(0, &tune_ok)?;
        let open = Open {
            virtual_host: VhostName::new(&login.vhost)?,
        };
        match self.call(0, &open)? {
            Method::Connection(connection::Method::OpenOk(_)) => Ok(()),
            other => bail!("{other:?} where connection.open-ok belongs"),
        }
    }

    /// From the protocol header to the server's proposal of limits.
    pub fn introduce(&mut self, login: &Login) -> anyhow::Result<Tune> {
        self.write(&PROTOCOL_HEADER)?;
        match self.method(0)? {
            Method::Connection(connection::Method::Start(_)) => {}
            other => bail!("{other:?} where connection.start belongs"),
        }
        match self.call(0, &login.start_ok())? {
            Method::Connection(connection::Method::Tune(tune)) => Ok(tune),
            other => bail!("{other:?} where connection.tune belongs"),
        }
    }
}
