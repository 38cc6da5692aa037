//! Class 50: queues.

use std::sync::Arc;

use amphora_core::binding::{Binding, Destination};
use amphora_core::topology::QueueDeclaration;
use amphora_protocol::exception::{ChannelException, Exception};
use amphora_protocol::wire::method::queue::{self, Method};
use amphora_protocol::wire::types::{ChannelNumber, QueueName, RoutingKey};

use super::exchange::unexpected;
use crate::runtime::delete_condition::DeleteCondition;
use crate::runtime::reply_to::{REPLY_TO, REPLY_TO_PREFIX};
use crate::runtime::session::Session;
use crate::runtime::vhost::{Handle, SERVER_NAMED, VirtualHost};

impl Session {
    pub(super) async fn queue(
        &mut self,
        channel: ChannelNumber,
        method: Method,
    ) -> Result<(), Exception> {
        match method {
            Method::Declare(declare) => self.declare_queue(channel, declare),
            Method::Delete(delete) => self.delete_queue(channel, delete).await,
            Method::Purge(purge) => self.purge_queue(channel, purge),
            Method::Bind(bind) => {
                let no_wait = bind.no_wait;
                let binding = self.named(channel, bind.into())?;
                self.bind(channel, binding, (!no_wait).then_some(queue::BindOk {}))
            }
            Method::Unbind(unbind) => {
                let binding = self.named(channel, unbind.into())?;
                self.unbind(&binding).await?;
                self.send(channel, queue::UnbindOk {});
                Ok(())
            }
            method => Err(unexpected(method.name())),
        }
    }

    /// With an empty queue name, an empty routing key stands for the queue's name, too.
    fn named(
        &mut self,
        channel: ChannelNumber,
        mut binding: Binding,
    ) -> Result<Binding, Exception> {
        if binding.destination.name().is_empty() {
            let name = self.queue_name(channel, QueueName::default())?;
            if binding.routing_key.as_str().is_empty() {
                binding.routing_key = RoutingKey::new(name.as_str()).unwrap_or_default();
            }
            binding.destination = Destination::Queue(name);
        }
        Ok(binding)
    }

    fn declare_queue(
        &mut self,
        channel: ChannelNumber,
        declare: queue::Declare,
    ) -> Result<(), Exception> {
        let no_wait = declare.no_wait;
        let mut declaration = QueueDeclaration::from(declare);
        let name = declaration.name.clone();
        if name.as_str() == REPLY_TO || name.starts_with(REPLY_TO_PREFIX) {
            return self.ask_for_reply_queue(channel, name, declaration.passive, no_wait);
        }
        // Here, an empty name never stands for the queue that was declared last.
        declaration.server_named = name.as_str().is_empty() && !declaration.passive;
        let name = if declaration.server_named {
            let prefix = name_prefix(&mut declaration)?;
            VirtualHost::server_name(&prefix)
        } else {
            name
        };
        declaration.name = name.clone();
        let exclusive = declaration.exclusive && !declaration.passive;
        let changed = self.principal()?.declare_queue(declaration)?;
        let queue = Arc::clone(&changed.result);
        let entered = self.entered()?;
        let own = |other: &Handle| Arc::ptr_eq(other, &queue);
        if exclusive && !entered.exclusive.iter().any(own) {
            entered.exclusive.push(Arc::clone(&queue));
        }
        self.channel(channel)?.last_queue = Some(name.clone());
        let epoch = changed.epoch;
        let counts = queue.with(&self.broker.committer, &mut self.touched, |model, _| {
            model.renew();
            let expired = model.expire();
            ((model.ready_count(), model.consumer_count()), expired)
        });
        let ((message_count, consumer_count), _) = counts.unwrap_or_default();
        let ok = queue::DeclareOk {
            queue: name,
            message_count: u32::try_from(message_count).unwrap_or(u32::MAX),
            consumer_count: u32::try_from(consumer_count).unwrap_or(u32::MAX),
        };
        self.owe(channel, epoch, (!no_wait).then_some(ok));
        Ok(())
    }

    /// Responders ask by a passive declaration whether their requester is still there.
    fn ask_for_reply_queue(
        &mut self,
        channel: ChannelNumber,
        name: QueueName,
        passive: bool,
        no_wait: bool,
    ) -> Result<(), Exception> {
        let vhost = &self.entered()?.ingress.vhost;
        // The name without a token is how clients find out whether there are direct replies.
        let is_there =
            name.as_str() == REPLY_TO || passive && vhost.reply_consumers.contains(&name);
        if !is_there {
            let text = format!("no queue '{name}' in vhost '{}'", vhost.name);
            return Err(ChannelException::not_found(text).into());
        }
        let ok = queue::DeclareOk {
            queue: name,
            message_count: 0,
            consumer_count: 1,
        };
        self.owe(channel, 0, (!no_wait).then_some(ok));
        Ok(())
    }

    async fn delete_queue(
        &mut self,
        channel: ChannelNumber,
        delete: queue::Delete,
    ) -> Result<(), Exception> {
        let name = self.queue_name(channel, delete.queue)?;
        let condition = DeleteCondition {
            if_unused: delete.if_unused,
            if_empty: delete.if_empty,
        };
        let (principal, touched) = self.principal_and_touched()?;
        let changed = principal.delete_queue(&name, condition, touched)?;
        self.entered()?.exclusive.retain(|queue| queue.name != name);
        let ready = self.durable(changed).await?;
        if !delete.no_wait {
            let ok = queue::DeleteOk {
                message_count: u32::try_from(ready).unwrap_or(u32::MAX),
            };
            self.send(channel, ok);
        }
        Ok(())
    }

    fn purge_queue(
        &mut self,
        channel: ChannelNumber,
        purge: queue::Purge,
    ) -> Result<(), Exception> {
        let name = self.queue_name(channel, purge.queue)?;
        let (principal, touched) = self.principal_and_touched()?;
        let purged = principal.purge_queue(&name, touched)?;
        if !purge.no_wait {
            let ok = queue::PurgeOk {
                message_count: u32::try_from(purged).unwrap_or(u32::MAX),
            };
            self.send(channel, ok);
        }
        Ok(())
    }
}

/// What the name of a queue begins with for which the broker makes one up, if its declarer cares.
const NAME_PREFIX: &str = "x-name-prefix";

/// Bytes of it; the name needs the rest.
const NAME_PREFIX_MAX: usize = 64;

/// The argument means nothing for the queue itself, and does not stay with it.
fn name_prefix(declaration: &mut QueueDeclaration) -> Result<String, Exception> {
    let Some(value) = declaration.arguments.remove(NAME_PREFIX) else {
        return Ok(SERVER_NAMED.to_owned());
    };
    let refusal = match value.as_str() {
        None => ChannelException::precondition_failed(format!(
            "invalid type '{}' for arg '{NAME_PREFIX}'",
            value.type_name()
        )),
        Some(prefix) if prefix.len() > NAME_PREFIX_MAX => ChannelException::precondition_failed(
            format!("Queue name prefix '{prefix}' exceeds the {NAME_PREFIX_MAX}-byte limit"),
        ),
        Some(prefix) if prefix.starts_with("amq.") => ChannelException::access_refused(format!(
            "queue name prefix '{prefix}' contains reserved prefix 'amq.*'"
        )),
        Some(prefix) => return Ok(prefix.to_owned()),
    };
    Err(refusal.into())
}
