//! Class 60: consuming, and settling what was delivered.

use std::sync::atomic::Ordering;

use amphora_core::channel::{Settling, UnknownTag};
use amphora_core::queue::Return;
use amphora_protocol::exception::{ChannelException, ConnectionException, Exception};
use amphora_protocol::wire::method::basic::{self, Method};
use amphora_protocol::wire::method::confirm;
use amphora_protocol::wire::types::ChannelNumber;

use super::exchange::unexpected;
use crate::runtime::channel::{Outcome, Settlement, Withheld};
use crate::runtime::session::Session;

impl Session {
    pub(super) async fn basic(
        &mut self,
        channel: ChannelNumber,
        method: Method,
    ) -> Result<(), Exception> {
        match method {
            Method::Qos(qos) => self.qos(channel, &qos),
            Method::Consume(consume) => self.consume(channel, consume),
            Method::Cancel(cancel) => self.cancel(channel, cancel),
            Method::Get(get) => self.get(channel, get).await,
            Method::Ack(ack) => {
                self.ack(&[], channel, &ack);
                Ok(())
            }
            Method::Nack(nack) => self.settle_now(
                channel,
                Settlement {
                    tag: nack.delivery_tag.0,
                    multiple: nack.multiple,
                    outcome: refused(nack.requeue, Return::Nacked),
                },
            ),
            Method::Reject(reject) => self.settle_now(
                channel,
                Settlement {
                    tag: reject.delivery_tag.0,
                    multiple: false,
                    outcome: refused(reject.requeue, Return::Rejected),
                },
            ),
            Method::Recover(recover) => {
                self.take_unacked(channel, recover.requeue)?;
                // As in RabbitMQ, what is delivered again follows the answer.
                self.send(channel, basic::RecoverOk {});
                self.requeue(Return::Nacked);
                Ok(())
            }
            Method::RecoverAsync(recover) => {
                self.take_unacked(channel, recover.requeue)?;
                self.requeue(Return::Nacked);
                Ok(())
            }
            method => Err(unexpected(method.name())),
        }
    }

    fn qos(&mut self, channel: ChannelNumber, qos: &basic::Qos) -> Result<(), Exception> {
        if qos.prefetch_size != 0 {
            let text = format!("prefetch_size!=0 ({})", qos.prefetch_size);
            return Err(ConnectionException::not_implemented(text).into());
        }
        let count = u32::from(qos.prefetch_count);
        let state = self.channel(channel)?;
        let window = if qos.global {
            count
        } else {
            state.prefetch = count;
            state.info.prefetch.set(count.into());
            // As in RabbitMQ, a limit for each consumer takes the place of one for all of them.
            0
        };
        state.info.window.set(window.into());
        self.windows |= qos.global;
        self.send(channel, basic::QosOk {});
        let mut outbox = self.peer.outbox.lock();
        let starved = outbox.channel(channel).map(|out| {
            out.window = window;
            std::mem::take(&mut out.starved)
        });
        drop(outbox);
        for queue in starved.unwrap_or_default() {
            queue.with(&self.broker.committer, &mut self.touched, |model, sink| {
                ((), model.dispatch(sink))
            });
        }
        Ok(())
    }

    /// Gathers an acknowledgement, to be settled with the next flush. `input` is that of what was collected before.
    pub(in crate::runtime) fn ack(
        &mut self,
        input: &[u8],
        channel: ChannelNumber,
        ack: &basic::Ack,
    ) {
        let settlement = Settlement {
            tag: ack.delivery_tag.0,
            multiple: ack.multiple,
            outcome: Outcome::Ack,
        };
        let result = match self.hold_in_transaction(channel, settlement) {
            Ok(true) => Ok(()),
            Ok(false) => self.gather(channel, settlement),
            Err(exception) => Err(exception),
        };
        if let Err(exception) = result {
            // Messages that were published before, and come back, do so before the channel is closed.
            self.flush(input);
            self.raise(
                channel,
                exception.at(basic::CLASS_ID, basic::Ack::METHOD_ID),
            );
        }
    }

    fn settle_now(
        &mut self,
        channel: ChannelNumber,
        settlement: Settlement,
    ) -> Result<(), Exception> {
        if self.hold_in_transaction(channel, settlement)? {
            return Ok(());
        }
        self.settle();
        self.gather(channel, settlement)?;
        self.conclude(settlement.outcome);
        Ok(())
    }

    /// Does what a transaction has held back.
    pub(super) fn apply(&mut self, channel: ChannelNumber, withheld: &Withheld) {
        self.settle();
        if let Some(out) = self.peer.outbox.lock().channel(channel) {
            let tags = &withheld.tags;
            out.unacked
                .take_withheld(channel.0, tags, &mut self.settling);
            if withheld.outcome == Outcome::Ack {
                out.traffic.acked += tags.len() as u64;
                self.tally.acked += tags.len() as u64;
            }
        }
        self.conclude(withheld.outcome);
    }

    fn conclude(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ack => self.settle(),
            Outcome::Discard => self.discard(),
            Outcome::Requeue(why) => self.requeue(why),
        }
    }

    fn gather(&mut self, channel: ChannelNumber, settlement: Settlement) -> Result<(), Exception> {
        let Settlement { tag, multiple, .. } = settlement;
        let mut outbox = self.peer.outbox.lock();
        let out = outbox.channel(channel).ok_or_else(|| unknown_tag(tag))?;
        let count = out
            .unacked
            .take(channel.0, tag, multiple, &mut self.settling)
            .map_err(|UnknownTag(tag)| unknown_tag(tag))?;
        if settlement.outcome == Outcome::Ack {
            out.traffic.acked += count as u64;
            self.tally.acked += count as u64;
        }
        Ok(())
    }

    /// In a transaction, nothing is settled before its commit; an unknown tag is refused at once.
    fn hold_in_transaction(
        &mut self,
        channel: ChannelNumber,
        settlement: Settlement,
    ) -> Result<bool, Exception> {
        if self.channel(channel)?.transaction.is_none() {
            return Ok(false);
        }
        let Settlement {
            tag,
            multiple,
            outcome,
        } = settlement;
        let mut tags = Vec::new();
        let mut outbox = self.peer.outbox.lock();
        let out = outbox.channel(channel).ok_or_else(|| unknown_tag(tag))?;
        out.unacked
            .withhold(tag, multiple, &mut tags)
            .map_err(|UnknownTag(tag)| unknown_tag(tag))?;
        drop(outbox);
        let state = self.channel(channel)?;
        state.info.uncommitted_acks.add(tags.len() as u64);
        if let Some(transaction) = &mut state.transaction {
            transaction.settlements.push(Withheld { tags, outcome });
        }
        Ok(true)
    }

    /// Gathers all that the channel holds, to be requeued.
    fn take_unacked(&mut self, channel: ChannelNumber, requeue: bool) -> Result<(), Exception> {
        if !requeue {
            return Err(ConnectionException::not_implemented("requeue=false").into());
        }
        self.settle();
        let mut all: Settling<_> = std::mem::take(&mut self.settling);
        if let Some(out) = self.peer.outbox.lock().channel(channel) {
            out.unacked.take_open(channel.0, &mut all);
        }
        self.settling = all;
        Ok(())
    }

    pub(super) fn confirm_select(
        &mut self,
        channel: ChannelNumber,
        select: &confirm::Select,
    ) -> Result<(), Exception> {
        let state = self.channel(channel)?;
        if state.transaction.is_some() {
            return Err(ChannelException::precondition_failed(
                "cannot switch from tx to confirm mode",
            )
            .into());
        }
        state.confirm = true;
        state.info.confirm.store(true, Ordering::Relaxed);
        if !select.no_wait {
            self.send(channel, confirm::SelectOk {});
        }
        Ok(())
    }
}

fn refused(requeue: bool, why: Return) -> Outcome {
    if requeue {
        Outcome::Requeue(why)
    } else {
        Outcome::Discard
    }
}

fn unknown_tag(tag: u64) -> Exception {
    ChannelException::precondition_failed(format!("unknown delivery tag {tag}")).into()
}
