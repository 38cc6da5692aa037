//! What a client sends, from the socket into the connection's buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::io::retry_on_intr;
use tokio::io::{AsyncRead, Interest, ReadBuf, ReadHalf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::input::Input;

/// The socket's incoming side.
#[derive(Debug)]
pub(super) enum Reader {
    Plain(Arc<TcpStream>),
    Tls(Box<ReadHalf<TlsStream<TcpStream>>>),
}

impl Reader {
    /// Waits for input, and for its turn if the client sends much; returns how much was read. Nothing is lost if it is dropped before. A client that is
    /// silent needs no buffer.
    pub(super) async fn read(&mut self, input: &mut Input, wanted: usize) -> io::Result<usize> {
        let readers = input.line_up();
        let mut turn = match &readers {
            Some(readers) => readers.turn().await,
            None => None,
        };
        input.leave_line();
        poll_fn(|context| {
            let polled = match self {
                Self::Plain(socket) => poll_read(socket, context, input, wanted),
                Self::Tls(stream) => poll_decipher(stream, context, input, wanted),
            };
            if polled.is_pending() {
                turn = None;
            }
            polled
        })
        .await
    }
}

fn poll_read(
    socket: &TcpStream,
    context: &mut Context<'_>,
    input: &mut Input,
    wanted: usize,
) -> Poll<io::Result<usize>> {
    loop {
        let Poll::Ready(ready) = socket.poll_read_ready(context) else {
            input.pause();
            return Poll::Pending;
        };
        ready?;
        match try_read(socket, input.room(wanted)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return Poll::Ready(read),
        }
    }
}

/// A read that brings less than there is room for has emptied the socket, and tokio is told so. It would find out with a system call more.
fn try_read(socket: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    let mut brought = 0;
    let read = socket.try_io(Interest::READABLE, || {
        brought = retry_on_intr(|| rustix::io::read(socket, &mut *room))?;
        if 0 < brought && brought < room.len() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(brought)
    });
    if brought > 0 { Ok(brought) } else { read }
}

fn poll_decipher(
    stream: &mut ReadHalf<TlsStream<TcpStream>>,
    context: &mut Context<'_>,
    input: &mut Input,
    wanted: usize,
) -> Poll<io::Result<usize>> {
    let mut room = ReadBuf::new(input.room(wanted));
    let polled = Pin::new(stream).poll_read(context, &mut room);
    let count = room.filled().len();
    if polled.is_pending() {
        input.pause();
    }
    polled.map_ok(|()| count)
}
