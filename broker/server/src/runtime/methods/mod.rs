//! Every method that a client may send on a channel, but basic.publish and basic.ack, which the session takes on its way, and those that the
//! conversation itself answers.

mod basic;
mod consume;
mod exchange;
mod get;
mod queue;
mod tx;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::method::{Method, confirm, connection};
use amphora_protocol::wire::reply_code::ReplyCode;
use amphora_protocol::wire::types::{ChannelNumber, QueueName};
use tokio::time::sleep;

use super::peer::Touched;
use super::principal::Principal;
use super::session::{Entered, Session};
use super::vhost::Changed;

/// How often heartbeats are looked after while a method waits for the disk: half of the shortest interval.
const BEAT: Duration = Duration::from_millis(500);

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

    /// The result of a change, once it is durable.
    async fn durable<T>(&mut self, changed: Changed<T>) -> Result<T, Exception> {
        if changed.epoch > 0 {
            let committer = Arc::clone(&self.broker.committer);
            self.wait_for_disk(committer.durable(changed.epoch)).await?;
        }
        Ok(changed.result)
    }

    /// Waits for the disk. A store that refuses may take any time: the client gets its heartbeats meanwhile, and is not
    /// waited for once it is gone.
    ///
    /// # Errors
    /// The connection ends before the disk is there: nothing may be promised.
    pub(super) async fn wait_for_disk(
        &mut self,
        durable: impl Future<Output = ()>,
    ) -> Result<(), Exception> {
        self.finish();
        let mut durable = pin!(durable);
        loop {
            tokio::select! {
                () = &mut durable => return Ok(()),
                () = sleep(BEAT) => {
                    let end = self.peer.take_close().or_else(|| {
                        let gone = self.peer.failure().is_some() || self.beat(true).is_err();
                        gone.then(|| "the client is gone".to_owned())
                    });
                    if let Some(text) = end {
                        return Err(ConnectionException::new(ReplyCode::ConnectionForced, text).into());
                    }
                }
            }
        }
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
