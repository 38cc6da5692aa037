//! A client that does one thing after the other, and may do it wrong: whatever bytes a test likes.

mod content;
mod login;
mod stream;

use std::fmt;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use amphora_protocol::wire::frame::{self, Split};
use amphora_protocol::wire::method::{AnyMethod, Method, channel};
use amphora_protocol::wire::types::ChannelNumber;
use anyhow::bail;
use bytes::Bytes;

use crate::PATIENCE;

pub use content::Message;
pub use login::Login;

use stream::Stream;

/// A connection, seen from the client.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Read, and from `start` on not looked at.
    inbox: Vec<u8>,
    start: usize,
    /// The largest frame that was agreed upon.
    pub frame_max: u32,
    /// How long to wait for a frame.
    pub patience: Duration,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A method frame.
    Method(u16, Method),
    /// A content header: channel, size of the body, flags and list of the properties.
    Header(u16, u64, Bytes),
    /// A piece of a body.
    Body(u16, Bytes),
    /// A heartbeat.
    Heartbeat,
}

/// Nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The other side has hung up.
    Closed,
    /// Not in time.
    Silent,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the broker hung up",
            Self::Silent => "the broker says nothing",
        })
    }
}

impl std::error::Error for Ended {}

impl Client {
    /// Connects the socket and says nothing.
    pub fn dial(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self::over(Stream::plain(address)?))
    }

    /// As [`Client::dial`], by TLS.
    pub fn dial_tls(
        address: SocketAddr,
        config: Arc<rustls::ClientConfig>,
    ) -> anyhow::Result<Self> {
        Ok(Self::over(Stream::tls(address, config)?))
    }

    fn over(stream: Stream) -> Self {
        Self {
            stream,
            inbox: Vec::new(),
            start: 0,
            frame_max: 4096,
            patience: PATIENCE,
        }
    }

    /// Writes these bytes, whatever they are.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write(bytes)?)
    }

    /// Sends a method.
    pub fn send(&mut self, channel: u16, method: &impl AnyMethod) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        frame::write_method_frame(ChannelNumber(channel), method, &mut bytes);
        self.write(&bytes)
    }

    /// Sends a method and receives the next one, which has to be on the same channel. Heartbeats are read over.
    pub fn call(&mut self, channel: u16, method: &impl AnyMethod) -> anyhow::Result<Method> {
        self.send(channel, method)?;
        self.method(channel)
    }

    /// Opens a channel.
    pub fn open(&mut self, channel: u16) -> anyhow::Result<()> {
        match self.call(channel, &channel::Open {})? {
            Method::Channel(channel::Method::OpenOk(_)) => Ok(()),
            other => bail!("{} where channel.open-ok belongs", other.name()),
        }
    }

    /// Receives a method on this channel. Heartbeats are read over.
    pub fn method(&mut self, channel: u16) -> anyhow::Result<Method> {
        match self.beyond_heartbeats()? {
            Received::Method(number, method) if number == channel => Ok(method),
            other => bail!("{other:?} where a method on channel {channel} belongs"),
        }
    }

    /// Receives something that is no heartbeat.
    pub fn beyond_heartbeats(&mut self) -> anyhow::Result<Received> {
        loop {
            match self.receive()? {
                Received::Heartbeat => {}
                received => return Ok(received),
            }
        }
    }

    /// Receives one frame, which has to be well-formed.
    ///
    /// # Errors
    /// [`Ended`], if there is none.
    pub fn receive(&mut self) -> anyhow::Result<Received> {
        let deadline = Instant::now() + self.patience;
        loop {
            let input = self.inbox.get(self.start..).unwrap_or_default();
            match frame::split(input, u32::MAX) {
                Split::Whole(frame) => {
                    let received = understand(&frame)?;
                    self.start += frame.payload.len() + frame::OVERHEAD;
                    return Ok(received);
                }
                Split::Wanted(_) => {
                    self.inbox.drain(..self.start);
                    self.start = 0;
                    self.stream.read(&mut self.inbox, deadline)?;
                }
                broken => bail!("{broken:?} from the broker"),
            }
        }
    }

    /// Receives at least this many bytes, as they are.
    ///
    /// # Errors
    /// [`Ended`], if they do not come.
    pub fn bytes(&mut self, count: usize) -> anyhow::Result<Vec<u8>> {
        let deadline = Instant::now() + self.patience;
        while self.inbox.len() - self.start < count {
            self.stream.read(&mut self.inbox, deadline)?;
        }
        let end = self.start + count;
        let bytes = self.inbox.get(self.start..end).unwrap_or_default().to_vec();
        self.start = end;
        Ok(bytes)
    }

    /// Waits until the broker has hung up, without another frame.
    pub fn expect_end(&mut self) -> anyhow::Result<()> {
        match self.receive() {
            Err(error) if error.downcast_ref() == Some(&Ended::Closed) => Ok(()),
            Err(error) => Err(error),
            Ok(received) => bail!("{received:?} where the end belongs"),
        }
    }

    /// The same connection once more, so that one thread can write while another reads. Not by TLS.
    pub fn second_hand(&self) -> anyhow::Result<Self> {
        Ok(Self {
            frame_max: self.frame_max,
            ..Self::over(Stream::Plain(self.stream.socket().try_clone()?))
        })
    }

    /// Says by TCP that no more will be written.
    pub fn shut(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.socket().shutdown(Shutdown::Write)?)
    }
}

fn understand(frame: &frame::Frame<'_>) -> anyhow::Result<Received> {
    let channel = frame.channel.0;
    Ok(match frame.kind {
        frame::METHOD => Received::Method(channel, Method::decode(frame.payload)?),
        frame::HEADER => {
            let (fixed, properties) = frame
                .payload
                .split_first_chunk::<{ frame::CONTENT_HEADER_LEN }>()
                .ok_or_else(|| {
                    anyhow::anyhow!("a content header of {} bytes", frame.payload.len())
                })?;
            let [.., s0, s1, s2, s3, s4, s5, s6, s7] = *fixed;
            let size = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
            Received::Header(channel, size, Bytes::copy_from_slice(properties))
        }
        frame::BODY => Received::Body(channel, Bytes::copy_from_slice(frame.payload)),
        frame::HEARTBEAT if channel == 0 && frame.payload.is_empty() => Received::Heartbeat,
        _ => bail!("{frame:?} from the broker"),
    })
}
