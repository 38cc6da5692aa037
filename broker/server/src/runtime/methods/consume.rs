//! Consumers: basic.consume, basic.cancel.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use amphora_core::queue::{ConsumerKey, ConsumerOptions, Effects};
use amphora_core::stream::Subscription;
use amphora_protocol::exception::{ChannelException, ConnectionException, Exception};
use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::table::FieldValue;
use amphora_protocol::wire::types::{ChannelNumber, ConsumerTag};

use crate::runtime::channel::ChannelConsumer;
use crate::runtime::encoding::deliver_prefix;
use crate::runtime::queue::Subscriber;
use crate::runtime::reply_to::REPLY_TO;
use crate::runtime::session::Session;
use crate::runtime::vhost::Handle;

impl Session {
    pub(super) fn consume(
        &mut self,
        channel: ChannelNumber,
        mut consume: basic::Consume,
    ) -> Result<(), Exception> {
        if consume.consumer_tag.as_str().is_empty() {
            let tag = format!("amq.ctag-{}", crate::random::token());
            consume.consumer_tag = ConsumerTag::new(tag).unwrap_or_default();
        }
        let maximum = self.broker.limits().channel_consumers_max;
        let state = self.channel(channel)?;
        let taken = state.consumers.contains_key(&consume.consumer_tag)
            || state
                .reply_consumer
                .as_ref()
                .is_some_and(|(tag, _)| *tag == consume.consumer_tag);
        if taken {
            let text = format!("attempt to reuse consumer tag '{}'", consume.consumer_tag);
            return Err(ConnectionException::not_allowed(text).into());
        }
        if !maximum.admits_another(state.consumers.len()) {
            let text = format!("reached maximum ({maximum}) of consumers per channel");
            return Err(ConnectionException::not_allowed(text).into());
        }
        if consume.queue == REPLY_TO {
            return self.consume_replies(channel, &consume);
        }
        consume.queue = self.queue_name(channel, consume.queue)?;
        let queue = self.principal()?.readable_queue(&consume.queue)?;
        if queue.is_stream() {
            self.check_stream(channel, &queue, &consume)?;
        }
        let options = ConsumerOptions {
            tag: consume.consumer_tag.clone(),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            priority: priority(&consume, &queue.vhost)?,
            prefetch: self.channel(channel)?.prefetch,
            arguments: consume.arguments.clone(),
        };
        let timeout = timeout(&consume, &queue.vhost)?;
        self.subscribe(channel, &queue, options, timeout, consume.no_wait)
    }

    /// What a consumer of a stream must and must not ask for.
    fn check_stream(
        &mut self,
        channel: ChannelNumber,
        queue: &Handle,
        consume: &basic::Consume,
    ) -> Result<(), Exception> {
        let of = queue.described();
        if self.channel(channel)?.prefetch == 0 {
            let text = format!("consumer prefetch count is not set for stream {of}");
            return Err(ChannelException::precondition_failed(text).into());
        }
        if consume.no_ack {
            let text = format!("automatic acknowledgement not supported by stream {of}");
            return Err(ConnectionException::not_implemented(text).into());
        }
        let mut outbox = self.peer.outbox.lock();
        if outbox.channel(channel).is_some_and(|out| out.window > 0) {
            let text = format!("{of} does not support global qos");
            return Err(ConnectionException::not_implemented(text).into());
        }
        drop(outbox);
        Subscription::parse(&consume.arguments, &of)?;
        Ok(())
    }

    fn subscribe(
        &mut self,
        number: ChannelNumber,
        queue: &Handle,
        options: ConsumerOptions,
        timeout: Option<Duration>,
        no_wait: bool,
    ) -> Result<(), Exception> {
        let tag = options.tag.clone();
        let told = options.clone();
        let mut outbox = self.peer.outbox.lock();
        let source = outbox
            .channel(number)
            .map(|out| out.unacked.open_source(Arc::clone(queue), None))
            .unwrap_or_default();
        drop(outbox);
        let subscriber = Subscriber {
            peer: Arc::clone(&self.peer),
            channel: number,
            source,
            prefix: deliver_prefix(&tag),
        };
        let peer = Arc::clone(&self.peer);
        let consumed = queue.with(&self.broker.committer, &mut self.touched, |model, sink| {
            let alone = options.exclusive
                && !model.is_stream()
                && (model.consumer_count() > 0 || model.has_single_active_consumer());
            if alone || model.has_exclusive_consumer() {
                return (None, Effects::default());
            }
            let key = model.consume(subscriber, options);
            let mut outbox = peer.outbox.lock();
            if let Some(out) = outbox.channel(number) {
                out.unacked.set_consumer(source, key);
            }
            // The answer goes out before the first delivery.
            if !no_wait {
                let ok = basic::ConsumeOk {
                    consumer_tag: tag.clone(),
                };
                outbox.method(number, &ok.into());
                peer.publish_size(&outbox);
            }
            drop(outbox);
            (Some(key), model.dispatch(sink))
        });
        self.touched.add(&peer);
        let Some((Some(key), _)) = consumed else {
            let mut outbox = self.peer.outbox.lock();
            if let Some(out) = outbox.channel(number) {
                out.unacked.close_source(source);
            }
            drop(outbox);
            let (name, vhost) = (&queue.name, &queue.vhost);
            return Err(match consumed {
                None => {
                    ChannelException::not_found(format!("no queue '{name}' in vhost '{vhost}'"))
                }
                Some(_) => ChannelException::access_refused(format!(
                    "queue '{name}' in vhost '{vhost}' in exclusive use"
                )),
            }
            .into());
        };
        self.set_timeout(number, source, queue, timeout);
        self.tell_of_new_consumer(number, &told, queue);
        let channel = self.channel(number)?;
        channel.consumers.insert(
            tag,
            ChannelConsumer {
                queue: Arc::clone(queue),
                key,
                source,
            },
        );
        channel.info.consumers.set(channel.consumers.len() as u64);
        Ok(())
    }

    /// Direct reply-to: the channel itself is the queue.
    fn consume_replies(
        &mut self,
        number: ChannelNumber,
        consume: &basic::Consume,
    ) -> Result<(), Exception> {
        let refusal = if !consume.no_ack {
            Some("reply consumer cannot acknowledge")
        } else if self.channel(number)?.reply_consumer.is_some() {
            Some("reply consumer already set")
        } else {
            None
        };
        if let Some(text) = refusal {
            return Err(ChannelException::precondition_failed(text).into());
        }
        let tag = consume.consumer_tag.clone();
        let peer = Arc::clone(&self.peer);
        let vhost = &self.entered()?.ingress.vhost;
        let name = vhost
            .reply_consumers
            .add(&peer, number, deliver_prefix(&tag));
        self.channel(number)?.reply_consumer = Some((tag.clone(), name));
        if !consume.no_wait {
            self.send(number, basic::ConsumeOk { consumer_tag: tag });
        }
        Ok(())
    }

    /// Spec: basic.cancel of an unknown consumer is no error.
    pub(super) fn cancel(
        &mut self,
        number: ChannelNumber,
        cancel: basic::Cancel,
    ) -> Result<(), Exception> {
        let channel = self.channel(number)?;
        if let Some(consumer) = channel.consumers.remove(&cancel.consumer_tag) {
            channel.info.consumers.set(channel.consumers.len() as u64);
            consumer
                .queue
                .with(&self.broker.committer, &mut self.touched, |model, sink| {
                    model.cancel(consumer.key);
                    ((), model.dispatch(sink))
                });
            let mut outbox = self.peer.outbox.lock();
            if let Some(out) = outbox.channel(number) {
                out.unacked.close_source(consumer.source);
            }
            drop(outbox);
            let tag = &cancel.consumer_tag;
            self.tell_of_lost_consumer(number, tag, &consumer.queue);
            let vhost = Arc::clone(&self.entered()?.ingress.vhost);
            vhost.delete_if_unused(&consumer.queue, &mut self.touched);
        } else if let Some((_, name)) = channel
            .reply_consumer
            .take_if(|(tag, _)| *tag == cancel.consumer_tag)
        {
            self.entered()?.ingress.vhost.reply_consumers.remove(&name);
        }
        if !cancel.no_wait {
            let ok = basic::CancelOk {
                consumer_tag: cancel.consumer_tag,
            };
            self.send(number, ok);
        }
        Ok(())
    }

    /// The server has cancelled a consumer, because its queue is gone.
    pub(in crate::runtime) fn consumer_cancelled(
        &mut self,
        number: ChannelNumber,
        tag: ConsumerTag,
        (queue, key): (&Handle, ConsumerKey),
        told: bool,
    ) {
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        let is_meant =
            |known: &ChannelConsumer| known.key == key && Arc::ptr_eq(&known.queue, queue);
        if !channel.consumers.get(&tag).is_some_and(is_meant) {
            return;
        }
        channel.consumers.remove(&tag);
        channel.info.consumers.set(channel.consumers.len() as u64);
        self.tell_of_lost_consumer(number, &tag, queue);
        if !told && self.peer.cancel_notify.load(Ordering::Relaxed) {
            let cancel = basic::Cancel {
                consumer_tag: tag,
                no_wait: true,
            };
            self.send(number, cancel);
        }
    }
}

/// `x-priority`; what is beyond 32 bits counts as the highest or lowest that there is.
fn priority(consume: &basic::Consume, vhost: &str) -> Result<i32, Exception> {
    let priority: i64 = integer(consume, "x-priority", vhost)?.unwrap_or(0);
    let bounded = priority.clamp(i32::MIN.into(), i32::MAX.into());
    Ok(i32::try_from(bounded).unwrap_or(0))
}

/// `x-consumer-timeout`, in milliseconds; 0 is no timeout.
fn timeout(consume: &basic::Consume, vhost: &str) -> Result<Option<Duration>, Exception> {
    let millis: Option<u64> = integer(consume, "x-consumer-timeout", vhost)?;
    Ok(millis.map(Duration::from_millis))
}

/// An argument that is an integer.
fn integer<T: TryFrom<i64>>(
    consume: &basic::Consume,
    name: &str,
    vhost: &str,
) -> Result<Option<T>, Exception> {
    let Some(value) = consume.arguments.get(name) else {
        return Ok(None);
    };
    if let Some(Ok(integer)) = value.as_integer().map(T::try_from) {
        return Ok(Some(integer));
    }
    let text = format!(
        "invalid arg '{name}' for queue '{}' in vhost '{vhost}': \"expected integer, got {}\"",
        consume.queue,
        FieldValue::type_name(value)
    );
    Err(ChannelException::precondition_failed(text).into())
}
