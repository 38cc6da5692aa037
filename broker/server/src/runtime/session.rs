//! One connection's conversation: what the protocol's state machine reports is answered here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use amphora_core::channel::Settling;
use amphora_core::topology::ConnectionId;
use amphora_protocol::connection::{Connection, Event, Failure};
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::method::Method;
use amphora_protocol::wire::reply_code::ReplyCode;
use amphora_protocol::wire::types::ChannelNumber;
use foldhash::fast::FixedState;

use crate::auth::{Identity, PeerInfo, VhostAccess};

use super::administration::Admission;
use super::alike::Alike;
use super::blocking::{block, is_crowded};
use super::broker::Broker;
use super::channel::Channel;
use super::counters::Tally;
use super::info::ConnectionInfo;
use super::ingress::{Ingress, Later, Ticket};
use super::overdue::Patience;
use super::owed::{Owed, is_definition};
use super::peer::{Letter, Peer, Touched};
use super::principal::Principal;
use super::vhost::Handle;

/// How a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides said goodbye.
    Closed,
    /// The socket is dropped for this reason.
    Dropped(String),
    /// The login was refused to a client that expects silence: the socket is dropped after a while.
    Silence,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) broker: Arc<Broker>,
    pub(super) peer: Arc<Peer>,
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) conversation: Connection,
    pub(super) replies: Vec<u8>,
    pub(super) channels: HashMap<ChannelNumber, Channel, FixedState>,
    pub(super) settling: Settling<Handle>,
    pub(super) touched: Touched,
    /// Publishes on channels with confirms, since the last flush.
    pub(super) unconfirmed: Vec<Unconfirmed>,
    /// What the next publish may be like.
    pub(super) alike: Option<Alike>,
    /// The last publish, if it cannot be decided yet whether it is a duplicate.
    pub(super) held_back: Option<(Ticket, Box<Later>)>,
    /// Answers that wait for the disk: see [`super::owed`].
    pub(super) owed: Owed,
    /// Since the session began, something was published.
    pub(super) publishes: bool,
    /// A queue whose consumers cannot follow.
    pub(super) over: Option<Handle>,
    /// Some channel has a prefetch of its own (basic.qos with `global`).
    pub(super) windows: bool,
    pub(super) entered: Option<Entered>,
    /// The client has said goodbye.
    pub(super) closed: bool,
    /// When to look for messages that are held too long.
    pub(super) patience: Patience,
    /// What the broker's counters do not know of yet.
    pub(super) tally: Tally,
    pub(super) peer_info: PeerInfo,
    pub(super) identity: Option<Identity>,
}

/// Publishes on one channel with the same outcome, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unconfirmed {
    pub(super) channel: ChannelNumber,
    pub(super) count: u64,
    pub(super) accepted: bool,
}

/// What a session has once it is in a virtual host.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) access: VhostAccess,
    pub(super) ingress: Ingress,
    pub(super) exclusive: Vec<Handle>,
    /// Counted as long as this is there.
    pub(super) _admission: Admission,
}

impl Entered {
    pub(super) fn principal(&self, id: ConnectionId) -> Principal<'_> {
        Principal {
            access: &self.access,
            vhost: &self.ingress.vhost,
            id,
        }
    }
}

/// What the connection holds goes back to its queues, also if its task panics.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Session {
    pub(super) fn new(
        broker: Arc<Broker>,
        peer: Arc<Peer>,
        info: Arc<ConnectionInfo>,
        conversation: Connection,
        peer_info: PeerInfo,
    ) -> Self {
        Self {
            broker,
            peer,
            info,
            conversation,
            replies: Vec::new(),
            channels: HashMap::default(),
            settling: Settling::default(),
            touched: Touched::default(),
            unconfirmed: Vec::new(),
            alike: None,
            held_back: None,
            owed: Owed::default(),
            publishes: false,
            over: None,
            windows: false,
            entered: None,
            closed: false,
            patience: Patience::default(),
            tally: Tally::default(),
            peer_info,
            identity: None,
        }
    }

    pub(super) fn id(&self) -> ConnectionId {
        ConnectionId(self.peer.id)
    }

    /// Deals with all that `input` holds. Returns how much of it was used.
    pub(super) async fn process(&mut self, input: &[u8]) -> Result<usize, End> {
        let mut used = 0;
        if let Some(entered) = &mut self.entered {
            entered.ingress.refresh();
        }
        let mut turn = None;
        loop {
            // What is answered later is answered before anything else happens.
            while self.owed.is_empty()
                && self.held_back.is_none()
                && let Some(publish) = self.next_publish(input, &mut used)
            {
                if is_crowded() {
                    self.take_turn(input, &publish, &mut turn).await;
                }
                self.publish(input, publish);
                self.flush_if_due(input);
                if self.is_slow() {
                    block(|| self.publish_all(input, &mut used, turn.as_ref()));
                }
            }
            if self.held_back.is_some() {
                // Who has it may wait for a turn.
                turn = None;
                self.publish_held_back(input).await;
                continue;
            }
            while self.owed.is_empty()
                && let Some((channel, ack)) = self.conversation.next_ack(input, &mut used)
            {
                self.ack(input, channel, &ack);
            }
            let next = self.conversation.next(input, &mut used, &mut self.replies);
            let goes_on = matches!(&next, Ok(Some(event)) if is_definition(event));
            if !goes_on || !self.replies.is_empty() {
                self.pay().await;
            }
            // The last word comes when what the connection held is gone: the client may ask for it on its next one.
            let is_last = matches!(next, Ok(Some(Event::Close { .. })) | Err(Failure::Close(_)));
            if !self.replies.is_empty() && !is_last {
                self.flush(input);
                self.send_replies();
            }
            match next {
                Ok(Some(Event::Publish(publish))) => {
                    self.take_turn(input, &publish, &mut turn).await;
                    self.publish(input, publish);
                    self.flush_if_due(input);
                }
                Ok(Some(event)) => {
                    self.flush(input);
                    turn = None;
                    self.event(event).await?;
                    if let Some(entered) = &mut self.entered {
                        entered.ingress.refresh();
                    }
                }
                Ok(None) => break,
                Err(failure) => {
                    self.flush(input);
                    self.fail(failure)?;
                }
            }
        }
        self.flush(input);
        Ok(used)
    }

    /// Hands on what was collected, settles what was acknowledged, confirms what may be confirmed, and writes.
    pub(super) fn flush(&mut self, input: &[u8]) {
        self.conclude_alike();
        self.conclude_answered(input);
        if let Some(entered) = &mut self.entered
            && !entered.ingress.is_empty()
        {
            let committer = &self.broker.committer;
            let between = |touched: &mut Touched| touched.write_large(committer);
            let touched = &mut self.touched;
            let flushed = entered.ingress.flush_in_steps(input, touched, between);
            self.over = flushed.over;
            self.note_confirms(flushed.commit);
        } else if !self.unconfirmed.is_empty() {
            self.note_confirms(false);
        }
        self.settle();
        self.broker.counters.take(&mut self.tally);
        self.finish();
    }

    /// Writes what is to be written. No lock may be held.
    pub(super) fn finish(&mut self) {
        if !self.touched.is_empty() {
            self.touched.finish(&self.broker.committer);
        }
    }

    /// Appends what the conversation has to say.
    pub(super) fn send_replies(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        let mut outbox = self.peer.outbox.lock();
        outbox.raw(&self.replies);
        self.peer.publish_size(&outbox);
        drop(outbox);
        self.replies.clear();
        self.touched.add(&self.peer);
    }

    pub(super) fn send(&mut self, channel: ChannelNumber, method: impl Into<Method>) {
        self.peer.send(channel, method);
        self.touched.add(&self.peer);
    }

    async fn event(&mut self, event: Event<'_>) -> Result<(), End> {
        match event {
            Event::Login {
                mechanism,
                response,
                ..
            } => self.login(&mechanism, &response).await?,
            Event::Open { vhost } => self.open(&vhost),
            Event::ChannelOpen(channel) => self.open_channel(channel),
            Event::ChannelClose { channel, .. } => {
                self.close_channel(channel);
                self.conversation
                    .release_channel(channel, &mut self.replies);
            }
            Event::ChannelReleased(_) | Event::Publish(_) => {}
            Event::Refused { channel, exception } => self.raise(channel, exception),
            Event::Method(channel, method) => {
                let (class_id, method_id) = (method.class_id(), method.method_id());
                if let Err(exception) = self.method(channel, method).await {
                    self.pay().await;
                    self.raise(channel, exception.at(class_id, method_id));
                }
            }
            Event::Close {
                reply_code,
                reply_text,
            } => {
                tracing::debug!(connection = %self.info.name, reply_code, %reply_text, "closed by the client");
                // The client hangs up when it has read the answer; until then, what it still sends is read and dropped.
                self.closed = true;
                self.leave();
            }
            Event::CloseOk => return Err(End::Closed),
        }
        self.send_replies();
        self.finish();
        Ok(())
    }

    /// Closes the channel or the connection because of an exception.
    pub(super) fn raise(&mut self, channel: ChannelNumber, exception: impl Into<Exception>) {
        let exception = exception.into();
        self.info.refused(channel, &exception);
        match &exception {
            Exception::Channel(_) if channel.0 != 0 => self.close_channel(channel),
            _ => self.leave(),
        }
        self.conversation
            .raise(channel, exception, &mut self.replies);
        self.send_replies();
        self.finish();
    }

    fn fail(&mut self, failure: Failure) -> Result<(), End> {
        match failure {
            Failure::Drop(reason) => {
                self.send_replies();
                self.finish();
                Err(End::Dropped(reason.to_string()))
            }
            Failure::Close(exception) => {
                tracing::info!(connection = %self.info.name, %exception, "refused");
                self.leave();
                self.send_replies();
                self.finish();
                Ok(())
            }
        }
    }

    /// What others have to tell this connection.
    pub(super) fn read_letters(&mut self) -> Result<(), End> {
        if let Some(error) = self.peer.failure() {
            return Err(End::Dropped(format!("it cannot be written to: {error}")));
        }
        for letter in self.peer.letters() {
            match letter {
                Letter::Cancelled {
                    channel,
                    tag,
                    queue,
                    key,
                    told,
                } => self.consumer_cancelled(channel, tag, (&queue, key), told),
                Letter::TimeoutsChanged => self.renew_timeouts(),
                Letter::Close(_) if self.closed => return Err(End::Closed),
                Letter::Close(text) => {
                    self.leave();
                    let exception = ConnectionException::new(ReplyCode::ConnectionForced, text);
                    self.conversation.close(exception, &mut self.replies);
                    self.send_replies();
                }
            }
        }
        self.finish();
        Ok(())
    }

    /// Lets go of everything that the connection holds.
    pub(super) fn leave(&mut self) {
        self.info.closing.store(true, Ordering::Relaxed);
        let numbers: Vec<ChannelNumber> = self.channels.keys().copied().collect();
        for number in numbers {
            self.close_channel(number);
        }
        if let Some(entered) = self.entered.take() {
            for queue in entered.exclusive {
                let vhost = &entered.ingress.vhost;
                let deleted = vhost.delete_queue(
                    &queue.name,
                    (ConnectionId(self.peer.id), &self.info.user()),
                    super::delete_condition::DeleteCondition::default(),
                    &mut self.touched,
                );
                if let Err(exception) = deleted {
                    tracing::error!(queue = %queue.name, %exception, "an exclusive queue was not deleted");
                }
            }
        }
        self.finish();
    }
}
