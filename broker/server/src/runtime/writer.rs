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
use super::peer::{DIRECT_BYTES, Peer, Touched, try_write};

/// The socket's outgoing side.
#[derive(Debug)]
pub(super) enum Writer {
    Plain(Arc<TcpStream>),
    Tls(Box<WriteHalf<TlsStream<TcpStream>>>),
}

/// Runs until the connection's task drops it or the socket fails.
///
/// Before each write others have their turn, or some. They may have more for this client, which then goes out at once; and a client that reads as fast
/// as its queue can be read back would keep the thread for itself.
pub(super) async fn write_outbox(peer: Arc<Peer>, mut writer: Writer, committer: Arc<Committer>) {
    loop {
        peer.wake.notified().await;
        let_others_add(&peer).await;
        let mut touched = Touched::default();
        while let Some(mut buffers) = peer.take(&committer, &mut touched) {
            touched.finish(&committer);
            let written = write_all(&peer, &mut writer, &mut buffers).await;
            if let Err(error) = written {
                peer.fail(error);
                peer.put_back(buffers);
                return;
            }
            peer.put_back(buffers);
            peer.sent.store(true, Ordering::Relaxed);
            let_others_add(&peer).await;
        }
        touched.finish(&committer);
    }
}

/// Others have their turn, and again as long as each time they have something for this client, until that is worth a system call of its own. What is
/// due already does not wait for more.
async fn let_others_add(peer: &Peer) {
    for _ in 0..TURNS_MAX {
        let before = peer.outbox_size();
        let_others_go().await;
        let size = peer.outbox_size();
        if size < before + ADDED_MIN || size >= DIRECT_BYTES || peer.is_stalled() {
            break;
        }
    }
}

/// What is there goes out after so many turns, however little they add.
const TURNS_MAX: usize = 16;
/// Somebody who gets less than this in a turn would wait long, and save little.
const ADDED_MIN: usize = 512;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_writer_waits_as_long_as_others_add_much() {
        const MANY: usize = 100;
        for (each, turns, stalled, waits) in [
            (ADDED_MIN, 5, false, 5),
            (ADDED_MIN, 5, true, 1),
            (ADDED_MIN - 1, 5, false, 1),
            (ADDED_MIN, MANY, false, TURNS_MAX),
            (DIRECT_BYTES / 3, MANY, false, 4),
        ] {
            let peer = Peer::new(1, None);
            peer.outbox.lock().stalled = stalled.then(Buffers::default);
            let (waiter, adder) = (Arc::clone(&peer), Arc::clone(&peer));
            // Both are tasks, which take turns.
            let waiting = tokio::spawn(async move {
                let_others_add(&waiter).await;
                waiter.outbox_size()
            });
            let add = move || {
                let mut outbox = adder.outbox.lock();
                outbox.raw(&vec![0; each]);
                adder.publish_size(&outbox);
            };
            tokio::spawn(async move {
                for _ in 0..turns {
                    add();
                    let_others_go().await;
                }
            });
            let size = waiting.await.unwrap_or_default();
            assert_eq!(size, waits * each, "{turns} times {each}");
        }
    }
}
