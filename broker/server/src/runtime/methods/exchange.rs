//! Class 40: exchanges.

use amphora_core::binding::Binding;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::method::exchange::{self, Method};
use amphora_protocol::wire::types::ChannelNumber;

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
        let changed = self.principal()?.declare_exchange(declare.into())?;
        self.durable(changed).await?;
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
        let changed = self
            .principal()?
            .delete_exchange(&delete.exchange, delete.if_unused)?;
        self.durable(changed).await?;
        if !delete.no_wait {
            self.send(channel, exchange::DeleteOk {});
        }
        Ok(())
    }

    pub(super) async fn bind(&mut self, binding: Binding) -> Result<(), Exception> {
        let changed = self.principal()?.bind(binding)?;
        self.durable(changed).await?;
        Ok(())
    }

    pub(super) async fn unbind(&mut self, binding: &Binding) -> Result<(), Exception> {
        let changed = self.principal()?.unbind(binding)?;
        self.durable(changed).await?;
        Ok(())
    }
}

pub(super) fn unexpected(name: &str) -> Exception {
    amphora_protocol::exception::ConnectionException::command_invalid(format!(
        "unexpected method {name}"
    ))
    .into()
}
