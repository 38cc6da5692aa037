//! Delayed messages of a broker that is not there.

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};

use super::FakeBroker;
use crate::auth::VhostAccess;
use crate::management::backend::{DelayedMessages, Reply};
use crate::management::snapshot::{DelayedId, DelayedPage, DelayedSnapshot};

/// Always the same two messages.
fn messages() -> Vec<DelayedSnapshot> {
    let message = |due, position, body: &'static str| DelayedSnapshot {
        id: DelayedId { due, position },
        exchange: ExchangeName::new("later").unwrap_or_default(),
        routing_key: RoutingKey::new("key").unwrap_or_default(),
        properties: BasicProperties::default(),
        body: body.into(),
        body_bytes: body.len(),
    };
    vec![
        message(1_700_000_000_000, 7, "first"),
        message(1_700_000_060_000, 3, "second"),
    ]
}

impl DelayedMessages for FakeBroker {
    fn list<'a>(
        &'a self,
        _: &'a VhostAccess,
        skip: usize,
        count: usize,
        _: usize,
    ) -> Reply<'a, DelayedPage> {
        let all = messages();
        let page = DelayedPage {
            total: all.len(),
            messages: all.into_iter().skip(skip).take(count).collect(),
        };
        Box::pin(async move { Ok(page) })
    }

    fn cancel<'a>(&'a self, _: &'a VhostAccess, id: DelayedId) -> Reply<'a, bool> {
        let found = messages().iter().any(|message| message.id == id);
        Box::pin(async move { Ok(found) })
    }

    fn cancel_all<'a>(&'a self, _: &'a VhostAccess) -> Reply<'a, usize> {
        Box::pin(async { Ok(messages().len()) })
    }
}
