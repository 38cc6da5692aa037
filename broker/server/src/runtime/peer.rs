//! A connection as others see it: its outbox, and the right to write it to the socket.
//!
//! Whoever has put something into outboxes calls [`Touched::finish`] when it holds no lock any more. Few or well filled
//! outboxes are then written at once by the one who filled them; otherwise each connection's writer task is woken. One that has got much while
//! a batch is handed to many queues does not wait for the last of them ([`Touched::write_large`]).
//! `writing` is a token, not a lock: its holder swaps the buffers out and writes without holding anything.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use amphora_core::queue::ConsumerKey;
use amphora_protocol::wire::method::Method;
use amphora_protocol::wire::types::{ChannelNumber, ConsumerTag};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::buffers::{Buffers, SLICES_MAX};
use super::committer::Committer;
use super::counters::Octets;
use super::outbox::{OUTBOX_BYTES, Outbox};
use super::queue::SharedQueue;
use super::writer::{Writer, write_outbox};

/// What others have to tell a connection's task.
#[derive(Debug)]
pub(super) enum Letter {
    /// The server has cancelled the consumer.
    Cancelled {
        channel: ChannelNumber,
        tag: ConsumerTag,
        /// Which it was: by the time that the letter is read, another one may have the tag.
        queue: Arc<SharedQueue>,
        key: ConsumerKey,
        /// The client knows.
        told: bool,
    },
    /// How long consumers may hold messages has changed.
    TimeoutsChanged,
    /// Close the connection with 320 and this text.
    Close(String),
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: u64,
    pub(super) outbox: Mutex<Outbox>,
    /// [`Outbox::size`], readable without the lock.
    size: AtomicUsize,
    /// [`Outbox::confirmed`], likewise.
    confirmed: AtomicU64,
    /// Wakes the writer task.
    pub(super) wake: Notify,
    /// The writer task, when it has been needed.
    writer: OnceLock<AbortHandle>,
    /// The socket, if others than the writer task may write to it.
    pub(super) direct: Option<Arc<TcpStream>>,
    /// Something was written since the heartbeat looked last.
    pub(super) sent: AtomicBool,
    pub(super) written: Octets,
    letters: Mutex<Vec<Letter>>,
    /// There are letters, or the socket has failed.
    pub(super) attention: Notify,
    /// Why the socket has failed, if it has.
    failure: OnceLock<io::Error>,
    /// It is in the committer's list of those whose confirms wait, or will be when the committer has looked at what it waits for. What it waits for is
    /// under the outbox's lock, which orders it with this; only the committer's thread takes it out.
    pub(super) awaits: AtomicBool,
    /// The client understands basic.cancel from the server.
    pub(super) cancel_notify: AtomicBool,
    /// The client understands connection.blocked.
    pub(super) blocked_notify: AtomicBool,
}

impl Peer {
    pub(super) fn new(id: u64, direct: Option<Arc<TcpStream>>) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbox: Mutex::default(),
            size: AtomicUsize::new(0),
            confirmed: AtomicU64::new(0),
            wake: Notify::new(),
            writer: OnceLock::new(),
            direct,
            sent: AtomicBool::new(false),
            written: Octets::default(),
            letters: Mutex::default(),
            attention: Notify::new(),
            failure: OnceLock::new(),
            awaits: AtomicBool::new(false),
            cancel_notify: AtomicBool::new(false),
            blocked_notify: AtomicBool::new(false),
        })
    }

    pub(super) fn outbox_size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    pub(super) fn publish_size(&self, outbox: &Outbox) {
        self.size.store(outbox.size, Ordering::Relaxed);
        self.confirmed.store(outbox.confirmed, Ordering::Relaxed);
    }

    /// Appends a method.
    pub(super) fn send(&self, channel: ChannelNumber, method: impl Into<Method>) {
        let mut outbox = self.outbox.lock();
        outbox.method(channel, &method.into());
        self.publish_size(&outbox);
    }

    pub(super) fn post(&self, letter: Letter) {
        self.letters.lock().push(letter);
        self.attention.notify_one();
    }

    pub(super) fn letters(&self) -> Vec<Letter> {
        std::mem::take(&mut *self.letters.lock())
    }

    /// The text with which the connection is told to close, if it is. Whoever takes it closes the connection.
    pub(super) fn take_close(&self) -> Option<String> {
        let mut letters = self.letters.lock();
        let at = letters
            .iter()
            .position(|letter| matches!(letter, Letter::Close(_)))?;
        match letters.remove(at) {
            Letter::Close(text) => Some(text),
            Letter::Cancelled { .. } | Letter::TimeoutsChanged => None,
        }
    }

    /// To be called before the token is given back: nobody may write behind what was cut off.
    pub(super) fn fail(&self, error: io::Error) {
        // There is one failure, as nothing is written after it.
        let _ = self.failure.set(error);
        self.attention.notify_one();
    }

    /// Why the socket has failed, if it has.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.get()
    }

    /// Leaves what is there to the writer task, which is started when it is first needed.
    pub(super) fn wake_writer(self: &Arc<Self>, committer: &Arc<Committer>) {
        self.wake.notify_one();
        if let Some(socket) = &self.direct
            && self.writer.get().is_none()
        {
            self.start_writer(committer, Writer::Plain(Arc::clone(socket)));
        }
    }

    /// Starts the writer task, unless it is there or the connection has ended.
    pub(super) fn start_writer(self: &Arc<Self>, committer: &Arc<Committer>, writer: Writer) {
        let outbox = self.outbox.lock();
        if !outbox.closed {
            self.writer.get_or_init(|| {
                let writing = write_outbox(Arc::clone(self), writer, Arc::clone(committer));
                committer.runtime.spawn(writing).abort_handle()
            });
        }
    }

    /// Ends the writer task of a closed outbox.
    pub(super) fn abort_writer(&self) {
        if let Some(writer) = self.writer.get() {
            writer.abort();
        }
    }

    /// Takes the token and what is to be written, and the queues that waited for room. Nothing if another holds the
    /// token, the socket is full or has failed, or there is nothing to do.
    fn begin(&self, outbox: &mut Outbox) -> Option<(Buffers, Vec<Arc<SharedQueue>>)> {
        if outbox.writing || outbox.stalled.is_some() || self.failure().is_some() {
            return None;
        }
        self.swap(outbox)
    }

    fn swap(&self, outbox: &mut Outbox) -> Option<(Buffers, Vec<Arc<SharedQueue>>)> {
        if outbox.buffers.is_empty() && outbox.starved.is_empty() {
            return None;
        }
        outbox.writing = true;
        let spare = std::mem::take(&mut outbox.spare);
        let buffers = std::mem::replace(&mut outbox.buffers, spare);
        outbox.size = 0;
        self.publish_size(outbox);
        Some((buffers, std::mem::take(&mut outbox.starved)))
    }

    /// Writes from the caller's task as long as the socket takes it.
    fn write_directly(
        self: &Arc<Self>,
        socket: &TcpStream,
        committer: &Arc<Committer>,
        touched: &mut Touched,
    ) {
        let Some((mut buffers, starved)) = self.begin(&mut self.outbox.lock()) else {
            return;
        };
        let mut starved = starved;
        let begun = self.written.bytes.get();
        for _ in 0..DIRECT_WRITES_MAX {
            if self.written.bytes.get() - begun >= DIRECT_BYTES_MAX {
                break;
            }
            dispatch(starved, committer, touched);
            match try_write(socket, &mut buffers, &self.written) {
                Ok(true) => {}
                Ok(false) => {
                    let mut outbox = self.outbox.lock();
                    outbox.stalled = Some(buffers);
                    outbox.writing = false;
                    drop(outbox);
                    self.wake_writer(committer);
                    return;
                }
                Err(error) => {
                    self.fail(error);
                    self.outbox.lock().writing = false;
                    return;
                }
            }
            self.sent.store(true, Ordering::Relaxed);
            let mut outbox = self.outbox.lock();
            outbox.spare = buffers.recycled();
            outbox.writing = false;
            match self.begin(&mut outbox) {
                Some(next) => (buffers, starved) = next,
                None => return,
            }
        }
        // Others go on filling this outbox: its own task takes over.
        let mut outbox = self.outbox.lock();
        outbox.writing = false;
        outbox.stalled = Some(buffers);
        drop(outbox);
        self.wake_writer(committer);
        dispatch(starved, committer, touched);
    }

    /// For the writer task: waits for nothing, takes what is there. A full socket's rest comes first.
    pub(super) fn take(
        &self,
        committer: &Arc<Committer>,
        touched: &mut Touched,
    ) -> Option<Buffers> {
        let mut outbox = self.outbox.lock();
        if outbox.writing || self.failure().is_some() {
            return None;
        }
        if let Some(stalled) = outbox.stalled.take() {
            outbox.writing = true;
            return Some(stalled);
        }
        let (buffers, starved) = self.swap(&mut outbox)?;
        drop(outbox);
        dispatch(starved, committer, touched);
        Some(buffers)
    }

    /// Whether something is to be written that a full socket, or who wrote for others, has left over.
    pub(super) fn is_stalled(&self) -> bool {
        self.outbox.lock().stalled.is_some()
    }

    /// For the writer task: gives the token back.
    pub(super) fn put_back(&self, buffers: Buffers) {
        let mut outbox = self.outbox.lock();
        outbox.spare = buffers.recycled();
        outbox.writing = false;
    }
}

/// A publisher does not become another connection's writer for ever: with this much, its thread is needed by others.
const DIRECT_BYTES_MAX: u64 = 256 << 10;
/// However little is added to each write.
const DIRECT_WRITES_MAX: usize = 16;
/// Nor of ever more connections, which get something because there is room in others.
const DIRECT_ROUNDS_MAX: usize = 4;

fn dispatch(queues: Vec<Arc<SharedQueue>>, committer: &Arc<Committer>, touched: &mut Touched) {
    for queue in queues {
        queue.with(committer, touched, |model, sink| ((), model.dispatch(sink)));
    }
}

/// Writes until everything is out (true) or the socket is full (false).
pub(super) fn try_write(
    socket: &TcpStream,
    buffers: &mut Buffers,
    total: &Octets,
) -> io::Result<bool> {
    while !buffers.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = buffers.slices(&mut slices);
        let written = match socket.try_write_vectored(&slices[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        total.add(written);
        buffers.advance(written);
    }
    Ok(true)
}

/// The connections whose outboxes were filled and are not yet written.
#[derive(Debug, Default)]
pub(super) struct Touched {
    peers: Vec<Arc<Peer>>,
}

/// Up to so many outboxes are written by the one who filled them.
const DIRECT_PEERS_MAX: usize = 4;
/// An outbox with this much is worth a system call of its own.
pub(super) const DIRECT_BYTES: usize = 32 << 10;
/// With this much, an outbox does not wait until all queues have what was read: it would be full before the last ones, which would then be visited twice.
const LARGE_BYTES: usize = OUTBOX_BYTES / 4;
/// How far back a connection is looked for before it is added again: adding it twice does no harm.
const LOOKED_BACK: usize = 8;

impl Touched {
    pub(super) fn add(&mut self, peer: &Arc<Peer>) {
        let known = |other: &Arc<Peer>| Arc::ptr_eq(other, peer);
        if !self.peers.iter().rev().take(LOOKED_BACK).any(known) {
            self.peers.push(Arc::clone(peer));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Takes over what is in another list, which is empty then.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.peers.is_empty() {
            std::mem::swap(&mut self.peers, &mut other.peers);
        } else {
            self.peers.append(&mut other.peers);
        }
    }

    /// Writes an outbox that has got so much lately that its client had better begin with it, while others are still being filled. No lock may be held.
    pub(super) fn write_large(&mut self, committer: &Arc<Committer>) {
        let is_large =
            |peer: &Arc<Peer>| peer.direct.is_some() && peer.outbox_size() >= LARGE_BYTES;
        let latest = self.peers.len().saturating_sub(LOOKED_BACK);
        let Some(at) = self.peers.iter().skip(latest).position(is_large) else {
            return;
        };
        // What is added from now on adds it again.
        let peer = self.peers.swap_remove(latest + at);
        if let Some(socket) = &peer.direct {
            peer.write_directly(socket, committer, self);
        }
    }

    /// Writes or wakes. No lock may be held.
    pub(super) fn finish(&mut self, committer: &Arc<Committer>) {
        committer.stirring.stir();
        // Writing makes room, which lets queues fill further outboxes; these are left to their own tasks after a while.
        let mut rounds = 0;
        while !self.peers.is_empty() {
            let peers = std::mem::take(&mut self.peers);
            let few = peers.len() <= DIRECT_PEERS_MAX;
            for peer in &peers {
                match &peer.direct {
                    Some(socket)
                        if rounds < DIRECT_ROUNDS_MAX
                            && (few || peer.outbox_size() >= DIRECT_BYTES) =>
                    {
                        peer.write_directly(socket, committer, self);
                    }
                    _ => peer.wake_writer(committer),
                }
            }
            rounds += 1;
        }
    }
}
