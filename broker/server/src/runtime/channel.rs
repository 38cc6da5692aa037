//! A channel, as its connection's task knows it. What others touch is in the outbox.

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::channel::SourceKey;
use amphora_core::queue::{ConsumerKey, ConsumerOptions, Return};
use amphora_protocol::exception::ConnectionException;
use amphora_protocol::wire::types::{ChannelNumber, ConsumerTag, QueueName};
use foldhash::fast::RandomState;

use super::administration::ChannelAdmission;
use super::announce::Fields;
use super::batch::Owned;
use super::info::ChannelInfo;
use super::session::Session;
use super::vhost::Handle;

#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) consumers: HashMap<ConsumerTag, ChannelConsumer, RandomState>,
    /// basic.qos without `global`: for consumers that come from here on.
    pub(super) prefetch: u32,
    pub(super) confirm: bool,
    pub(super) transaction: Option<Transaction>,
    /// What an empty queue name stands for.
    pub(super) last_queue: Option<QueueName>,
    /// The consumer of direct replies, and the name that responders know it by.
    pub(super) reply_consumer: Option<(ConsumerTag, String)>,
    /// Queues that basic.get was used on.
    pub(super) got: Vec<(Handle, SourceKey)>,
    pub(super) info: Arc<ChannelInfo>,
    /// Counted as long as this is there.
    _admission: Option<ChannelAdmission>,
}

impl Channel {
    /// Begins the next transaction. Returns the one before, if there was any.
    pub(super) fn begin(&mut self) -> Option<Transaction> {
        self.info.uncommitted.set(0);
        self.info.uncommitted_acks.set(0);
        self.transaction.replace(Transaction::default())
    }
}

#[derive(Debug)]
pub(super) struct ChannelConsumer {
    pub(super) queue: Handle,
    pub(super) key: ConsumerKey,
    pub(super) source: SourceKey,
}

/// What tx.commit will apply.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) publishes: Vec<(Owned, bool)>,
    pub(super) settlements: Vec<Withheld>,
}

/// An acknowledgement within a transaction: the delivery tags that it meant, and what is to become of them.
#[derive(Debug)]
pub(super) struct Withheld {
    pub(super) tags: Vec<u64>,
    pub(super) outcome: Outcome,
}

/// An acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settlement {
    pub(super) tag: u64,
    pub(super) multiple: bool,
    pub(super) outcome: Outcome,
}

/// What a consumer did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ack,
    Requeue(Return),
    Discard,
}

impl Session {
    pub(super) fn open_channel(&mut self, number: ChannelNumber) {
        let admitted = self.admit_channel();
        let admission = match admitted {
            Ok(admission) => admission,
            Err(exception) => {
                self.raise(ChannelNumber(0), exception);
                return;
            }
        };
        self.peer.outbox.lock().open_channel(number);
        let info = self.info.open_channel(number);
        self.channels.insert(
            number,
            Channel {
                info,
                _admission: admission,
                ..Channel::default()
            },
        );
        self.conversation.accept_channel(number, &mut self.replies);
        self.tell_of_channel("channel.created", number);
    }

    fn tell_of_channel(&self, key: &str, number: ChannelNumber) {
        self.broker.events.emit(key, || {
            let details = self.info.details();
            Fields::default()
                .text("name", &format!("{} ({})", self.info.name, number.0))
                .text("connection", &self.info.name)
                .number("number", number.0.into())
                .text("user", &details.user)
                .text("vhost", &details.vhost)
                .text("user_who_performed_action", &details.user)
        });
    }

    /// An event about a consumer that is gone.
    pub(super) fn tell_of_lost_consumer(&self, number: ChannelNumber, tag: &str, queue: &Handle) {
        self.broker.events.emit("consumer.deleted", || {
            self.fields_of_consumer(number, tag, queue)
        });
    }

    /// An event about a consumer that has come.
    pub(super) fn tell_of_new_consumer(
        &self,
        number: ChannelNumber,
        options: &ConsumerOptions,
        queue: &Handle,
    ) {
        self.broker.events.emit("consumer.created", || {
            self.fields_of_consumer(number, &options.tag, queue)
                .flag("exclusive", options.exclusive)
                .flag("ack_required", !options.no_ack)
                .number("prefetch_count", options.prefetch.into())
                .table("arguments", options.arguments.clone())
        });
    }

    fn fields_of_consumer(&self, number: ChannelNumber, tag: &str, queue: &Handle) -> Fields {
        Fields::default()
            .text("consumer_tag", tag)
            .text("channel", &format!("{} ({})", self.info.name, number.0))
            .text("queue", &queue.name)
            .text("vhost", &queue.vhost)
            .text("user_who_performed_action", &self.info.user())
    }

    fn admit_channel(&self) -> Result<Option<ChannelAdmission>, ConnectionException> {
        let entered = self.entered.as_ref();
        let user = entered.map(|entered| entered.access.identity());
        let admission = user.map(|user| ChannelAdmission::new(user.shared()));
        let admission = admission.transpose()?;
        self.broker.admit_channel()?;
        Ok(admission)
    }

    /// Lets go of everything that the channel holds: its consumers, and what they have not acknowledged.
    pub(super) fn close_channel(&mut self, number: ChannelNumber) {
        let Some(channel) = self.channels.remove(&number) else {
            return;
        };
        self.broker.release_channel();
        self.info.close_channel(number);
        self.tell_of_channel("channel.closed", number);
        for (tag, consumer) in &channel.consumers {
            self.tell_of_lost_consumer(number, tag, &consumer.queue);
        }
        let Some(vhost) = self
            .entered
            .as_ref()
            .map(|entered| Arc::clone(&entered.ingress.vhost))
        else {
            return;
        };
        // From here on nothing more is delivered on the channel.
        let out = self.peer.outbox.lock().close_channel(number);
        let mut left = Vec::new();
        for (_, consumer) in channel.consumers {
            consumer
                .queue
                .with(&self.broker.committer, &mut self.touched, |model, sink| {
                    model.cancel(consumer.key);
                    ((), model.dispatch(sink))
                });
            left.push(consumer.queue);
        }
        if let Some((_, name)) = channel.reply_consumer {
            vhost.reply_consumers.remove(&name);
        }
        if let Some(mut out) = out {
            self.settle();
            out.unacked.take_all(number.0, &mut self.settling);
            self.requeue(Return::Lost);
        }
        for queue in left {
            vhost.delete_if_unused(&queue, &mut self.touched);
        }
    }

    pub(super) fn channel(
        &mut self,
        number: ChannelNumber,
    ) -> Result<&mut Channel, ConnectionException> {
        self.channels
            .get_mut(&number)
            .ok_or_else(|| ConnectionException::channel_error("expected 'channel.open'"))
    }
}
