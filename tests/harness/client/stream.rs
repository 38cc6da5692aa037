//! The socket, with or without TLS, and with deadlines.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::Ended;
use crate::PATIENCE;

/// What is read at once at most.
const READ_MAX: usize = 256 << 10;

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn plain(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Plain(socket))
    }

    /// Through the handshake, so that a refusal is an error here. The server's name is `localhost`.
    pub(super) fn tls(address: SocketAddr, config: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let Self::Plain(mut socket) = Self::plain(address)? else {
            unreachable!("a plain stream is plain");
        };
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost")?;
        let mut connection = ClientConnection::new(config, name)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Appends what there is, as soon as there is something.
    pub(super) fn read(&mut self, inbox: &mut Vec<u8>, deadline: Instant) -> anyhow::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Ended::Silent.into());
        }
        self.socket().set_read_timeout(Some(left))?;
        let before = inbox.len();
        inbox.resize(before + READ_MAX, 0);
        let room = inbox.get_mut(before..).unwrap_or_default();
        let read = match self {
            Self::Plain(socket) => socket.read(room),
            Self::Tls(stream) => stream.read(room),
        };
        inbox.truncate(before + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(0) => Err(Ended::Closed.into()),
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(Ended::Silent.into()),
                // What was written crossed the broker's end of the connection.
                ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => Err(Ended::Closed.into()),
                _ => Err(error.into()),
            },
        }
    }
}
