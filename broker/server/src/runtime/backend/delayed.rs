//! Messages that wait for their time.

use std::sync::Arc;

use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};

use super::commands::enter;
use crate::auth::{Access, Resource, VhostAccess};
use crate::management::backend::{DelayedMessages, Reply};
use crate::management::snapshot::{DelayedId, DelayedPage, DelayedSnapshot};
use crate::runtime::broker::Broker;
use crate::runtime::delays::{QUEUE, Waits};
use crate::runtime::ingress::names;
use crate::runtime::vhost::VirtualHost;

impl DelayedMessages for Broker {
    fn list<'a>(
        &'a self,
        by: &'a VhostAccess,
        skip: usize,
        count: usize,
        shown: usize,
    ) -> Reply<'a, DelayedPage> {
        Box::pin(async move {
            by.check(Access::Read, Resource::Queue(QUEUE))?;
            let (total, waits) = aside(self, by, move |vhost| {
                vhost.delays.list(vhost, skip, count, shown)
            })
            .await?;
            Ok(DelayedPage {
                total,
                messages: waits.into_iter().map(snapshot).collect(),
            })
        })
    }

    fn cancel<'a>(&'a self, by: &'a VhostAccess, id: DelayedId) -> Reply<'a, bool> {
        Box::pin(async move {
            by.check(Access::Configure, Resource::Queue(QUEUE))?;
            let DelayedId { due, position } = id;
            let cancelled = aside(self, by, move |vhost| {
                vhost.delays.cancel(vhost, due, position)
            });
            let cancelled = cancelled.await?;
            self.committer.all_durable().await;
            Ok(cancelled)
        })
    }

    fn cancel_all<'a>(&'a self, by: &'a VhostAccess) -> Reply<'a, usize> {
        Box::pin(async move {
            by.check(Access::Configure, Resource::Queue(QUEUE))?;
            let vhost = enter(self, by)?;
            let cancelled = vhost.delays.cancel_all(&vhost)?;
            Ok(cancelled.durable(&self.committer).await)
        })
    }
}

/// Does something that may read from the disk, where that holds nobody up.
async fn aside<T: Send + 'static>(
    broker: &Broker,
    by: &VhostAccess,
    work: impl FnOnce(&Arc<VirtualHost>) -> T + Send + 'static,
) -> Result<T, Exception> {
    let vhost = enter(broker, by)?;
    let done = tokio::task::spawn_blocking(move || work(&vhost)).await;
    done.map_err(|error| ConnectionException::internal_error(error.to_string()).into())
}

fn snapshot(waits: Waits) -> DelayedSnapshot {
    let (_, routing_key) = names(&waits.message.target).unwrap_or_default();
    let properties = RawProperties::new(&waits.message.properties);
    DelayedSnapshot {
        id: DelayedId {
            due: waits.due,
            position: waits.position,
        },
        exchange: ExchangeName::new(waits.exchange).unwrap_or_default(),
        routing_key: RoutingKey::new(routing_key).unwrap_or_default(),
        properties: properties
            .and_then(RawProperties::decode)
            .unwrap_or_default(),
        body: waits.message.body,
        body_bytes: waits.body_bytes,
    }
}
