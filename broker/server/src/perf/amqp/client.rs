//! A blocking connection with one channel.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::call::{Call, Value};
use super::endpoint::Endpoint;
use super::frame::{Fields, Frame};
use super::inbox::Inbox;
use super::method::{MethodId, channel, connection};

/// The only channel that is used.
pub(crate) const CHANNEL: u16 = 1;
/// How long the broker may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the broker may take to work off what was sent before a channel is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_mins(2);
/// The largest frame agreed to, whatever the broker offers.
const FRAME_MAX: u32 = 1024 * 1024;

/// What a broker calls itself.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Server {
    pub(crate) product: String,
    pub(crate) version: String,
}

/// A connection to a broker with channel 1 open. Heartbeats are off, so that nothing but the load is measured.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    inbox: Inbox,
    frame_max: u32,
    timeout: Duration,
    server: Server,
}

impl Client {
    /// Connects, logs in (PLAIN) and opens the channel.
    ///
    /// # Errors
    /// If the connection is refused, or the broker closes it: with the broker's code and text.
    pub(crate) fn open(endpoint: &Endpoint) -> Result<Self> {
        let stream = connect(endpoint).with_context(|| format!("cannot connect to {endpoint}"))?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            inbox: Inbox::new(),
            frame_max: FRAME_MAX,
            timeout: Duration::MAX,
            server: Server::default(),
        };
        client.time_out_after(ANSWER_TIMEOUT)?;
        client
            .handshake(endpoint)
            .with_context(|| format!("cannot log in to {endpoint}"))?;
        Ok(client)
    }

    /// Product and version from the broker's properties.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The largest frame, head and end included, that both sides agreed to.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max as usize
    }

    /// Sends a method and waits for its answer; returns the answer's arguments.
    ///
    /// # Errors
    /// If the broker closes the channel or connection instead, or is silent for 30 seconds.
    pub(crate) fn call(&mut self, call: Call, answer: MethodId) -> Result<Vec<u8>> {
        self.send_all(&call.finish())?;
        self.answer(answer)
    }

    /// Sends bytes that are small enough to wait for.
    pub(crate) fn send_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .write_all(bytes)
            .map_err(|error| self.explain(error))
    }

    /// Sends bytes; `Ok(0)` says that the broker has not taken any for the length of the timeout.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<usize> {
        loop {
            return match self.stream.write(bytes) {
                Ok(0) => bail!("the broker closed the socket"),
                Ok(count) => Ok(count),
                Err(error) if is_timeout(error.kind()) => Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(self.explain(error)),
            };
        }
    }

    /// Reads once and hands on what has arrived; `on_bytes` says how much of it is used up.
    /// Nothing is handed on if nothing came within the timeout.
    pub(crate) fn receive(&mut self, on_bytes: impl FnOnce(&[u8]) -> Result<usize>) -> Result<()> {
        match self.inbox.fill(&mut self.stream) {
            Ok(true) => {}
            Ok(false) => bail!("the broker closed the socket without a word"),
            Err(error) if is_timeout(error.kind()) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let used = on_bytes(self.inbox.bytes())?;
        self.inbox.consume(used);
        Ok(())
    }

    /// Waits until there is something to read, at most for `patience`.
    pub(crate) fn readable(&self, patience: Duration) -> Result<bool> {
        readable(&self.stream, patience)
    }

    /// Closes the channel and waits for the answer: everything sent before it has been handled by then.
    pub(crate) fn close_channel(&mut self) -> Result<()> {
        self.time_out_after(CLOSE_TIMEOUT)?;
        let close = Call::new(CHANNEL, channel::CLOSE)
            .short(200)
            .name("done")
            .short(0)
            .short(0);
        self.call(close, channel::CLOSE_OK).map(drop)
    }

    /// Closes the connection as the protocol wants it.
    pub(crate) fn close(mut self) -> Result<()> {
        self.time_out_after(ANSWER_TIMEOUT)?;
        let close = Call::new(0, connection::CLOSE)
            .short(200)
            .name("done")
            .short(0)
            .short(0);
        self.call(close, connection::CLOSE_OK).map(drop)
    }

    fn handshake(&mut self, endpoint: &Endpoint) -> Result<()> {
        self.stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let start = self
            .answer(connection::START)
            .map_err(|error| error.context("no connection.start came"))?;
        self.server = server_properties(&start).unwrap_or_default();
        let answer = format!("\0{}\0{}", endpoint.user, endpoint.password);
        let start_ok = Call::new(0, connection::START_OK)
            .table(&client_properties())
            .name("PLAIN")
            .bytes(answer.as_bytes())
            .name("en_US");
        let tune = self
            .call(start_ok, connection::TUNE)
            .map_err(|error| error.context("after connection.start-ok (user and password)"))?;
        let (channel_max, frame_max) = tuning(&tune).context("connection.tune is cut short")?;
        self.frame_max = if frame_max == 0 {
            FRAME_MAX
        } else {
            frame_max.min(FRAME_MAX)
        };
        let tune_ok = Call::new(0, connection::TUNE_OK)
            .short(channel_max)
            .long(self.frame_max)
            .short(0);
        let open = Call::new(0, connection::OPEN)
            .name(&endpoint.vhost)
            .name("")
            .octet(0);
        self.send_all(&[tune_ok.finish(), open.finish()].concat())?;
        self.answer(connection::OPEN_OK)?;
        self.call(Call::new(CHANNEL, channel::OPEN).name(""), channel::OPEN_OK)?;
        Ok(())
    }

    /// Reads frames until `expected` comes; deliveries and notices before it are passed over.
    fn answer(&mut self, expected: MethodId) -> Result<Vec<u8>> {
        loop {
            while let Some((frame, length)) = Frame::split(self.inbox.bytes())? {
                frame.refuse_closing()?;
                let arguments =
                    (frame.method() == Some(expected)).then(|| frame.payload[4..].to_vec());
                self.inbox.consume(length);
                if let Some(arguments) = arguments {
                    return Ok(arguments);
                }
            }
            match self.inbox.fill(&mut self.stream) {
                Ok(true) => {}
                Ok(false) => bail!("the broker closed the socket without a word"),
                Err(error) if is_timeout(error.kind()) => {
                    bail!(
                        "no answer from the broker within {} s (waiting for method {}.{})",
                        self.timeout.as_secs(),
                        expected.0,
                        expected.1
                    )
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A write fails when the broker has closed the socket; why is then in what it sent before.
    fn explain(&mut self, error: std::io::Error) -> anyhow::Error {
        let mut rest = Vec::new();
        let mut source = (&self.stream).take(1024 * 1024);
        // Whatever came before the end or the reset is read; how the reading ends adds nothing to the error at hand.
        let _ = source.read_to_end(&mut rest);
        let bytes = [self.inbox.bytes(), &rest].concat();
        let mut at = 0;
        while let Ok(Some((frame, length))) = Frame::split(&bytes[at..]) {
            if let Err(reason) = frame.refuse_closing() {
                return reason;
            }
            at += length;
        }
        anyhow!(error).context("the broker closed the socket without a word")
    }

    /// How long reads and writes wait.
    pub(crate) fn time_out_after(&mut self, timeout: Duration) -> Result<()> {
        if timeout == self.timeout {
            return Ok(());
        }
        self.timeout = timeout;
        self.stream.set_read_timeout(Some(timeout))?;
        self.stream.set_write_timeout(Some(timeout))?;
        Ok(())
    }
}

/// Waits until `stream` has something to read, at most for `patience`.
pub(crate) fn readable(stream: &TcpStream, patience: Duration) -> Result<bool> {
    let timeout = Timespec::try_from(patience)?;
    let mut sockets = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)];
    match poll(&mut sockets, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn connect(endpoint: &Endpoint) -> Result<TcpStream> {
    let mut last = None;
    for address in endpoint.address().to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error.into()),
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("the host name has no address")))
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

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
