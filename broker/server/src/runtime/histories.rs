//! What `x-recent-history` exchanges remember: a hidden queue for each of them, as durable as the exchange, that is cut to its length.
//!
//! So a history is stored, paged out and read back as any queue is. Who is bound to the exchange gets a copy of it.

use std::sync::Arc;
use std::time::Duration;

use amphora_core::binding::{Binding, Destination};
use amphora_core::definition::ExchangeDefinition;
use amphora_core::exchange::{ExchangeType, NO_STORE, history_length};
use amphora_core::topology::{Change, Changes, ConnectionId, INTERNAL_USER, QueueDeclaration};
use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{QueueName, ShortString};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::batch::Owned;
use super::delete_condition::DeleteCondition;
use super::ingress::{Ingress, Outcome};
use super::peer::Touched;
use super::queue::OWN_PREFIX;
use super::vhost::{Handle, VirtualHost};

/// What follows the prefix of the broker's own queues.
const HISTORY: &str = "history.";

/// A history that has to be read back from the disk is asked for again after this time.
const READ_BACK: Duration = Duration::from_millis(20);

/// Then it is given up.
const READ_BACKS_MAX: u32 = 500;

/// The queue's name. An exchange's name may be too long to be a part of it; then a hash stands for it.
fn queue_name(exchange: &str) -> QueueName {
    QueueName::new(format!("{OWN_PREFIX}{HISTORY}{exchange}")).unwrap_or_else(|_| {
        let hash = <sha2::Sha256 as sha2::Digest>::digest(exchange);
        let hash = BASE64.encode(hash);
        QueueName::new(format!("{OWN_PREFIX}{HISTORY}{hash}")).unwrap_or_default()
    })
}

/// The queue that holds an exchange's history; it is made when the first message comes.
pub(super) fn queue(
    vhost: &VirtualHost,
    exchange: &ExchangeDefinition,
) -> Result<Handle, ChannelException> {
    let name = queue_name(&exchange.name);
    if let Some(entry) = vhost.topology().queue(&name) {
        return Ok(Arc::clone(&entry.handle));
    }
    let length = i64::try_from(history_length(&exchange.arguments)).unwrap_or(i64::MAX);
    let length = FieldValue::I64(length);
    let declaration = QueueDeclaration {
        name,
        // Such names are the broker's own to give.
        server_named: true,
        passive: false,
        durable: exchange.durable,
        exclusive: false,
        auto_delete: false,
        arguments: [(ShortString::cut("x-max-length"), length)]
            .into_iter()
            .collect(),
        by: Box::default(),
    };
    Ok(vhost
        .declare_queue(declaration, ConnectionId::NONE, INTERNAL_USER)?
        .result)
}

/// Whether a message with these properties is to be remembered.
pub(super) fn is_kept(properties: &[u8]) -> bool {
    let headers = RawProperties::new(properties).and_then(RawProperties::headers_raw);
    let Ok(Some(headers)) = headers else {
        return true;
    };
    // A quick look, so that headers that do not mention it are not decoded.
    if !headers
        .windows(NO_STORE.len())
        .any(|name| name == NO_STORE.as_bytes())
    {
        return true;
    }
    let headers = FieldTable::decode_fields(headers).unwrap_or_default();
    headers.get(NO_STORE).and_then(FieldValue::as_bool) != Some(true)
}

/// Gives the exchange's history to who was just bound to it.
pub(super) fn replay(vhost: &Arc<VirtualHost>, binding: &Binding) {
    if !try_replay(vhost, binding) {
        let (vhost, binding) = (Arc::clone(vhost), binding.clone());
        tokio::spawn(async move {
            for _ in 0..READ_BACKS_MAX {
                tokio::time::sleep(READ_BACK).await;
                if try_replay(&vhost, &binding) {
                    return;
                }
            }
            tracing::error!(
                vhost = %vhost.name, exchange = %binding.source, destination = binding.destination.name(),
                "the history could not be read, and was not delivered"
            );
        });
    }
}

/// False if it has to be read back first.
fn try_replay(vhost: &Arc<VirtualHost>, binding: &Binding) -> bool {
    let topology = vhost.topology();
    let queue = topology.queue(&queue_name(&binding.source));
    let Some(queue) = queue.map(|entry| Arc::clone(&entry.handle)) else {
        return true;
    };
    drop(topology);
    let mut touched = Touched::default();
    let Some(messages) = messages(vhost, &queue, &mut touched) else {
        return false;
    };
    let mut ingress = Ingress::new(Arc::clone(vhost), "".into());
    ingress.for_each(messages, |ingress, message| {
        if ingress.is_due() {
            ingress.flush(&[], &mut touched);
        }
        let outcome = match &binding.destination {
            Destination::Queue(name) => Ok(ingress.give_to(name, message)),
            Destination::Exchange(name) => ingress.publish_from(name, message),
        };
        let error = match outcome {
            Err(error) => error.to_string(),
            Ok(Outcome::Refused(reason) | Outcome::Rejected(reason)) => reason,
            Ok(Outcome::Full) => "a queue is full".to_owned(),
            Ok(_) => return,
        };
        tracing::warn!(vhost = %vhost.name, exchange = %binding.source, %error, "a part of the history was not delivered");
    });
    ingress.flush(&[], &mut touched);
    touched.finish(&vhost.committer);
    true
}

/// All that a history holds, the oldest first; nothing if it has to be read back.
fn messages(vhost: &VirtualHost, queue: &Handle, touched: &mut Touched) -> Option<Vec<Owned>> {
    let read = queue.with(&vhost.committer, touched, |model, _| {
        let mut messages = Vec::new();
        let (whole, effects) = model.browse(|message| messages.push(Owned::from(message)));
        (whole.then_some(messages), effects)
    });
    // A queue that was deleted holds nothing.
    read.map_or(Some(Vec::new()), |(messages, _)| messages)
}

/// An exchange's history goes with it.
pub(super) fn follow(vhost: &VirtualHost, changes: &Changes) {
    for change in &changes.0 {
        if let Change::ExchangeDeleted(exchange) = change
            && exchange.routing_type() == ExchangeType::RecentHistory
        {
            forget(vhost, &queue_name(&exchange.name));
        }
    }
}

/// Deletes histories whose exchanges are gone: the broker ended between the two.
pub(super) fn recover(vhost: &VirtualHost) {
    let topology = vhost.topology();
    let prefix = format!("{OWN_PREFIX}{HISTORY}");
    let own = topology.queues().map(|entry| entry.definition.name.clone());
    let histories: Vec<QueueName> = own.filter(|name| name.starts_with(&prefix)).collect();
    let exchanges = topology.exchanges();
    let wanted: Vec<QueueName> = exchanges
        .filter(|exchange| exchange.routing_type() == ExchangeType::RecentHistory)
        .map(|exchange| queue_name(&exchange.name))
        .collect();
    drop(topology);
    for name in histories {
        if !wanted.contains(&name) {
            forget(vhost, &name);
        }
    }
}

fn forget(vhost: &VirtualHost, name: &str) {
    let mut touched = Touched::default();
    let deleted = vhost.delete_queue(
        name,
        (ConnectionId::NONE, INTERNAL_USER),
        DeleteCondition::default(),
        &mut touched,
    );
    touched.finish(&vhost.committer);
    if let Err(error) = deleted {
        tracing::warn!(vhost = %vhost.name, queue = name, %error, "a history stays without its exchange");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphora_protocol::wire::properties::BasicProperties;
    use amphora_protocol::wire::table::FieldValue;

    #[test]
    fn a_name_is_never_too_long() {
        assert_eq!(queue_name("x"), *"amq.amphora.history.x");
        let (long, other) = ("x".repeat(250), "y".repeat(250));
        assert_eq!(queue_name(&long).len(), "amq.amphora.history.".len() + 43);
        assert_ne!(queue_name(&long), queue_name(&other));
    }

    #[test]
    fn a_header_keeps_a_message_out() {
        let with = |name: &str, value: FieldValue| {
            let headers = [(ShortString::cut(name), value)].into_iter().collect();
            let properties = BasicProperties {
                headers: Some(headers),
                ..BasicProperties::default()
            };
            is_kept(&properties.to_bytes())
        };
        assert!(is_kept(&BasicProperties::default().to_bytes()));
        assert!(with("other", true.into()));
        assert!(with(NO_STORE, false.into()));
        assert!(with(NO_STORE, "true".into()));
        assert!(!with(NO_STORE, true.into()));
    }
}
