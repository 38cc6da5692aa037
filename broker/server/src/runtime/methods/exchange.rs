//! Class 40: exchanges.

use amphora_core::binding::{Binding, Destination};
use amphora_core::topology::ExchangeDeclaration;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::method::exchange::{self, Method};
use amphora_protocol::wire::types::ChannelNumber;

use crate::auth::{Access, Resource};
use crate::runtime::session::Session;

impl Session {
    pub(super) async fn exchange(
        &mut self,
        channel: ChannelNumber,
        method: Method,
    ) -> Result<(), Exception> {
        match method {
            Method::Declare(declare) => self.declare_exchange(channel, declare).await,
            Method::Delete(delete) => self.delete_exchange(channel, delete).await,
            Method::Bind(bind) => {
                let no_wait = bind.no_wait;
                self.bind(bind.into()).await?;
                if !no_wait {
                    self.send(channel, exchange::BindOk {});
                }
                Ok(())
            }
            Method::Unbind(unbind) => {
                let no_wait = unbind.no_wait;
                self.unbind(&unbind.into()).await?;
                if !no_wait {
                    self.send(channel, exchange::UnbindOk {});
                }
                Ok(())
            }
            method => Err(unexpected(method.name())),
        }
    }

    async fn declare_exchange(
        &mut self,
        channel: ChannelNumber,
        declare: exchange::Declare,
    ) -> Result<(), Exception> {
        let no_wait = declare.no_wait;
        let declaration = ExchangeDeclaration::from(declare);
        let entered = self.entered()?;
        if !declaration.passive {
            let name = &declaration.name;
            entered
                .access
                .check(Access::Configure, Resource::Exchange(name))?;
            let alternate = declaration.arguments.get("alternate-exchange");
            if let Some(alternate) = alternate.and_then(|name| name.as_str()) {
                entered
                    .access
                    .check(Access::Read, Resource::Exchange(name))?;
                entered
                    .access
                    .check(Access::Write, Resource::Exchange(alternate))?;
            }
        }
        let changed = entered
            .ingress
            .vhost
            .change(|topology| Ok(((), topology.declare_exchange(declaration)?)))?;
        self.defined(changed.epoch).await;
        if !no_wait {
            self.send(channel, exchange::DeclareOk {});
        }
        Ok(())
    }

    async fn delete_exchange(
        &mut self,
        channel: ChannelNumber,
        delete: exchange::Delete,
    ) -> Result<(), Exception> {
        let entered = self.entered()?;
        let name = &delete.exchange;
        entered
            .access
            .check(Access::Configure, Resource::Exchange(name))?;
        let changed = entered
            .ingress
            .vhost
            .change(|topology| Ok(((), topology.delete_exchange(name, delete.if_unused)?)))?;
        self.defined(changed.epoch).await;
        if !delete.no_wait {
            self.send(channel, exchange::DeleteOk {});
        }
        Ok(())
    }

    pub(super) async fn bind(&mut self, binding: Binding) -> Result<(), Exception> {
        let asker = self.id();
        let entered = self.entered()?;
        entered.check_binding(&binding)?;
        let changed = entered
            .ingress
            .vhost
            .change(|topology| Ok(((), topology.bind(binding, asker)?)))?;
        self.defined(changed.epoch).await;
        Ok(())
    }

    pub(super) async fn unbind(&mut self, binding: &Binding) -> Result<(), Exception> {
        let asker = self.id();
        let entered = self.entered()?;
        entered.check_binding(binding)?;
        let changed = entered
            .ingress
            .vhost
            .change(|topology| Ok(((), topology.unbind(binding, asker)?)))?;
        self.defined(changed.epoch).await;
        Ok(())
    }
}

impl crate::runtime::session::Entered {
    fn check_binding(&self, binding: &Binding) -> Result<(), Exception> {
        let destination = match &binding.destination {
            Destination::Queue(name) => Resource::Queue(name),
            Destination::Exchange(name) => Resource::Exchange(name),
        };
        self.access.check(Access::Write, destination)?;
        self.access
            .check(Access::Read, Resource::Exchange(&binding.source))?;
        Ok(())
    }
}

pub(super) fn unexpected(name: &str) -> Exception {
    amphora_protocol::exception::ConnectionException::command_invalid(format!(
        "unexpected method {name}"
    ))
    .into()
}
