//! Class 90: transactions. Publishes and settlements are held back until the commit, which is answered when all of it is
//! durable. Atomic for one queue, as with RabbitMQ; if a message is refused, the channel is closed when the rest is done. Nothing waits in the middle: what
//! it depends on of other connections is decided before the first message goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use amphora_protocol::exception::{ChannelException, Exception};
use amphora_protocol::wire::method::tx::{self, Method};
use amphora_protocol::wire::types::ChannelNumber;

use super::exchange::unexpected;
use crate::runtime::channel::Transaction;
use crate::runtime::session::Session;

impl Session {
    pub(super) async fn tx(
        &mut self,
        channel: ChannelNumber,
        method: Method,
    ) -> Result<(), Exception> {
        match method {
            Method::Select(_) => {
                let state = self.channel(channel)?;
                if state.confirm {
                    return Err(failed("cannot switch from confirm to tx mode"));
                }
                state.transaction.get_or_insert_default();
                state.info.transactional.store(true, Ordering::Relaxed);
                self.send(channel, tx::SelectOk {});
                Ok(())
            }
            Method::Commit(_) => self.commit(channel).await,
            Method::Rollback(_) => {
                let transaction = self.next_transaction(channel)?;
                if let Some(out) = self.peer.outbox.lock().channel(channel) {
                    for withheld in transaction.settlements {
                        out.unacked.give_back(&withheld.tags);
                    }
                }
                self.send(channel, tx::RollbackOk {});
                Ok(())
            }
            method => Err(unexpected(method.name())),
        }
    }

    /// Begins the channel's next transaction and returns the one that ends.
    fn next_transaction(&mut self, channel: ChannelNumber) -> Result<Transaction, Exception> {
        let state = self.channel(channel)?;
        if state.transaction.is_none() {
            return Err(failed("channel is not transactional"));
        }
        Ok(state.begin().unwrap_or_default())
    }

    async fn commit(&mut self, channel: ChannelNumber) -> Result<(), Exception> {
        let transaction = self.next_transaction(channel)?;
        self.reserve(&transaction.publishes).await?;
        let accepted = self.publish_reserved(channel, transaction.publishes)?;
        for withheld in transaction.settlements {
            self.apply(channel, &withheld);
        }
        self.flush(&[]);
        let committer = Arc::clone(&self.broker.committer);
        self.wait_for_disk(committer.all_durable()).await?;
        if !accepted {
            return Err(failed("partial tx completion"));
        }
        self.send(channel, tx::CommitOk {});
        Ok(())
    }
}

fn failed(text: &str) -> Exception {
    ChannelException::precondition_failed(text).into()
}
