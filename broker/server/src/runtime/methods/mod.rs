//! Every method that a client may send on a channel, but basic.publish and basic.ack, which the session takes on its way.

mod basic;
mod consume;
mod exchange;
mod get;
mod queue;
mod tx;

use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::method::{Method, access, channel, confirm, connection};
use amphora_protocol::wire::types::{ChannelNumber, QueueName};

use super::peer::Touched;
use super::principal::Principal;
use super::session::{Entered, Session};

impl Session {
    pub(super) async fn method(
        &mut self,
        channel: ChannelNumber,
        method: Method,
    ) -> Result<(), Exception> {
        match method {
            Method::Exchange(method) => self.exchange(channel, method).await,
            Method::Queue(method) => self.queue(channel, method).await,
            Method::Basic(method) => self.basic(channel, method).await,
            Method::Tx(method) => self.tx(channel, method).await,
            Method::Confirm(confirm::Method::Select(select)) => {
                self.confirm_select(channel, &select)
            }
            Method::Access(access::Method::Request(_)) => {
                self.send(channel, access::RequestOk { ticket: 1 });
                Ok(())
            }
            Method::Channel(channel::Method::Flow(flow)) => {
                self.send(
                    channel,
                    channel::FlowOk {
                        active: flow.active,
                    },
                );
                Ok(())
            }
            Method::Connection(connection::Method::UpdateSecret(_)) => {
                self.send(channel, connection::UpdateSecretOk {});
                Ok(())
            }
            method => Err(ConnectionException::command_invalid(format!(
                "unexpected method {}",
                method.name()
            ))
            .into()),
        }
    }

    fn entered(&mut self) -> Result<&mut Entered, Exception> {
        self.entered
            .as_mut()
            .ok_or_else(super::publish::not_entered)
    }

    fn principal(&self) -> Result<Principal<'_>, Exception> {
        let entered = self
            .entered
            .as_ref()
            .ok_or_else(super::publish::not_entered)?;
        Ok(entered.principal(self.id()))
    }

    fn principal_and_touched(&mut self) -> Result<(Principal<'_>, &mut Touched), Exception> {
        let id = self.id();
        let entered = self
            .entered
            .as_ref()
            .ok_or_else(super::publish::not_entered)?;
        Ok((entered.principal(id), &mut self.touched))
    }

    /// The queue that is meant: an empty name stands for the one that was declared last on the channel.
    fn queue_name(
        &mut self,
        channel: ChannelNumber,
        name: QueueName,
    ) -> Result<QueueName, Exception> {
        if !name.as_str().is_empty() {
            return Ok(name);
        }
        let last = self.channel(channel)?.last_queue.clone();
        last.ok_or_else(|| {
            amphora_protocol::exception::ChannelException::not_found("no previously declared queue")
                .into()
        })
    }
}
