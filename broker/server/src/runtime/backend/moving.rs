//! Messages that are moved from a queue to wherever an exchange sends them.

use std::sync::Arc;

use amphora_core::message::Delivery;
use amphora_core::queue::Return;
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};

use super::commands::{self, enter};
use super::messages::{Fetched, publish_to};
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
    fetched.given_to = Some(Arc::clone(by.user()));
    let mut messages = Vec::new();
    while (messages.len() as u64) < count {
        let Some(message) = fetched.next(copy).await? else {
            break;
        };
        messages.push(message);
    }
    let mut moved = Moved::default();
    let mut stays = Fetched::of(Arc::clone(queue), &broker.committer, Return::Peeked);
    let commit = {
        let mut ingress = Ingress::new(Arc::clone(vhost), Arc::clone(by.user()));
        let mut commit = false;
        for message in messages {
            let outcome = match addressed(command, message) {
                Ok(message) => publish(broker, by, &mut ingress, message, &mut commit).await,
                Err(reason) => Err(reason),
            };
            if let Err(reason) = outcome {
                moved.stopped = Some(reason);
                break;
            }
            moved.count += 1;
        }
        hand_on(broker, &mut ingress, &mut commit);
        commit
    };
    let done = usize::try_from(moved.count).unwrap_or(usize::MAX);
    stays.positions = fetched
        .positions
        .split_off(done.min(fetched.positions.len()));
    drop(stays);
    if commit {
        broker.committer.all_durable().await;
    }
    fetched.outcome = Outcome::Ack;
    Ok(moved)
}

/// Hands on what was collected. Whether something of it must become durable is added to `commit`.
fn hand_on(broker: &Broker, ingress: &mut Ingress, commit: &mut bool) {
    let mut touched = Touched::default();
    *commit |= ingress.flush(&[], &mut touched).commit;
    touched.finish(&broker.committer);
}

/// A message as it is to be published, or why it cannot be.
fn addressed(command: &MoveMessages, mut message: Owned) -> Result<Owned, String> {
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
    Ok(message)
}

/// Publishes a message where it is to go, or says why it cannot. One whose id somebody else has admitted waits, as every publisher does, until it is
/// known what becomes of that one; what was collected is handed on before.
async fn publish(
    broker: &Broker,
    by: &VhostAccess,
    ingress: &mut Ingress,
    mut message: Owned,
    commit: &mut bool,
) -> Result<(), String> {
    loop {
        let mut touched = Touched::default();
        let outcome = publish_to(by, ingress, message, &mut touched);
        touched.finish(&broker.committer);
        match outcome {
            Ok(ingress::Outcome::Later(later)) => {
                hand_on(broker, ingress, commit);
                message = later.decided().await;
                ingress.refresh();
            }
            Ok(ingress::Outcome::Routed | ingress::Outcome::Taken) => return Ok(()),
            Ok(ingress::Outcome::Unroutable | ingress::Outcome::Waiting) => {
                return Err("the message reaches no queue".to_owned());
            }
            Ok(ingress::Outcome::Full) => return Err("a queue is full".to_owned()),
            Ok(ingress::Outcome::Refused(reason) | ingress::Outcome::Rejected(reason)) => {
                return Err(reason);
            }
            Err(exception) => return Err(exception.text().to_owned()),
        }
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
