//! What a client says until it has a channel, and at the end, while each side waits for the other.

use anyhow::{Context, Result};

use super::call::{Call, Value};
use super::endpoint::Endpoint;
use super::frame::Fields;
use super::method::{MethodId, channel, connection};

/// The only channel that is used.
pub(crate) const CHANNEL: u16 = 1;
/// The largest frame agreed to, whatever the broker offers.
pub(crate) const FRAME_MAX: u32 = 1024 * 1024;

/// What a client says first.
pub(crate) const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// What a broker calls itself.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Server {
    pub(crate) product: String,
    pub(crate) version: String,
}

/// What a client says whatever the broker answers: the same on every connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Script {
    start_ok: Vec<u8>,
    open: Vec<u8>,
    open_channel: Vec<u8>,
    close: Vec<u8>,
}

impl Script {
    /// For the user, password and virtual host of `endpoint`.
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        let answer = format!("\0{}\0{}", endpoint.user, endpoint.password);
        Self {
            start_ok: Call::new(0, connection::START_OK)
                .table(&client_properties())
                .name("PLAIN")
                .bytes(answer.as_bytes())
                .name("en_US")
                .finish(),
            open: Call::new(0, connection::OPEN)
                .name(&endpoint.vhost)
                .name("")
                .octet(0)
                .finish(),
            open_channel: Call::new(CHANNEL, channel::OPEN).name("").finish(),
            close: close(0, connection::CLOSE),
        }
    }

    /// connection.close
    pub(crate) fn close(&self) -> &[u8] {
        &self.close
    }
}

/// connection.close or channel.close, when all went well.
pub(crate) fn close(channel: u16, method: MethodId) -> Vec<u8> {
    Call::new(channel, method)
        .short(200)
        .name("done")
        .short(0)
        .short(0)
        .finish()
}

/// How far a client is with its login (PLAIN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeted,
    LoggingIn,
    Entering,
    OpeningChannel,
    Done,
}

/// A login, from the protocol's header to the open channel.
#[derive(Debug)]
pub(crate) struct Login {
    stage: Stage,
    /// Product and version from the broker's properties.
    pub(crate) server: Server,
    /// The largest frame, head and end included, that both sides agreed to.
    pub(crate) frame_max: u32,
}

impl Login {
    /// One that is to be begun with [`PROTOCOL_HEADER`].
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Greeted,
            server: Server::default(),
            frame_max: FRAME_MAX,
        }
    }

    /// What the broker has to say next; nothing when the channel is open.
    pub(crate) fn awaits(&self) -> Option<MethodId> {
        match self.stage {
            Stage::Greeted => Some(connection::START),
            Stage::LoggingIn => Some(connection::TUNE),
            Stage::Entering => Some(connection::OPEN_OK),
            Stage::OpeningChannel => Some(channel::OPEN_OK),
            Stage::Done => None,
        }
    }

    /// What is wrong if the broker does not say it; nothing when the channel is open.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match self.stage {
            Stage::Greeted => Some("no connection.start came"),
            Stage::LoggingIn => Some("after connection.start-ok (user and password)"),
            Stage::Entering => Some("after connection.open (virtual host)"),
            Stage::OpeningChannel => Some("after channel.open"),
            Stage::Done => None,
        }
    }

    /// Appends to `out` what is to be said when the broker has said what is awaited, with these arguments.
    ///
    /// # Errors
    /// If they are cut short.
    pub(crate) fn go_on(
        &mut self,
        script: &Script,
        arguments: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.stage = match self.stage {
            Stage::Greeted => {
                self.server = server_properties(arguments).unwrap_or_default();
                out.extend_from_slice(&script.start_ok);
                Stage::LoggingIn
            }
            Stage::LoggingIn => {
                let (channel_max, frame_max) =
                    tuning(arguments).context("connection.tune is cut short")?;
                if frame_max != 0 {
                    self.frame_max = frame_max.min(FRAME_MAX);
                }
                let tune_ok = Call::new(0, connection::TUNE_OK)
                    .short(channel_max)
                    .long(self.frame_max)
                    .short(0);
                out.extend_from_slice(&tune_ok.finish());
                out.extend_from_slice(&script.open);
                Stage::Entering
            }
            Stage::Entering => {
                out.extend_from_slice(&script.open_channel);
                Stage::OpeningChannel
            }
            Stage::OpeningChannel | Stage::Done => Stage::Done,
        };
        Ok(())
    }
}

fn client_properties() -> Vec<(String, Value)> {
    let yes = |name: &str| (name.to_owned(), Value::Bool(true));
    let capabilities = [
        "authentication_failure_close",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "publisher_confirms",
    ];
    vec![
        ("product".to_owned(), Value::Text("amphora perf".to_owned())),
        (
            "version".to_owned(),
            Value::Text(env!("CARGO_PKG_VERSION").to_owned()),
        ),
        (
            "capabilities".to_owned(),
            Value::Table(capabilities.into_iter().map(yes).collect()),
        ),
    ]
}

fn server_properties(start: &[u8]) -> Option<Server> {
    let mut arguments = Fields::new(start);
    arguments.short()?;
    let table = arguments.bytes()?;
    let text = |name| Fields::text_in(table, name).unwrap_or_default().to_owned();
    Some(Server {
        product: text("product"),
        version: text("version"),
    })
}

fn tuning(tune: &[u8]) -> Option<(u16, u32)> {
    let mut arguments = Fields::new(tune);
    Some((arguments.short()?, arguments.long()?))
}
