//! A connection's writer task: writes what nobody else has written. Most clients read what they are sent, and never need it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::buffers::{Buffers, SLICES_MAX};
use super::committer::Committer;
use super::input::let_others_go;
use super::peer::{Peer, Touched, try_write};

/// The socket's outgoing side.
#[derive(Debug)]
pub(super) enum Writer {
    Plain(Arc<TcpStream>),
    Tls(Box<WriteHalf<TlsStream<TcpStream>>>),
}

/// Runs until the connection's task drops it or the socket fails.
///
/// Before each write others have their turn. They may have more for this client, which then goes out at once; and a client that reads as fast as its
/// queue can be read back would keep the thread for itself.
pub(super) async fn write_outbox(peer: Arc<Peer>, mut writer: Writer, committer: Arc<Committer>) {
    loop {
        peer.wake.notified().await;
        let_others_go().await;
        let mut touched = Touched::default();
        while let Some(mut buffers) = peer.take(&committer, &mut touched) {
            touched.finish(&committer);
            let written = write_all(&peer, &mut writer, &mut buffers).await;
            peer.put_back(buffers);
            if written.is_err() {
                peer.fail();
                return;
            }
            peer.sent.store(true, Ordering::Relaxed);
            let_others_go().await;
        }
        touched.finish(&committer);
    }
}

async fn write_all(peer: &Peer, writer: &mut Writer, buffers: &mut Buffers) -> io::Result<()> {
    match writer {
        Writer::Plain(socket) => {
            while !try_write(socket, buffers, &peer.written)? {
                socket.writable().await?;
            }
        }
        Writer::Tls(stream) => {
            while !buffers.is_empty() {
                let written = poll_fn(|context| poll_write(stream, context, buffers)).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                peer.written.add(written);
                buffers.advance(written);
            }
            stream.flush().await?;
        }
    }
    Ok(())
}

/// The list of slices is as large as the rest of the task, which would keep it for good if it awaited with it.
fn poll_write(
    stream: &mut WriteHalf<TlsStream<TcpStream>>,
    context: &mut Context<'_>,
    buffers: &Buffers,
) -> Poll<io::Result<usize>> {
    let mut slices = [io::IoSlice::new(&[]); SLICES_MAX];
    let count = buffers.slices(&mut slices);
    Pin::new(stream).poll_write_vectored(context, &slices[..count])
}
