//! Changes of what exists: each is the method of the same name, by a user without a connection.

use std::sync::Arc;

use amphora_core::binding::Binding;
use amphora_core::topology::{ConnectionId, QueueDeclaration};
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::method::{exchange, queue};
use amphora_protocol::wire::types::{QueueName, ShortString};

use crate::auth::{Identity, VhostAccess};
use crate::management::backend::{
    Bind, ChangeSettings, DeclareExchange, DeclareQueue, DeleteExchange, DeleteQueue,
};
use crate::management::snapshot::Destination;
use crate::runtime::broker::Broker;
use crate::runtime::delete_condition::DeleteCondition;
use crate::runtime::peer::Touched;
use crate::runtime::principal::Principal;
use crate::runtime::vhost::{SERVER_NAMED, VirtualHost};

pub(super) async fn declare_exchange(
    broker: &Broker,
    by: &VhostAccess,
    command: DeclareExchange,
) -> Result<(), Exception> {
    let method = exchange::Declare {
        exchange: command.name,
        // No type has a name that long: what is left of it is unknown, too.
        kind: ShortString::cut(&command.kind),
        passive: false,
        durable: command.durable,
        auto_delete: command.auto_delete,
        internal: command.internal,
        no_wait: false,
        arguments: command.arguments,
    };
    let vhost = enter(broker, by)?;
    let changed = principal(by, &vhost).declare_exchange(method.into())?;
    changed.durable(&broker.committer).await;
    Ok(())
}

pub(super) async fn delete_exchange(
    broker: &Broker,
    by: &VhostAccess,
    command: DeleteExchange,
) -> Result<(), Exception> {
    let vhost = enter(broker, by)?;
    let changed = principal(by, &vhost).delete_exchange(&command.name, command.if_unused)?;
    changed.durable(&broker.committer).await;
    Ok(())
}

pub(super) async fn declare_queue(
    broker: &Broker,
    by: &VhostAccess,
    command: DeclareQueue,
) -> Result<(), Exception> {
    let mut declaration = QueueDeclaration::from(queue::Declare {
        queue: command.name,
        passive: false,
        durable: command.durable,
        exclusive: false,
        auto_delete: command.auto_delete,
        no_wait: false,
        arguments: command.arguments,
    });
    if declaration.name.is_empty() {
        declaration.name = VirtualHost::server_name(SERVER_NAMED);
        declaration.server_named = true;
    }
    // One that a broker named is named so again by whoever imports it.
    declaration.server_named |= by.is_the_broker() && declaration.name.starts_with("amq.gen-");
    let vhost = enter(broker, by)?;
    let changed = principal(by, &vhost).declare_queue(declaration)?;
    changed.durable(&broker.committer).await;
    Ok(())
}

pub(super) async fn delete_queue(
    broker: &Broker,
    by: &VhostAccess,
    command: DeleteQueue,
) -> Result<(), Exception> {
    let condition = DeleteCondition {
        if_unused: command.if_unused,
        if_empty: command.if_empty,
    };
    let vhost = enter(broker, by)?;
    let mut touched = Touched::default();
    let changed = principal(by, &vhost).delete_queue(&command.name, condition, &mut touched);
    touched.finish(&broker.committer);
    changed?.durable(&broker.committer).await;
    Ok(())
}

pub(super) fn purge_queue(
    broker: &Broker,
    by: &VhostAccess,
    queue: &QueueName,
) -> Result<u64, Exception> {
    let vhost = enter(broker, by)?;
    let mut touched = Touched::default();
    let purged = principal(by, &vhost).purge_queue(queue, &mut touched);
    touched.finish(&broker.committer);
    purged
}

pub(super) async fn pause_queue(
    broker: &Broker,
    by: &VhostAccess,
    queue: &QueueName,
    paused: bool,
) -> Result<(), Exception> {
    let vhost = enter(broker, by)?;
    let mut touched = Touched::default();
    let changed = principal(by, &vhost).pause_queue(queue, paused, &mut touched);
    touched.finish(&broker.committer);
    changed?;
    broker.committer.all_durable().await;
    Ok(())
}

pub(super) async fn bind(
    broker: &Broker,
    by: &VhostAccess,
    command: Bind,
) -> Result<(), Exception> {
    let vhost = enter(broker, by)?;
    let changed = principal(by, &vhost).bind(binding(command))?;
    changed.durable(&broker.committer).await;
    Ok(())
}

pub(super) async fn unbind(
    broker: &Broker,
    by: &VhostAccess,
    command: Bind,
) -> Result<(), Exception> {
    let vhost = enter(broker, by)?;
    let changed = principal(by, &vhost).unbind(&binding(command))?;
    changed.durable(&broker.committer).await;
    Ok(())
}

/// The virtual host, which may have been deleted since the caller was let in.
pub(super) fn change_settings(
    broker: &Broker,
    by: &Identity,
    change: &ChangeSettings,
) -> Result<(), String> {
    if let Some(level) = &change.log_level {
        crate::logging::set_level(level).map_err(|error| error.to_string())?;
    }
    let mut limits = (**broker.limits()).clone();
    limits.memory_mark = change.memory_mark.unwrap_or(limits.memory_mark);
    limits.disk_free_limit = change.disk_free_limit.unwrap_or(limits.disk_free_limit);
    broker.set_limits(&limits);
    let by = by.user();
    tracing::info!(target: "amphora::audit", %by, ?change, "changed settings");
    Ok(())
}

pub(super) fn enter(broker: &Broker, by: &VhostAccess) -> Result<Arc<VirtualHost>, Exception> {
    let name = by.vhost();
    let vhost = broker.vhost(name);
    vhost.ok_or_else(|| ConnectionException::not_allowed(format!("vhost {name} not found")).into())
}

pub(super) fn principal<'a>(by: &'a VhostAccess, vhost: &'a Arc<VirtualHost>) -> Principal<'a> {
    Principal {
        access: by,
        vhost,
        id: ConnectionId::NONE,
    }
}

fn binding(command: Bind) -> Binding {
    let Bind {
        source,
        destination,
        routing_key,
        arguments,
    } = command;
    match destination {
        Destination::Queue(queue) => queue::Bind {
            queue,
            exchange: source,
            routing_key,
            no_wait: false,
            arguments,
        }
        .into(),
        Destination::Exchange(destination) => exchange::Bind {
            destination,
            source,
            routing_key,
            no_wait: false,
            arguments,
        }
        .into(),
    }
}
