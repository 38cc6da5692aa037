//! Class 40: exchanges.

use amphora_core::binding::Binding;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::method::{self, exchange};
use amphora_protocol::wire::types::ChannelNumber;

use crate::runtime::session::Session;

impl Session {
    pub(super) async fn exchange(
        &mut self,
        channel: ChannelNumber,
        method: exchange::Method,
    ) -> Result<(), Exception> {
        match method {
            exchange::Method::Declare(declare) => self.declare_exchange(channel, declare),
            exchange::Method::Delete(delete) => self.delete_exchange(channel, delete).await,
            exchange::Method::Bind(bind) => {
                let ok = (!bind.no_wait).then_some(exchange::BindOk {});
                self.bind(channel, bind.into(), ok)
            }
            exchange::Method::Unbind(unbind) => {
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

    fn declare_exchange(
        &mut self,
        channel: ChannelNumber,
        declare: exchange::Declare,
    ) -> Result<(), Exception> {
        let ok = (!declare.no_wait).then_some(exchange::DeclareOk {});
        let changed = self.principal()?.declare_exchange(declare.into())?;
        self.owe(channel, changed.epoch, ok);
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

    pub(super) fn bind(
        &mut self,
        channel: ChannelNumber,
        binding: Binding,
        ok: Option<impl Into<method::Method>>,
    ) -> Result<(), Exception> {
        let changed = self.principal()?.bind(binding)?;
        self.owe(channel, changed.epoch, ok);
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
