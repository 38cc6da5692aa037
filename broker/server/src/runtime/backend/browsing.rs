//! Single messages, looked at and picked.

use std::collections::BTreeSet;

use amphora_core::message::Message;
use amphora_core::queue::Return;
use amphora_core::store::Position;
use amphora_core::stream::{Look, Subscription};
use amphora_protocol::exception::{ChannelException, ConnectionException, Exception};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::ShortString;

use super::commands::{enter, principal};
use super::messages::{Fetched, confirm, copy, placed, send};
use crate::auth::{Access, Resource, VhostAccess};
use crate::management::backend::{
    Browse, Browsed, BrowsedMessage, Browsing, Got, MovePicked, Picked, Published, REACH, Reply,
};
use crate::runtime::batch::{Owned, target};
use crate::runtime::broker::Broker;
use crate::runtime::peer::Touched;
use crate::runtime::vhost::Handle;

/// How often a chunk of a stream is asked for that others need to go again before it was seen.
const ATTEMPTS_MAX: u32 = 20;

impl Browsing for Broker {
    fn browse<'a>(&'a self, by: &'a VhostAccess, command: Browse) -> Reply<'a, Browsed> {
        Box::pin(async move {
            let vhost = enter(self, by)?;
            let queue = principal(by, &vhost).readable_queue(&command.queue)?;
            if queue.is_stream() {
                browse_stream(self, &queue, command).await
            } else {
                browse_queue(self, queue, &command).await
            }
        })
    }

    fn move_picked<'a>(&'a self, by: &'a VhostAccess, command: MovePicked) -> Reply<'a, u64> {
        Box::pin(async move {
            by.check(Access::Write, Resource::Exchange(&command.exchange))?;
            let (mut fetched, found) = pick(self, by, &command.picked).await?;
            let mut moved = BTreeSet::new();
            let mut refusal = None;
            let target = target(&command.exchange, &command.routing_key);
            for (position, got) in found {
                let message = Owned {
                    target: target.clone(),
                    properties: got.properties.to_bytes(),
                    body: got.body,
                };
                match send(self, by, message).await {
                    Ok((Published::Routed, _)) => _ = moved.insert(position),
                    Ok((published, _)) => {
                        refusal = Some(refused(published, &command, moved.len()));
                        break;
                    }
                    Err(exception) => {
                        refusal = Some(exception);
                        break;
                    }
                }
            }
            if !moved.is_empty() && !confirm(self).await {
                let text =
                    "the messages were published and are not durable yet: they stay here, too";
                return Err(ConnectionException::resource_error(text).into());
            }
            fetched.acknowledge(&moved);
            note(by, &command.picked, moved.len(), "moved");
            refusal.map_or(Ok(moved.len() as u64), Err)
        })
    }

    fn delete_messages<'a>(&'a self, by: &'a VhostAccess, picked: Picked) -> Reply<'a, u64> {
        Box::pin(async move {
            let (mut fetched, found) = pick(self, by, &picked).await?;
            let found: BTreeSet<_> = found.into_iter().map(|(position, _)| position).collect();
            fetched.acknowledge(&found);
            note(by, &picked, found.len(), "deleted");
            Ok(found.len() as u64)
        })
    }
}

fn refused(published: Published, command: &MovePicked, moved: usize) -> Exception {
    let (exchange, key) = (&command.exchange, &command.routing_key);
    let why = match published {
        Published::Unroutable => "reaches no queue",
        Published::Routed | Published::Refused => "is refused",
    };
    let text = format!(
        "a message {why} by exchange '{exchange}' with routing key '{key}'; {moved} were moved before it"
    );
    ChannelException::precondition_failed(text).into()
}

fn note(by: &VhostAccess, picked: &Picked, count: usize, what: &str) {
    let (user, vhost, queue) = (by.user(), by.vhost(), &picked.queue);
    tracing::info!(target: "amphora::audit", %user, %vhost, %queue, count, "messages {what}");
}

/// Takes messages out, those that were picked and those before them, all of which go back unless they are acknowledged.
async fn pick(
    broker: &Broker,
    by: &VhostAccess,
    picked: &Picked,
) -> Result<(Fetched, Vec<(Position, Got)>), Exception> {
    let vhost = enter(broker, by)?;
    let queue = principal(by, &vhost).readable_queue(&picked.queue)?;
    queue.refuse_stream("basic.get")?;
    let wanted: BTreeSet<_> = picked.positions.iter().copied().collect();
    let mut fetched = Fetched::of(queue, &broker.committer, Return::Browsed);
    let mut found = Vec::new();
    for _ in 0..REACH {
        if found.len() == wanted.len() {
            break;
        }
        let Some((position, got)) = fetched.next(placed).await? else {
            break;
        };
        if wanted.contains(&position) {
            found.push((position, got));
        }
    }
    Ok((fetched, found))
}

async fn browse_queue(
    broker: &Broker,
    queue: Handle,
    command: &Browse,
) -> Result<Browsed, Exception> {
    let mut fetched = Fetched::of(queue, &broker.committer, Return::Browsed);
    let mut browsed = Browsed::default();
    let mut bytes = 0;
    while browsed.messages.len() < command.count as usize && bytes < command.bytes_max {
        let Some((position, message)) = fetched.next(placed).await? else {
            break;
        };
        bytes += message.body.len() as u64;
        browsed.messages.push(BrowsedMessage {
            position,
            published_at: None,
            message,
        });
    }
    Ok(browsed)
}

async fn browse_stream(
    broker: &Broker,
    queue: &Handle,
    command: Browse,
) -> Result<Browsed, Exception> {
    let offset = command.offset.into_iter();
    let arguments: FieldTable = offset
        .map(|offset| (ShortString::cut("x-stream-offset"), offset))
        .collect();
    let subscription = Subscription::parse(&arguments, &queue.described())?;
    let mut shown = Shown {
        browsed: Browsed::default(),
        failure: None,
        bytes: 0,
        count: command.count as usize,
        bytes_max: command.bytes_max,
    };
    let mut at = None;
    let mut attempts = 0;
    while !shown.is_full() && attempts < ATTEMPTS_MAX {
        // Registered before the look, so that a chunk that comes back in between is not missed.
        let paged = queue.paged.notified();
        let mut touched = Touched::default();
        let looked = queue.with(&broker.committer, &mut touched, |model, _| {
            let Some(from) = at else {
                let (found, effects) = model.seek(&subscription);
                return (found.map_or(Look::Away, Look::Next), effects);
            };
            model.look(from, |position, message, time| {
                shown.see(position, &message, time)
            })
        });
        touched.finish(&broker.committer);
        match looked {
            Some((Look::Next(next), _)) => (at, attempts) = (Some(next), 0),
            Some((Look::Away, _)) => {
                attempts += 1;
                paged.await;
            }
            Some((Look::End, _)) | None => {
                at = None;
                break;
            }
        }
    }
    if let Some(failure) = shown.failure {
        return Err(failure);
    }
    shown.browsed.next = at;
    Ok(shown.browsed)
}

/// What was seen of a stream so far.
struct Shown {
    browsed: Browsed,
    failure: Option<Exception>,
    bytes: u64,
    count: usize,
    bytes_max: u64,
}

impl Shown {
    fn is_full(&self) -> bool {
        self.browsed.messages.len() >= self.count
            || self.bytes >= self.bytes_max
            || self.failure.is_some()
    }

    /// Whether there is room for more.
    fn see(&mut self, position: Position, message: &Message<'_>, time: Option<u64>) -> bool {
        match copy(message, false, 0) {
            Ok(message) => {
                self.bytes += message.body.len() as u64;
                self.browsed.messages.push(BrowsedMessage {
                    position,
                    published_at: time,
                    message,
                });
            }
            Err(exception) => self.failure = Some(exception),
        }
        !self.is_full()
    }
}
