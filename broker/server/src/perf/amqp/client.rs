//! A blocking connection with one channel.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::call::Call;
use super::dialogue::{CHANNEL, FRAME_MAX, Login, PROTOCOL_HEADER, Script, Server, close};
use super::endpoint::Endpoint;
use super::frame::Frame;
use super::inbox::Inbox;
use super::method::{MethodId, channel, connection};

/// How long the broker may take for an answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the broker may take to work off what was sent before a channel is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_mins(2);

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
        let stream = endpoint
            .resolve()
            .and_then(|addresses| connect(&addresses))
            .with_context(|| format!("cannot connect to {endpoint}"))?;
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
        self.send_all(&close(CHANNEL, channel::CLOSE))?;
        self.answer(channel::CLOSE_OK).map(drop)
    }

    /// Closes the connection as the protocol wants it.
    pub(crate) fn close(mut self) -> Result<()> {
        self.time_out_after(ANSWER_TIMEOUT)?;
        self.send_all(&close(0, connection::CLOSE))?;
        self.answer(connection::CLOSE_OK).map(drop)
    }

    fn handshake(&mut self, endpoint: &Endpoint) -> Result<()> {
        let script = Script::new(endpoint);
        let mut login = Login::new();
        self.stream.write_all(PROTOCOL_HEADER)?;
        let mut words = Vec::new();
        while let (Some(awaited), Some(trouble)) = (login.awaits(), login.trouble()) {
            let arguments = self.answer(awaited).context(trouble)?;
            login.go_on(&script, &arguments, &mut words)?;
            self.send_all(&words).context(trouble)?;
            words.clear();
        }
        self.server = login.server;
        self.frame_max = login.frame_max;
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

/// Connects to the first of the addresses that answers.
pub(crate) fn connect(addresses: &[SocketAddr]) -> Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(address, ANSWER_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error.into()),
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("the host name has no address")))
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
