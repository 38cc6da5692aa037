//! Who asks for something, and the commands that a method and a request to the management API have in common.

use std::sync::Arc;

use amphora_core::binding::{Binding, Destination};
use amphora_core::definition::ExchangeDefinition;
use amphora_core::exchange::{DELAYED_TYPE, ExchangeType};
use amphora_core::hook::{Fault, HookError, Hooks};
use amphora_core::queue_arguments::QUEUE_TYPE;
use amphora_core::topology::{ConnectionId, ExchangeDeclaration, QueueDeclaration};
use amphora_protocol::exception::{ChannelException, Exception};
use amphora_protocol::wire::types::{ExchangeName, QueueName, ShortString};

use super::delete_condition::DeleteCondition;
use super::histories;
use super::peer::Touched;
use super::queue::is_own;
use super::vhost::{Changed, Handle, VirtualHost};
use crate::auth::{Access, Resource, TopicAccess, VhostAccess};

/// A user in a virtual host. Every command checks first what the user may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Principal<'a> {
    pub(super) access: &'a VhostAccess,
    pub(super) vhost: &'a Arc<VirtualHost>,
    /// On whose behalf exclusive queues are used; [`ConnectionId::NONE`] for the management API.
    pub(super) id: ConnectionId,
}

/// Checks that the user may publish to an exchange with this routing key. One that does not exist is looked for later.
///
/// # Errors
/// 403 (access refused)
pub(super) fn may_publish(
    access: &VhostAccess,
    vhost: &VirtualHost,
    exchange: &str,
    routing_key: &str,
) -> Result<(), Exception> {
    access.check(Access::Write, Resource::Exchange(exchange))?;
    check_topic(access, vhost, TopicAccess::Write, exchange, routing_key)
}

/// Routing keys are permissions only at exchanges of type topic.
fn check_topic(
    access: &VhostAccess,
    vhost: &VirtualHost,
    topic_access: TopicAccess,
    exchange: &str,
    routing_key: &str,
) -> Result<(), Exception> {
    if !access.has_topic_permissions() {
        return Ok(());
    }
    let topology = vhost.topology();
    let is_topic =
        |found: &std::sync::Arc<ExchangeDefinition>| found.exchange_type == ExchangeType::Topic;
    if topology.find_exchange(exchange).is_ok_and(is_topic) {
        access.check_topic(topic_access, exchange, routing_key)?;
    }
    Ok(())
}

impl Principal<'_> {
    /// exchange.declare
    pub(super) fn declare_exchange(
        self,
        mut declaration: ExchangeDeclaration,
    ) -> Result<Changed<()>, Exception> {
        declaration.by = self.access.user().as_ref().into();
        if !declaration.passive {
            let exchange = Resource::Exchange(&declaration.name);
            self.access.check(Access::Configure, exchange)?;
            let alternate = declaration.arguments.get("alternate-exchange");
            if let Some(alternate) = alternate.and_then(|name| name.as_str()) {
                self.access.check(Access::Read, exchange)?;
                self.access
                    .check(Access::Write, Resource::Exchange(alternate))?;
            }
            self.ask_about_exchange(&declaration)?;
        }
        let changed = self.vhost.change(self.access.user(), |topology| {
            Ok(((), topology.declare_exchange(declaration)?))
        })?;
        Ok(changed)
    }

    /// exchange.delete
    pub(super) fn delete_exchange(
        self,
        name: &ExchangeName,
        if_unused: bool,
    ) -> Result<Changed<()>, Exception> {
        self.access
            .check(Access::Configure, Resource::Exchange(name))?;
        let changed = self.vhost.change(self.access.user(), |topology| {
            Ok(((), topology.delete_exchange(name, if_unused)?))
        })?;
        Ok(changed)
    }

    /// queue.declare, once the name is chosen.
    pub(super) fn declare_queue(
        self,
        mut declaration: QueueDeclaration,
    ) -> Result<Changed<Handle>, Exception> {
        if !declaration.passive {
            self.choose_queue_type(&mut declaration);
            let queue = Resource::Queue(&declaration.name);
            self.access.check(Access::Configure, queue)?;
            let dead_letter = declaration.arguments.get("x-dead-letter-exchange");
            if let Some(exchange) = dead_letter.and_then(|name| name.as_str()) {
                self.access.check(Access::Read, queue)?;
                self.access
                    .check(Access::Write, Resource::Exchange(exchange))?;
            }
            // One that exists is there whatever became of its plugin.
            if self.vhost.topology().queue(&declaration.name).is_none() {
                let plugins = &self.vhost.plugins;
                plugins.check_transforms(&declaration.arguments)?;
            }
        }
        Ok(self
            .vhost
            .declare_queue(declaration, self.id, self.access.user())?)
    }

    /// A queue of which nobody says of which type it is to be is of the virtual host's own, if that has queues like this.
    fn choose_queue_type(self, declaration: &mut QueueDeclaration) {
        let metadata = self.vhost.metadata.read();
        let lasting = declaration.durable && !declaration.exclusive && !declaration.auto_delete;
        if let Some(queue_type) = &metadata.default_queue_type
            && (lasting && !declaration.server_named || queue_type == "classic")
            && declaration.arguments.get(QUEUE_TYPE).is_none()
        {
            let name = ShortString::cut(QUEUE_TYPE);
            declaration.arguments.insert(name, queue_type.as_str());
        }
    }

    /// queue.delete. Returns how many messages were ready.
    pub(super) fn delete_queue(
        self,
        name: &QueueName,
        condition: DeleteCondition,
        touched: &mut Touched,
    ) -> Result<Changed<u64>, Exception> {
        self.access
            .check(Access::Configure, Resource::Queue(name))?;
        let topology = self.vhost.topology();
        if let Some(queue) = topology.queue(name) {
            condition.check_supported(&queue.handle)?;
        }
        drop(topology);
        Ok(self
            .vhost
            .delete_queue(name, (self.id, self.access.user()), condition, touched)?)
    }

    /// queue.purge. Returns how many messages were ready.
    pub(super) fn purge_queue(
        self,
        name: &QueueName,
        touched: &mut Touched,
    ) -> Result<u64, Exception> {
        let queue = self.readable_queue(name)?;
        queue.refuse_stream("queue.purge")?;
        let purged = queue.with(&self.vhost.committer, touched, |model, _| model.purge());
        Ok(purged.map_or(0, |(purged, _)| purged))
    }

    /// Stops deliveries to a queue's consumers, or lets them go on.
    pub(super) fn pause_queue(
        self,
        name: &QueueName,
        paused: bool,
        touched: &mut Touched,
    ) -> Result<(), Exception> {
        self.access
            .check(Access::Configure, Resource::Queue(name))?;
        let queue = self
            .vhost
            .topology()
            .find_queue(name, self.id)?
            .handle
            .clone();
        queue.with(&self.vhost.committer, touched, |model, sink| {
            let effects = model.set_paused(paused);
            ((), effects.and(model.dispatch(sink)))
        });
        Ok(())
    }

    /// queue.bind, exchange.bind
    pub(super) fn bind(self, binding: Binding) -> Result<Changed<()>, Exception> {
        self.check_binding(&binding)?;
        self.ask_about_binding(&binding)?;
        let bound = binding.clone();
        let changed = self.vhost.change(self.access.user(), |topology| {
            let changes = topology.bind(binding, self.id)?;
            let source = topology.find_exchange(&bound.source)?;
            let remembers = source.routing_type() == ExchangeType::RecentHistory;
            Ok((remembers && !changes.is_empty(), changes))
        })?;
        if changed.result {
            histories::replay(self.vhost, &bound);
        }
        Ok(Changed {
            result: (),
            epoch: changed.epoch,
        })
    }

    /// queue.unbind, exchange.unbind
    pub(super) fn unbind(self, binding: &Binding) -> Result<Changed<()>, Exception> {
        self.check_binding(binding)?;
        let changed = self.vhost.change(self.access.user(), |topology| {
            Ok(((), topology.unbind(binding, self.id)?))
        })?;
        Ok(changed)
    }

    /// A queue that the user may read from.
    pub(super) fn readable_queue(self, name: &QueueName) -> Result<Handle, Exception> {
        self.check_not_own(name)?;
        self.access.check(Access::Read, Resource::Queue(name))?;
        let topology = self.vhost.topology();
        Ok(topology.find_queue(name, self.id)?.handle.clone())
    }

    /// A plugin may refuse a new exchange of its type. It is asked before the topology is locked.
    fn ask_about_exchange(self, declaration: &ExchangeDeclaration) -> Result<(), Exception> {
        let ExchangeDeclaration {
            name,
            exchange_type,
            arguments,
            ..
        } = declaration;
        // One that exists is there whatever became of its plugin.
        if self.vhost.topology().find_exchange(name).is_ok() {
            return Ok(());
        }
        self.vhost.plugins.check_transforms(arguments)?;
        let host = &self.vhost.plugins.host;
        let delayed = (**exchange_type == *ExchangeType::DelayedMessage.name())
            .then(|| arguments.get(DELAYED_TYPE)?.as_str());
        let exchange_type = delayed.flatten().unwrap_or(exchange_type);
        if !matches!(
            ExchangeType::from_name(exchange_type),
            Some(ExchangeType::Plugin(_))
        ) {
            return Ok(());
        }
        if !host.has_exchange_type(exchange_type) {
            return match self.vhost.plugins.supplier(exchange_type) {
                None => Ok(()),
                Some(plugin) => Err(ChannelException::precondition_failed(format!(
                    "unknown exchange type '{exchange_type}': it is supplied by plugin '{plugin}', which is not loaded"
                ))
                .into()),
            };
        }
        let checked = host.check_exchange(exchange_type, &self.vhost.name, name, arguments);
        Ok(checked.map_err(|error| refused(&error))?)
    }

    /// A plugin may refuse a new binding of an exchange of its type, likewise. While there is none, nobody can say whether the
    /// binding is valid, and so it is not made.
    fn ask_about_binding(self, binding: &Binding) -> Result<(), Exception> {
        let topology = self.vhost.topology();
        let Ok(source) = topology.find_exchange(&binding.source).cloned() else {
            return Ok(());
        };
        let ExchangeType::Plugin(exchange_type) = &source.routing_type() else {
            return Ok(());
        };
        if topology.has_binding(binding) {
            return Ok(());
        }
        drop(topology);
        let (vhost, arguments) = (&self.vhost.name, &source.arguments);
        let host = &self.vhost.plugins.host;
        let checked = host.check_binding(exchange_type, vhost, &source.name, arguments, binding);
        Ok(checked.map_err(|error| refused(&error))?)
    }

    /// The broker's own queues may be looked at in listings and deleted, and nothing else.
    fn check_not_own(self, queue: &str) -> Result<(), Exception> {
        if is_own(queue) {
            let vhost = &self.vhost.name;
            let text = format!("queue '{queue}' in vhost '{vhost}' is the broker's own");
            return Err(ChannelException::access_refused(text).into());
        }
        Ok(())
    }

    fn check_binding(self, binding: &Binding) -> Result<(), Exception> {
        if let Destination::Queue(name) = &binding.destination {
            self.check_not_own(name)?;
        }
        let destination = match &binding.destination {
            Destination::Queue(name) => Resource::Queue(name),
            Destination::Exchange(name) => Resource::Exchange(name),
        };
        self.access.check(Access::Write, destination)?;
        let (source, key) = (&binding.source, &binding.routing_key);
        self.access
            .check(Access::Read, Resource::Exchange(source))?;
        check_topic(self.access, self.vhost, TopicAccess::Read, source, key)
    }
}

fn refused(error: &HookError) -> ChannelException {
    let text = if error.fault == Fault::Refused {
        error.text.clone()
    } else {
        error.to_string()
    };
    ChannelException::precondition_failed(text)
}
