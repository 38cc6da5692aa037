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
        let mut in_line = input.line_up();
        loop {
            let mut turn = match &in_line {
                Some(readers) => readers.turn().await,
                None => None,
            };
            input.leave_line();
            let mut was_pending = false;
            let read = poll_fn(|context| {
                // It is woken, and reads when it has its turn.
                if was_pending && let Some(readers) = input.line_up_again() {
                    return Poll::Ready(Err(readers));
                }
                let polled = match self {
                    Self::Plain(socket) => poll_read(socket, context, input, wanted),
                    Self::Tls(stream) => poll_decipher(stream, context, input, wanted),
                };
                if polled.is_pending() {
                    was_pending = true;
                    turn = None;
                }
                polled.map(Ok)
            });
            let readers = match read.await {
                Ok(read) => return read,
                Err(readers) => readers,
            };
            drop(turn);
            in_line = Some(readers);
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::runtime::Handle;

    use super::super::input::Readers;
    use super::*;

    const MUCH: usize = 30_000;

    async fn pair(listener: &TcpListener) -> (TcpStream, Reader) {
        let address = listener.local_addr().expect("it is bound");
        let client = TcpStream::connect(address).await.expect("it listens");
        let (server, _) = listener.accept().await.expect("one connects");
        (client, Reader::Plain(Arc::new(server)))
    }

    async fn read_all(reader: &mut Reader, input: &mut Input, mut count: usize) {
        while count > 0 {
            let read = reader.read(input, 0).await.expect("nobody hangs up");
            input.add(read);
            input.take(read);
            count -= read;
        }
    }

    #[tokio::test]
    async fn many_that_are_woken_together_let_one_read_that_is_used_to_little() {
        const MANY: usize = 50;
        let readers = Readers::of(&Handle::current());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let rounds = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        let mut tasks = Vec::new();
        for _ in 0..MANY {
            let (client, mut reader) = pair(&listener).await;
            clients.push(client);
            let (readers, rounds) = (Arc::clone(&readers), Arc::clone(&rounds));
            tasks.push(tokio::spawn(async move {
                let mut input = Input::new(readers);
                for _ in 0..2 {
                    read_all(&mut reader, &mut input, MUCH).await;
                    input.stop_clock();
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        let (mut last, mut reader) = pair(&listener).await;
        let little = tokio::spawn({
            let (readers, rounds) = (Arc::clone(&readers), Arc::clone(&rounds));
            async move {
                let mut input = Input::new(readers);
                for _ in 0..2 {
                    read_all(&mut reader, &mut input, 100).await;
                }
                rounds.load(Ordering::Relaxed)
            }
        });
        let much = vec![0; MUCH];
        let mut say = async || {
            for client in &mut clients {
                client.write_all(&much).await.expect("there is room");
            }
            last.write_all(&[0; 100]).await.expect("there is room");
        };
        say().await;
        while rounds.load(Ordering::Relaxed) < MANY {
            tokio::task::yield_now().await;
        }
        // They wait for their clients, and are woken together.
        say().await;
        let before = little.await.expect("it ends") - MANY;
        assert!(before < 10, "it reads after {before} of {MANY}");
        for task in tasks {
            task.await.expect("it ends");
        }
    }
}
