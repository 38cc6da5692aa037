//! basic.get: one message, at once.

use std::sync::Arc;
use std::time::Duration;

use amphora_core::message::Message;
use amphora_core::queue::Get;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::types::{ChannelNumber, DeliveryTag, ExchangeName, RoutingKey};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::runtime::announce::Who;
use crate::runtime::ingress::names;
use crate::runtime::session::Session;
use crate::runtime::special::shown;
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::Handle;

impl Session {
    pub(super) async fn get(
        &mut self,
        number: ChannelNumber,
        get: basic::Get,
    ) -> Result<(), Exception> {
        let name = self.queue_name(number, get.queue)?;
        let queue = self.principal()?.readable_queue(&name)?;
        queue.refuse_stream("basic.get")?;
        queue.refuse_get()?;
        self.wait_for_reader().await;
        loop {
            // Registered before the look, so that a segment that comes back in between is not missed.
            let paged = queue.paged.notified();
            match self.try_get(number, &queue, get.no_ack)? {
                Get::Message(()) => return Ok(()),
                Get::Empty => {
                    if let Some(out) = self.peer.outbox.lock().channel(number) {
                        out.traffic.got_nothing += 1;
                    }
                    self.send(number, basic::GetEmpty {});
                    return Ok(());
                }
                Get::Away => self.wait_for_disk(paged).await?,
                Get::Later => yield_now().await,
            }
        }
    }

    /// A client that asks for many messages and reads none waits for itself. The batch of input that it asks with is
    /// small, what it asks for is not.
    async fn wait_for_reader(&mut self) {
        while self.peer.outbox_size() > UNREAD_MAX && self.peer.failure().is_none() {
            self.finish();
            sleep(UNREAD_PAUSE).await;
        }
    }

    fn try_get(
        &mut self,
        number: ChannelNumber,
        queue: &Handle,
        no_ack: bool,
    ) -> Result<Get<()>, Exception> {
        let source = if no_ack {
            None
        } else {
            Some(self.get_source(number, queue)?)
        };
        let peer = Arc::clone(&self.peer);
        let got = queue.with(&self.broker.committer, &mut self.touched, |model, _| {
            model.get(no_ack, |delivery, remaining| {
                if queue.tap.is_on() {
                    let who = Who::Connection(peer.id, number);
                    queue.tap.delivered(who, &queue.name, &delivery);
                }
                let mut outbox = peer.outbox.lock();
                let Some(out) = outbox.channel(number) else {
                    return;
                };
                let tag = match source {
                    Some(source) => {
                        out.unacked.tell_time(now_ms());
                        out.unacked.push(source, delivery.position)
                    }
                    None => out.unacked.next_tag(),
                };
                let traffic = &mut out.traffic;
                traffic.redelivered += u64::from(delivery.redelivered);
                *(if no_ack {
                    &mut traffic.got_no_ack
                } else {
                    &mut traffic.got
                }) += 1;
                let (exchange, key) = names(delivery.message.target).unwrap_or_default();
                let ok = basic::GetOk {
                    delivery_tag: DeliveryTag(tag),
                    redelivered: delivery.redelivered,
                    exchange: ExchangeName::new(exchange).unwrap_or_default(),
                    routing_key: RoutingKey::new(key).unwrap_or_default(),
                    message_count: u32::try_from(remaining).unwrap_or(u32::MAX),
                };
                let shown = shown(delivery.message.properties, delivery.attempts);
                let message = shown
                    .as_ref()
                    .map_or(delivery.message, |properties| Message {
                        properties,
                        ..delivery.message
                    });
                outbox.content(number, &ok.into(), &message);
                peer.publish_size(&outbox);
            })
        });
        self.touched.add(&peer);
        Ok(got.map_or(Get::Empty, |(got, _)| got))
    }

    /// Deliveries by basic.get from one queue share a source.
    fn get_source(&mut self, number: ChannelNumber, queue: &Handle) -> Result<u32, Exception> {
        let channel = self.channel(number)?;
        if let Some((_, source)) = channel
            .got
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, queue))
        {
            return Ok(*source);
        }
        let mut outbox = self.peer.outbox.lock();
        let source = outbox
            .channel(number)
            .map(|out| out.unacked.open_source(Arc::clone(queue), None))
            .unwrap_or_default();
        drop(outbox);
        self.set_timeout(number, source, queue, None);
        let channel = self.channel(number)?;
        if channel.got.len() >= GOT_MAX {
            let (_, oldest) = channel.got.remove(0);
            if let Some(out) = self.peer.outbox.lock().channel(number) {
                out.unacked.close_source(oldest);
            }
        }
        self.channel(number)?.got.push((Arc::clone(queue), source));
        Ok(source)
    }
}

/// A client that leaves so much unread gets no further message by basic.get for now.
const UNREAD_MAX: usize = 16 << 20;
/// How often a client that does not read is looked after.
const UNREAD_PAUSE: Duration = Duration::from_millis(5);

/// Queues whose source a channel remembers for basic.get.
const GOT_MAX: usize = 16;
