//! Single messages, published and fetched by a user without a connection.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::message::{Delivery, Message};
use amphora_core::queue::{self, Held, Return};
use amphora_core::store::Position;
use amphora_protocol::exception::{ChannelException, ConnectionException, Exception};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use bytes::Bytes;

use super::commands::{self, enter};
use crate::auth::VhostAccess;
use crate::management::backend::{Get, Got, Publish, Published, Settlement};
use crate::management::snapshot::RouteReport;
use crate::runtime::announce::Who;
use crate::runtime::batch::{Owned, target};
use crate::runtime::broker::Broker;
use crate::runtime::channel::Outcome;
use crate::runtime::committer::Committer;
use crate::runtime::counters::Tally;
use crate::runtime::ingress::{self, Ingress, names};
use crate::runtime::peer::Touched;
use crate::runtime::principal;
use crate::runtime::rehearsal;
use crate::runtime::special;
use crate::runtime::vhost::Handle;

/// How long a publish waits for its confirm: as long as RabbitMQ's API.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(15);

/// Says what would become of a message: see [`rehearsal`].
pub(super) async fn route(
    broker: &Broker,
    by: &VhostAccess,
    command: Publish,
) -> Result<RouteReport, Exception> {
    let vhost = enter(broker, by)?;
    principal::may_publish(by, &vhost, &command.exchange, &command.routing_key)?;
    let message = Owned {
        target: target(&command.exchange, &command.routing_key),
        properties: command.properties.to_bytes(),
        body: command.body,
    };
    special::check(by, &message.properties)?;
    let user = Arc::clone(by.user());
    let rehearsed =
        tokio::task::spawn_blocking(move || rehearsal::rehearse(vhost, user, &message)).await;
    let mut report =
        rehearsed.map_err(|error| ConnectionException::internal_error(error.to_string()))??;
    if let Some(reason) = broker.alarm() {
        report
            .notes
            .push(format!("publishers are blocked: {reason}"));
    }
    Ok(report)
}

pub(super) async fn publish(
    broker: &Broker,
    by: &VhostAccess,
    command: Publish,
) -> Result<Published, Exception> {
    let (size, size_max) = (command.body.len(), broker.limits().message_size_max);
    if size as u64 > size_max.as_bytes() {
        let size_max = size_max.as_bytes();
        let text = format!("message size {size} is larger than configured max size {size_max}");
        return Err(ChannelException::precondition_failed(text).into());
    }
    let message = Owned {
        target: target(&command.exchange, &command.routing_key),
        properties: command.properties.to_bytes(),
        body: command.body,
    };
    if special::check(by, &message.properties)?.reply_address {
        return Err(special::no_reply_consumer());
    }
    let (published, commit) = send(broker, by, message).await?;
    if commit && !confirm(broker).await {
        return Ok(Published::Refused);
    }
    Ok(published)
}

/// Publishes a message whose properties are in order, and says whether its confirm is to be waited for.
pub(super) async fn send(
    broker: &Broker,
    by: &VhostAccess,
    mut message: Owned,
) -> Result<(Published, bool), Exception> {
    if let Some(reason) = broker.alarm() {
        let text = format!("publishers are blocked: {reason}");
        return Err(ConnectionException::resource_error(text).into());
    }
    let mut tally = Tally::default();
    tally.sizes.count(message.body.len());
    let (outcome, commit) = loop {
        let (outcome, commit) = try_send(broker, by, message)?;
        match outcome {
            ingress::Outcome::Later(later) => message = later.decided().await,
            outcome => break (outcome, commit),
        }
    };
    let routed = match outcome {
        ingress::Outcome::Routed | ingress::Outcome::Taken => true,
        ingress::Outcome::Refused(reason) | ingress::Outcome::Rejected(reason) => {
            return Err(ChannelException::precondition_failed(reason).into());
        }
        ingress::Outcome::Full => return Ok((Published::Refused, false)),
        ingress::Outcome::Unroutable | ingress::Outcome::Waiting | ingress::Outcome::Later(_) => {
            false
        }
    };
    tally.publish(1, routed, true);
    broker.counters.take(&mut tally);
    Ok(if routed {
        (Published::Routed, commit)
    } else {
        (Published::Unroutable, false)
    })
}

/// As [`send`], unless somebody else has published one with the same id, and it is not decided what becomes of that one.
fn try_send(
    broker: &Broker,
    by: &VhostAccess,
    message: Owned,
) -> Result<(ingress::Outcome, bool), Exception> {
    let mut ingress = Ingress::new(enter(broker, by)?, Arc::clone(by.user()));
    let mut touched = Touched::default();
    let outcome = publish_to(by, &mut ingress, message, &mut touched);
    let flushed = ingress.flush(&[], &mut touched);
    touched.finish(&broker.committer);
    Ok((outcome?, flushed.commit))
}

/// Publishes a message for a user without a connection. Who listens to the firehose hears of it.
pub(super) fn publish_to(
    by: &VhostAccess,
    ingress: &mut Ingress,
    message: Owned,
    touched: &mut Touched,
) -> Result<ingress::Outcome, Exception> {
    let traced = ingress.vhost.tap.is_on().then(|| message.clone());
    let outcome = special::publish(by, ingress, message, &[], touched)?;
    if let Some(message) = traced
        && !matches!(outcome, ingress::Outcome::Later(_))
    {
        ingress.trace(Who::Api(Arc::clone(by.user())), message);
    }
    Ok(outcome)
}

/// Waits until all that was sent is as durable as a confirm promises; false if that takes too long.
pub(super) async fn confirm(broker: &Broker) -> bool {
    let durable = broker.committer.all_durable();
    tokio::time::timeout(CONFIRM_TIMEOUT, durable).await.is_ok()
}

pub(super) async fn get(
    broker: &Broker,
    by: &VhostAccess,
    command: Get,
) -> Result<Vec<Got>, Exception> {
    let vhost = enter(broker, by)?;
    let queue = commands::principal(by, &vhost).readable_queue(&command.queue)?;
    queue.refuse_stream("basic.get")?;
    let mut fetched = Fetched::of(queue, &broker.committer, Return::Peeked);
    fetched.given_to = Some(Arc::clone(by.user()));
    let mut messages = Vec::new();
    let mut bytes = 0;
    while messages.len() < command.count as usize && bytes < command.bytes_max {
        let Some(got) = fetched.next(got).await? else {
            break;
        };
        bytes += got.body.len() as u64;
        messages.push(got);
    }
    fetched.outcome = match command.settlement {
        Settlement::Ack => Outcome::Ack,
        Settlement::Requeue => Outcome::Requeue(Return::Peeked),
        Settlement::Discard => Outcome::Discard,
    };
    Ok(messages)
}

/// Takes what is wanted of a message in hand.
type Copy<T> = fn(&Delivery<'_>, u64) -> Result<T, Exception>;

/// Messages that were taken out of a queue. Whatever becomes of the request that asked for them, they are settled at
/// its end: put back, unless it got as far as to say otherwise.
pub(super) struct Fetched {
    queue: Handle,
    committer: Arc<Committer>,
    pub(super) positions: Vec<Position>,
    pub(super) outcome: Outcome,
    /// The user who gets them, of which who listens to the firehose hears. None if they are only looked at.
    pub(super) given_to: Option<Arc<str>>,
}

impl Fetched {
    /// Nothing yet of this queue. What is not settled otherwise goes back like this.
    pub(super) fn of(queue: Handle, committer: &Arc<Committer>, why: Return) -> Self {
        Self {
            queue,
            committer: Arc::clone(committer),
            positions: Vec::new(),
            outcome: Outcome::Requeue(why),
            given_to: None,
        }
    }

    /// Settles these of them now.
    pub(super) fn acknowledge(&mut self, settled: &BTreeSet<Position>) {
        let (now, later) = self
            .positions
            .iter()
            .partition(|position| settled.contains(position));
        self.positions = later;
        self.release(now, Outcome::Ack);
    }

    fn release(&self, mut positions: Vec<Position>, outcome: Outcome) {
        let mut touched = Touched::default();
        positions.sort_unstable();
        let held = Held {
            consumer: None,
            positions: &positions,
        };
        self.queue
            .release(&self.committer, &mut touched, held, outcome);
        touched.finish(&self.committer);
    }

    /// Takes the next message; waits if it must be read back from the store.
    pub(super) async fn next<T>(&mut self, copy: Copy<T>) -> Result<Option<T>, Exception> {
        let queue = Arc::clone(&self.queue);
        loop {
            // Registered before the look, so that a segment that comes back in between is not missed.
            let paged = queue.paged.notified();
            match self.try_next(copy)? {
                queue::Get::Message(got) => return Ok(Some(got)),
                queue::Get::Empty => return Ok(None),
                queue::Get::Away => paged.await,
                queue::Get::Later => tokio::task::yield_now().await,
            }
        }
    }

    fn try_next<T>(&mut self, copy: Copy<T>) -> Result<queue::Get<T>, Exception> {
        let mut touched = Touched::default();
        let positions = &mut self.positions;
        let (queue, given_to) = (&self.queue, &self.given_to);
        let got = queue.with(&self.committer, &mut touched, |model, _| {
            model.get(false, |delivery, ready_count| {
                if let Some(user) = given_to
                    && queue.tap.is_on()
                {
                    let who = Who::Api(Arc::clone(user));
                    queue.tap.delivered(who, &queue.name, &delivery);
                }
                positions.push(delivery.position);
                copy(&delivery, ready_count)
            })
        });
        touched.finish(&self.committer);
        Ok(match got {
            None | Some((queue::Get::Empty, _)) => queue::Get::Empty,
            Some((queue::Get::Away, _)) => queue::Get::Away,
            Some((queue::Get::Later, _)) => queue::Get::Later,
            Some((queue::Get::Message(got), _)) => queue::Get::Message(got?),
        })
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        let positions = std::mem::take(&mut self.positions);
        self.release(positions, self.outcome);
    }
}

fn got(delivery: &Delivery<'_>, ready_count: u64) -> Result<Got, Exception> {
    copy(&delivery.message, delivery.redelivered, ready_count)
}

/// A message, and where it is in its queue.
pub(super) fn placed(
    delivery: &Delivery<'_>,
    ready_count: u64,
) -> Result<(Position, Got), Exception> {
    Ok((delivery.position, got(delivery, ready_count)?))
}

pub(super) fn copy(
    message: &Message<'_>,
    redelivered: bool,
    ready_count: u64,
) -> Result<Got, Exception> {
    let (exchange, routing_key) = names(message.target)?;
    let shown = special::shown(message.properties, None);
    let properties = BasicProperties::decode(shown.as_deref().unwrap_or(message.properties));
    Ok(Got {
        exchange: ExchangeName::new(exchange).unwrap_or_default(),
        routing_key: RoutingKey::new(routing_key).unwrap_or_default(),
        redelivered,
        ready_count,
        properties: properties
            .map_err(|error| ConnectionException::internal_error(error.to_string()))?,
        body: Bytes::copy_from_slice(message.body.bytes()),
    })
}
