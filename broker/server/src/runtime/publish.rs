//! basic.publish: from the input to the queues, and back if no queue takes the message.

use amphora_protocol::connection::{Content, Publish};
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::reply_code::ReplyCode;
use amphora_protocol::wire::types::{ChannelNumber, ExchangeName, RoutingKey, ShortString};

use crate::auth::VhostAccess;

use super::announce::Who;
use super::batch::Owned;
use super::blocking::{Turn, is_crowded};
use super::ingress::{Answered, Outcome, Ticket, names};
use super::principal;
use super::session::{Session, Unconfirmed};
use super::special::{self, Asks};

impl Session {
    /// If many publishes ask plugins now: waits, before one that does, until it is this connection's turn. Nothing that was collected waits meanwhile.
    pub(super) async fn take_turn(
        &mut self,
        input: &[u8],
        publish: &Publish<'_>,
        turn: &mut Option<Turn>,
    ) {
        if !is_crowded() || turn.as_ref().is_some_and(|turn| !turn.is_over()) {
            return;
        }
        let entered = self.entered.as_ref();
        let target = publish.content.target();
        if !entered.is_some_and(|entered| entered.ingress.asks_plugins(target)) {
            return;
        }
        self.flush(input);
        // It is given back before another is asked for.
        *turn = None;
        *turn = Some(Turn::take().await);
    }

    /// The publishes that follow, whose plugins take long.
    pub(super) fn publish_all(&mut self, input: &[u8], used: &mut usize, turn: Option<&Turn>) {
        while self.held_back.is_none()
            && !turn.is_some_and(Turn::is_over)
            && let Some(publish) = self.next_publish(input, used)
        {
            self.publish(input, publish);
            self.flush_if_due(input);
        }
    }

    /// Plugins have taken so long since the last flush that other tasks should have the thread.
    pub(super) fn is_slow(&self) -> bool {
        let entered = self.entered.as_ref();
        entered.is_some_and(|entered| entered.ingress.is_slow())
    }

    pub(super) fn flush_if_due(&mut self, input: &[u8]) {
        if self
            .entered
            .as_ref()
            .is_some_and(|entered| entered.ingress.is_due())
        {
            self.flush(input);
        }
    }

    pub(super) fn note_confirms(&mut self, commit: bool) {
        if self.unconfirmed.is_empty() {
            return;
        }
        let committer = &self.broker.committer;
        let epoch = if commit { committer.open_epoch() } else { 0 };
        let mut outbox = self.peer.outbox.lock();
        for publishes in self.unconfirmed.drain(..) {
            let accepted = publishes.accepted.then_some(epoch);
            outbox.expect_confirms(publishes.channel, publishes.count, accepted);
        }
        let waits = outbox.release_confirms(committer.durable_epoch());
        self.peer.publish_size(&outbox);
        drop(outbox);
        self.touched.add(&self.peer);
        if waits {
            committer.await_confirms(&self.peer);
        }
    }

    pub(super) fn publish(&mut self, input: &[u8], publish: Publish<'_>) {
        let number = publish.channel;
        if let Err(exception) = self.try_publish(input, publish) {
            self.flush(input);
            let exception = exception.at(basic::CLASS_ID, basic::Publish::METHOD_ID);
            self.raise(number, exception);
        }
    }

    fn try_publish(&mut self, input: &[u8], publish: Publish<'_>) -> Result<(), Exception> {
        self.tally.sizes.count(publish.content.body().len());
        if self.publish_alike(input, &publish)? {
            return Ok(());
        }
        let Publish {
            channel: number,
            mandatory,
            content,
        } = publish;
        self.conclude_alike();
        self.publishes = true;
        let channel = self.channel(number)?;
        let (confirm, transactional) = (channel.confirm, channel.transaction.is_some());
        channel.info.published.add(1);
        let reply = special::is_reply(content.target());
        if reply {
            // What was collected before must not be overtaken by the answer.
            self.flush(input);
        }
        if transactional {
            let asks = self.check_properties(&content)?;
            let message = self.rewritten(number, &content, asks)?;
            self.check_target(&message.target)?;
            let channel = self.channel(number)?;
            if let Some(transaction) = &mut channel.transaction {
                transaction.publishes.push((message, mandatory));
                channel.info.uncommitted.add(1);
            }
            return Ok(());
        }
        let asks = if special::is_watched(content.properties()) {
            self.check_properties(&content)?
        } else {
            Asks::default()
        };
        let ticket = Ticket {
            channel: number,
            mandatory,
            confirm,
        };
        if reply || asks.reply_address || asks.copies {
            let message = self.rewritten(number, &content, asks)?;
            // What waits for a plugin was published before.
            self.conclude_answered(input);
            return self.publish_whole(ticket, message, input);
        }
        let traced = self.is_traced();
        let again = (mandatory || traced).then(|| content.clone());
        let outcome = self.collect(input, content, ticket);
        self.tell_answered();
        if let Ok(Outcome::Later(later)) = outcome {
            self.held_back = Some((ticket, later));
            return Ok(());
        }
        let outcome = outcome?;
        if traced {
            self.trace(number, again.clone().map(Owned::from));
        }
        let as_usual = matches!(outcome, Outcome::Routed | Outcome::Waiting);
        if outcome != Outcome::Waiting {
            let back = again.filter(|_| outcome.returns()).map(Owned::from);
            self.conclude_publishes(ticket, 1, outcome, back);
        }
        if as_usual && !traced {
            self.expect_alike(number, confirm);
        }
        Ok(())
    }

    pub(super) fn is_traced(&self) -> bool {
        let entered = self.entered.as_ref();
        entered.is_some_and(|entered| entered.ingress.vhost.tap.is_on())
    }

    /// Lets who listens to the firehose know of a publish.
    pub(super) fn trace(&self, number: ChannelNumber, message: Option<Owned>) {
        if let (Some(entered), Some(message)) = (&self.entered, message) {
            let who = Who::Connection(self.peer.id, number);
            entered.ingress.trace(who, message);
        }
    }

    /// Routes a message and collects it for its queues.
    fn collect(
        &mut self,
        input: &[u8],
        content: Content<'_>,
        ticket: Ticket,
    ) -> Result<Outcome, Exception> {
        let entered = self.entered.as_mut().ok_or_else(not_entered)?;
        let access = &entered.access;
        let ingress = &mut entered.ingress;
        ingress.collect(input, content, ticket, |vhost, exchange, key| {
            principal::may_publish(access, vhost, exchange, key)
        })
    }

    /// Has the plugin asked that messages wait for, if there is one, and tells their publishers what became of them.
    pub(super) fn conclude_answered(&mut self, input: &[u8]) {
        if let Some(entered) = &mut self.entered
            && entered.ingress.is_waiting()
        {
            entered.ingress.answer(input);
            self.tell_answered();
        }
    }

    pub(super) fn tell_answered(&mut self) {
        let Some(entered) = &mut self.entered else {
            return;
        };
        if !entered.ingress.has_answered() {
            return;
        }
        let mut answered = entered.ingress.take_answered();
        for Answered {
            ticket,
            outcome,
            count,
            message,
        } in answered.drain(..)
        {
            self.conclude_publishes(ticket, count, outcome, message);
        }
        if let Some(entered) = &mut self.entered {
            entered.ingress.reuse(answered);
        }
    }

    /// Counts so many publishes that have come to the same, returns them if that is asked for, and sees to their confirms. `message`
    /// is what a mandatory one would be returned as. Returns whether they are accepted.
    pub(super) fn conclude_publishes(
        &mut self,
        ticket: Ticket,
        count: u64,
        outcome: Outcome,
        message: Option<Owned>,
    ) -> bool {
        let Ticket {
            channel,
            mandatory,
            confirm,
        } = ticket;
        self.count_publishes(channel, count, &outcome, mandatory);
        let back = message.filter(|_| mandatory);
        let accepted = match outcome {
            Outcome::Routed | Outcome::Taken | Outcome::Waiting | Outcome::Later(_) => true,
            Outcome::Unroutable => {
                if let Some(message) = back {
                    let code = ReplyCode::NoRoute;
                    self.give_back(channel, &message, code, code.name());
                }
                true
            }
            Outcome::Full => false,
            Outcome::Refused(reason) | Outcome::Rejected(reason) => {
                if let Some(message) = back {
                    let code = ReplyCode::PreconditionFailed;
                    self.give_back(channel, &message, code, &reason);
                }
                false
            }
        };
        if confirm {
            self.expect_confirms(channel, count, accepted);
        }
        accepted
    }

    /// Publishes on this channel need an answer once all that was collected is flushed.
    pub(super) fn expect_confirms(&mut self, number: ChannelNumber, count: u64, accepted: bool) {
        self.tally.confirmable += count;
        match self.unconfirmed.last_mut() {
            Some(last) if last.channel == number && last.accepted == accepted => {
                last.count += count;
            }
            _ => self.unconfirmed.push(Unconfirmed {
                channel: number,
                count,
                accepted,
            }),
        }
    }

    fn count_publishes(
        &mut self,
        number: ChannelNumber,
        count: u64,
        outcome: &Outcome,
        mandatory: bool,
    ) {
        let routed = matches!(
            outcome,
            Outcome::Routed | Outcome::Waiting | Outcome::Later(_) | Outcome::Taken | Outcome::Full
        );
        self.tally.publish(count, routed, mandatory);
        if !routed && let Ok(channel) = self.channel(number) {
            let info = &channel.info;
            let unroutable = if mandatory {
                &info.returned
            } else {
                &info.dropped
            };
            unroutable.add(count);
        }
    }

    /// Checks the properties that the broker looks at. As in RabbitMQ, a target that is not there, or not for this user, is said before.
    fn check_properties(&self, content: &Content<'_>) -> Result<Asks, Exception> {
        special::check(self.access()?, content.properties()).or_else(|exception| {
            self.check_target(content.target())?;
            Err(exception)
        })
    }

    /// Checks that the target exists and may be written to, as a transaction does when the message comes.
    fn check_target(&self, target: &[u8]) -> Result<(), Exception> {
        let entered = self.entered.as_ref().ok_or_else(not_entered)?;
        let (exchange, key) = names(target)?;
        let vhost = &entered.ingress.vhost;
        principal::may_publish(&entered.access, vhost, exchange, key)?;
        vhost.topology().check_publishable(exchange)
    }

    fn access(&self) -> Result<&VhostAccess, Exception> {
        let entered = self.entered.as_ref().ok_or_else(not_entered)?;
        Ok(&entered.access)
    }

    /// The message as it goes on: with the requester's own address, if it asks for that.
    fn rewritten(
        &mut self,
        number: ChannelNumber,
        content: &Content<'_>,
        asks: Asks,
    ) -> Result<Owned, Exception> {
        let mut message = Owned::from(content.clone());
        if asks.reply_address {
            let name = self.channel(number)?.reply_consumer.as_ref();
            let (_, name) = name.ok_or_else(special::no_reply_consumer)?;
            message.properties = special::with_reply_to(&message.properties, name)?;
        }
        Ok(message)
    }

    /// basic.return: nobody takes the message, for this reason.
    fn give_back(&mut self, number: ChannelNumber, message: &Owned, code: ReplyCode, text: &str) {
        let (exchange, key) = names(&message.target).unwrap_or_default();
        let returned = special::returned(message);
        let method = basic::Return {
            reply_code: code.code(),
            reply_text: ShortString::cut(text),
            exchange: ExchangeName::new(exchange).unwrap_or_default(),
            routing_key: RoutingKey::new(key).unwrap_or_default(),
        };
        let mut outbox = self.peer.outbox.lock();
        // Nothing may follow the last words on a channel.
        if outbox.channel(number).is_none() {
            return;
        }
        outbox.content(number, &method.into(), &special::borrowed(&returned));
        self.peer.publish_size(&outbox);
        drop(outbox);
        self.touched.add(&self.peer);
    }
}

pub(super) fn not_entered() -> Exception {
    ConnectionException::channel_error("expected 'connection.open'").into()
}
