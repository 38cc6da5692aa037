//! A connection's task: reads, lets the session deal with what came, keeps time.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use amphora_protocol::connection::{Connection, Offer};
use amphora_protocol::wire::method::connection::{Blocked, Unblocked};
use amphora_protocol::wire::types::{ChannelNumber, ShortString};
use tokio::time::sleep;

use super::broker::Broker;
use super::committer::Committer;
use super::info::ConnectionInfo;
use super::input::{Input, is_little};
use super::peer::Peer;
use super::pressure::BRAKE_MAX;
use super::reader::Reader;
use super::session::{End, Session};
use super::writer::Writer;
use crate::auth::PeerInfo;

/// A client whose login failed, and that would not understand why, is dropped after this time: it slows down guessing.
const SILENT_CLOSE_DELAY: Duration = Duration::from_secs(3);

/// Why reading pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// Consumers cannot follow, or could if they were let.
    Over,
    /// The disk cannot follow.
    Behind,
    /// Memory is short, and what could leave it has not left yet.
    Swamped,
    /// The store takes nothing.
    Failing,
    /// Less of the disk is free than has to be.
    Full,
    /// The process uses more memory than it may.
    Short,
    /// The client does not read what it is answered.
    Deaf,
}

/// A client that leaves so much unread is not listened to. Deliveries to consumers stop long before; what a client can
/// ask for without reading it are messages by basic.get, and returns.
const UNREAD_MAX: usize = 64 << 20;
/// How often a client that does not read is looked after.
const UNREAD_PAUSE: Duration = Duration::from_millis(20);

const HUNG_UP: &str = "the client hung up";

/// Whether the socket ended without a goodbye of TLS, which says as much as the end of a plain one.
pub(super) fn has_hung_up(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// Serves a client until it is gone. Without a writer, its peer has the socket.
pub(super) async fn serve(
    broker: Arc<Broker>,
    reader: Reader,
    writer: Option<Writer>,
    info: Arc<ConnectionInfo>,
    offer: Offer,
    peer_info: PeerInfo,
) {
    let peer = Arc::clone(&info.peer);
    let committer = Arc::clone(&broker.committer);
    let span = info.span();
    broker.admit(&info);
    let _farewell = Farewell {
        broker: Arc::clone(&broker),
        info: Arc::clone(&info),
    };
    if let Some(writer) = writer {
        peer.start_writer(&committer, writer);
    }
    let conversation = Connection::new(offer, Instant::now());
    let input = Input::new(Arc::clone(&broker.readers));
    let session = Session::new(broker, peer, Arc::clone(&info), conversation, peer_info);
    let mut connection = Run {
        session,
        reader,
        input,
        received: false,
        told_blocked: false,
        paused: false,
        lately: Lately::from(Instant::now()),
    };
    let end = connection.run().await;
    info.tell(&span);
    connection.session.leave();
    close(&connection.session.peer, &committer).await;
    match end {
        End::Closed => tracing::info!(connection = %info.name, "connection closed"),
        End::Dropped(reason) => {
            tracing::warn!(connection = %info.name, reason, "connection dropped");
        }
        End::Silence => {
            tracing::info!(connection = %info.name, "connection dropped after a failed login");
        }
    }
}

/// Lets the last words go out, but does not wait for a client that does not read them.
async fn close(peer: &Arc<Peer>, committer: &Arc<Committer>) {
    let written = async {
        loop {
            {
                let outbox = peer.outbox.lock();
                let idle = !outbox.writing && outbox.stalled.is_none() && outbox.buffers.is_empty();
                if idle || peer.failure().is_some() {
                    break;
                }
            }
            peer.wake_writer(committer);
            sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), written).await;
}

/// Takes the connection away from those who know it, also if its task panics.
struct Farewell {
    broker: Arc<Broker>,
    info: Arc<ConnectionInfo>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.info.peer.outbox.lock().closed = true;
        // Before the client sees the socket's end, which it may take for the end of the connection.
        self.broker.release(&self.info);
        self.info.peer.abort_writer();
    }
}

struct Run {
    session: Session,
    reader: Reader,
    input: Input,
    /// Something was read since the timer looked last.
    received: bool,
    told_blocked: bool,
    /// The pause before this read has been made.
    paused: bool,
    lately: Lately,
}

/// What a client has sent since it was slowed or looked at, to tell those who swamp the broker from those who would only suffer for it.
struct Lately {
    since: Instant,
    bytes: usize,
}

impl Lately {
    fn from(since: Instant) -> Self {
        Self { since, bytes: 0 }
    }

    /// Whether it is less than what anybody may send with a pause before each read.
    fn is_modest(&mut self, now: Instant) -> bool {
        let passed = now.duration_since(self.since).max(BRAKE_MAX);
        let is_modest = is_little(self.bytes, passed);
        if passed > BRAKE_MAX {
            *self = Self::from(now);
        }
        is_modest
    }
}

impl Run {
    async fn run(&mut self) -> End {
        let mut timer = pin!(sleep(Duration::from_hours(24)));
        // What the timer is set to. Nothing when it has gone off, which it would do at once again.
        let mut armed = Some(None);
        let peer = Arc::clone(&self.session.peer);
        loop {
            let beat = self.session.conversation.deadline();
            let look = self.session.patience.next;
            let deadline = beat.into_iter().chain(look).min();
            if armed != Some(deadline) {
                armed = Some(deadline);
                let at = deadline.unwrap_or_else(|| Instant::now() + Duration::from_hours(24));
                timer.as_mut().reset(at.into());
            }
            let gate = self.gate();
            self.tell_blocked(match gate {
                Gate::Failing | Gate::Full => Some("low on disk"),
                Gate::Short => Some("low on memory"),
                Gate::Open | Gate::Over | Gate::Behind | Gate::Swamped | Gate::Deaf => None,
            });
            let slowed = matches!(gate, Gate::Over | Gate::Behind | Gate::Swamped);
            self.session.info.slowed.store(slowed, Ordering::Relaxed);
            if slowed {
                self.input.slow();
            } else if gate != Gate::Open {
                self.input.pause();
            }
            let wanted = self.session.conversation.wanted();
            let result = tokio::select! {
                // What others have to tell comes before what the client says, who may know of it already: its next
                // consumer may have the tag of one that was just cancelled.
                biased;
                () = peer.attention.notified() => self.session.read_letters(),
                () = timer.as_mut() => {
                    armed = None;
                    self.tick(gate)
                }
                read = self.reader.read(&mut self.input, wanted), if gate == Gate::Open => match read {
                    Ok(0) => Err(End::Dropped(HUNG_UP.to_owned())),
                    Ok(count) => self.received(count).await,
                    Err(error) if has_hung_up(&error) => Err(End::Dropped(HUNG_UP.to_owned())),
                    Err(error) => Err(End::Dropped(error.to_string())),
                },
                () = wait(&self.session, gate), if gate != Gate::Open => {
                    self.session.over = None;
                    self.paused = true;
                    self.lately = Lately::from(Instant::now());
                    Ok(())
                }
            };
            match result {
                Ok(()) => {}
                Err(End::Silence) => {
                    sleep(SILENT_CLOSE_DELAY).await;
                    return End::Silence;
                }
                // However a socket ends after the goodbye, it ends as it should.
                Err(_) if self.session.closed => return End::Closed,
                Err(end) => return end,
            }
        }
    }

    async fn received(&mut self, count: usize) -> Result<(), End> {
        self.session.broker.committer.stirring.stir();
        self.received = true;
        self.paused = false;
        if self.session.closed {
            return Ok(());
        }
        self.input.add(count);
        self.lately.bytes += count;
        self.session.info.received.add(count);
        let used = self.session.process(self.input.unread()).await?;
        self.input.take(used);
        Ok(())
    }

    fn gate(&mut self) -> Gate {
        if self.session.peer.outbox_size() > UNREAD_MAX {
            return Gate::Deaf;
        }
        if !self.session.publishes && self.session.conversation.held() == 0 {
            return Gate::Open;
        }
        self.forgive();
        let committer = &self.session.broker.committer;
        if committer.is_failing() {
            return Gate::Failing;
        }
        let shortage = self.session.broker.alarms.shortage();
        if shortage.disk {
            Gate::Full
        } else if shortage.memory {
            Gate::Short
        } else if self.session.over.is_some() {
            Gate::Over
        } else if committer.is_behind() {
            Gate::Behind
        } else if committer.is_swamped() && !self.paused && !self.lately.is_modest(Instant::now()) {
            Gate::Swamped
        } else {
            Gate::Open
        }
    }

    /// Who sends little need not wait for a queue's consumers. Nor does who consumes, for those who could take more: its acknowledgements would wait, too.
    fn forgive(&mut self) {
        let spared = self.session.over.as_ref().is_some_and(|queue| {
            let consumes =
                || (self.session.channels.values()).any(|channel| !channel.consumers.is_empty());
            self.lately.is_modest(Instant::now()) || !queue.is_full() && consumes()
        });
        if spared {
            self.session.over = None;
        }
    }

    /// connection.blocked, connection.unblocked
    fn tell_blocked(&mut self, reason: Option<&'static str>) {
        let blocked = reason.is_some();
        if blocked == self.told_blocked {
            return;
        }
        self.told_blocked = blocked;
        self.session.info.blocked.store(blocked, Ordering::Relaxed);
        if self.session.peer.blocked_notify.load(Ordering::Relaxed) {
            if let Some(reason) = reason {
                let reason = ShortString::cut(reason);
                self.session.send(ChannelNumber(0), Blocked { reason });
            } else {
                self.session.send(ChannelNumber(0), Unblocked {});
            }
            self.session.finish();
        }
    }

    fn tick(&mut self, gate: Gate) -> Result<(), End> {
        let now = Instant::now();
        self.session.look_for_overdue(now);
        if self
            .session
            .conversation
            .deadline()
            .is_none_or(|at| at > now)
        {
            return Ok(());
        }
        let unread = gate != Gate::Open || self.input.is_in_line();
        let received = std::mem::take(&mut self.received) || unread;
        self.session.beat(received)
    }
}

impl Session {
    /// Keeps the conversation's time: sends a heartbeat if one is due, notices a client that is silent for too long.
    pub(super) fn beat(&mut self, received: bool) -> Result<(), End> {
        let sent = self.peer.sent.swap(false, Ordering::Relaxed);
        let ticked = self
            .conversation
            .on_timer(Instant::now(), received, sent, &mut self.replies);
        let beats = !self.replies.is_empty();
        self.send_replies();
        self.finish();
        if beats {
            // A heartbeat is no reason to leave out the next one. At worst, one is sent that need not be.
            self.peer.sent.store(false, Ordering::Relaxed);
        }
        ticked.map_err(|failure| End::Dropped(failure.to_string()))
    }
}

/// Waits until the gate should be looked at again.
async fn wait(session: &Session, gate: Gate) {
    let committer = &session.broker.committer;
    match gate {
        Gate::Open => pending().await,
        Gate::Over => {
            if let Some(queue) = &session.over {
                let low = queue.low.notified();
                if queue.is_over() {
                    let _ = tokio::time::timeout(BRAKE_MAX, low).await;
                }
            }
        }
        Gate::Behind => {
            let relieved = committer.relieved.notified();
            committer.hurry();
            if committer.is_behind() {
                relieved.await;
            }
        }
        Gate::Swamped => {
            let relieved = committer.relieved.notified();
            committer.hurry();
            let _ = tokio::time::timeout(BRAKE_MAX, relieved).await;
        }
        Gate::Short | Gate::Full => session.broker.alarms.wait().await,
        Gate::Deaf => sleep(UNREAD_PAUSE).await,
        Gate::Failing => {
            let changed = committer.failing_changed.notified();
            if committer.is_failing() {
                changed.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::SHARE_MIN;
    use super::*;

    #[test]
    fn who_sends_little_is_not_slowed_for_those_who_send_much() {
        let begun = Instant::now();
        let mut lately = Lately::from(begun);
        lately.bytes += SHARE_MIN - 1;
        assert!(lately.is_modest(begun));
        lately.bytes += 1;
        assert!(!lately.is_modest(begun + BRAKE_MAX / 2));
        // As much in two pauses is little, and after that the time begins anew.
        assert!(lately.is_modest(begun + 2 * BRAKE_MAX));
        lately.bytes += SHARE_MIN;
        assert!(!lately.is_modest(begun + 3 * BRAKE_MAX));
        // However long ago it began, much is much.
        lately.bytes += 100 * SHARE_MIN;
        assert!(!lately.is_modest(begun + 50 * BRAKE_MAX));
    }
}
