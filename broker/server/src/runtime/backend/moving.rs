//! Messages that are moved from a queue to wherever an exchange sends them.

use std::sync::Arc;

use amphora_core::message::Delivery;
use amphora_core::queue::Return;
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};

use super::commands::{self, enter};
use super::messages::Fetched;
use crate::auth::{Access, Resource, VhostAccess};
use crate::management::backend::{MoveMessages, Moved};
use crate::runtime::batch::{Owned, target};
use crate::runtime::broker::Broker;
use crate::runtime::channel::Outcome;
use crate::runtime::ingress::{self, Ingress, names};
use crate::runtime::peer::Touched;
use crate::runtime::special;
use crate::runtime::vhost::{Handle, VirtualHost};

/// Messages that are out of the queue and not durable elsewhere yet, at most.
const BATCH_MAX: u64 = 100;

/// The header that tells of deaths.
const X_DEATH: &str = "x-death";

/// Moves messages until there are enough, or one cannot go.
///
/// # Errors
/// The user may not read the queue; it is not there, or is a stream; publishers are blocked.
pub(super) async fn move_messages(
    broker: &Broker,
    by: &VhostAccess,
    command: MoveMessages,
) -> Result<Moved, Exception> {
    let vhost = enter(broker, by)?;
    let queue = commands::principal(by, &vhost).readable_queue(&command.queue)?;
    queue.refuse_stream("basic.get")?;
    if let Some(exchange) = &command.exchange {
        by.check(Access::Write, Resource::Exchange(exchange))?;
    }
    if let Some(reason) = broker.alarm() {
        let text = format!("publishers are blocked: {reason}");
        return Err(ConnectionException::resource_error(text).into());
    }
    // What comes back to the queue meanwhile is not moved again.
    let ready = queue.state.lock().model.ready_count();
    let mut left = command.count.min(ready);
    let mut moved = Moved::default();
    while left > 0 && moved.stopped.is_none() {
        let count = left.min(BATCH_MAX);
        let batch = move_batch(broker, by, (&vhost, &queue), &command, count).await?;
        moved.count += batch.count;
        moved.stopped = batch.stopped;
        if batch.count < count {
            break;
        }
        left -= count;
    }
    Ok(moved)
}

async fn move_batch(
    broker: &Broker,
    by: &VhostAccess,
    (vhost, queue): (&Arc<VirtualHost>, &Handle),
    command: &MoveMessages,
    count: u64,
) -> Result<Moved, Exception> {
    let mut fetched = Fetched::of(Arc::clone(queue), &broker.committer, Return::Peeked);
    let mut messages = Vec::new();
    while (messages.len() as u64) < count {
        let Some(message) = fetched.next(copy).await? else {
            break;
        };
        messages.push(message);
    }
    let mut moved = Moved::default();
    let mut stays = Fetched::of(Arc::clone(queue), &broker.committer, Return::Peeked);
    let published = {
        let mut ingress = Ingress::new(Arc::clone(vhost), Arc::clone(by.user()));
        let mut touched = Touched::default();
        for message in messages {
            if let Err(reason) = publish(by, &mut ingress, command, message, &mut touched) {
                moved.stopped = Some(reason);
                break;
            }
            moved.count += 1;
        }
        let flushed = ingress.flush(&[], &mut touched);
        touched.finish(&broker.committer);
        flushed
    };
    let done = usize::try_from(moved.count).unwrap_or(usize::MAX);
    stays.positions = fetched
        .positions
        .split_off(done.min(fetched.positions.len()));
    drop(stays);
    if published.commit {
        broker.committer.all_durable().await;
    }
    fetched.outcome = Outcome::Ack;
    Ok(moved)
}

/// Publishes a message where it is to go, or says why it cannot.
fn publish(
    by: &VhostAccess,
    ingress: &mut Ingress,
    command: &MoveMessages,
    mut message: Owned,
    touched: &mut Touched,
) -> Result<(), String> {
    let (exchange, key) = match &command.exchange {
        Some(exchange) => {
            let (_, own) = names(&message.target).map_err(|error| error.to_string())?;
            (exchange.to_string(), own.to_owned())
        }
        None => origin(&message.properties).ok_or("the message does not say where it died")?,
    };
    let key = command.routing_key.as_ref().map_or(&*key, |key| key);
    if exchange.is_empty() && *key == *command.queue {
        return Err("the message would come back to this queue".to_owned());
    }
    message.target = target(&exchange, key);
    if let Some(shown) = special::shown(&message.properties, None) {
        message.properties = shown;
    }
    match special::publish(by, ingress, message, &[], touched) {
        Ok(ingress::Outcome::Routed | ingress::Outcome::Taken) => Ok(()),
        Ok(ingress::Outcome::Unroutable | ingress::Outcome::Waiting) => {
            Err("the message reaches no queue".to_owned())
        }
        Ok(ingress::Outcome::Later(_)) => {
            Err("another message with the same id is on its way".to_owned())
        }
        Ok(ingress::Outcome::Full) => Err("a queue is full".to_owned()),
        Ok(ingress::Outcome::Refused(reason) | ingress::Outcome::Rejected(reason)) => Err(reason),
        Err(exception) => Err(exception.text().to_owned()),
    }
}

/// The exchange and the routing key with which the message was published before it died first.
fn origin(properties: &[u8]) -> Option<(String, String)> {
    let headers = RawProperties::new(properties).ok()?.headers().ok()??;
    let deaths = headers.get(X_DEATH)?.as_array()?;
    let first = deaths.last()?.as_table()?;
    let text = |table: &FieldTable, name: &str| Some(table.get(name)?.as_str()?.to_owned());
    let keys = first.get("routing-keys")?.as_array()?;
    let key = keys.first().and_then(FieldValue::as_str)?;
    Some((text(first, "exchange")?, key.to_owned()))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "others that look at a message in hand may fail"
)]
fn copy(delivery: &Delivery<'_>, _: u64) -> Result<Owned, Exception> {
    Ok(delivery.message.into())
}
