//! Publishes that go the general way, each as a whole: several routing keys, direct replies, transactions, and those that had to wait because of another
//! one's id.

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::types::ChannelNumber;

use super::batch::Owned;
use super::ingress::{Later, Outcome, Ticket};
use super::publish::not_entered;
use super::session::Session;
use super::special;

impl Session {
    /// Publishes a message by the general way.
    pub(super) fn publish_whole(
        &mut self,
        ticket: Ticket,
        message: Owned,
        input: &[u8],
    ) -> Result<(), Exception> {
        let outcome = self.route_special(&message, input)?;
        if let Outcome::Later(later) = outcome {
            self.held_back = Some((ticket, later));
            return Ok(());
        }
        if self.is_traced() {
            self.trace(ticket.channel, Some(message.clone()));
        }
        self.conclude_publishes(ticket, 1, outcome, Some(message));
        Ok(())
    }

    /// Publishes the message whose id somebody else had admitted, once it is known what became of that one. Nothing is published meanwhile on this
    /// connection, so that the order stays.
    pub(super) async fn publish_held_back(&mut self, input: &[u8]) {
        while let Some((ticket, later)) = self.held_back.take() {
            let message = self.decided(*later, input).await;
            if let Err(exception) = self.publish_whole(ticket, message, &[]) {
                self.flush(&[]);
                let exception = exception.at(basic::CLASS_ID, basic::Publish::METHOD_ID);
                self.raise(ticket.channel, exception);
            }
        }
    }

    /// Waits until a message may be published again. All that was collected is handed on before.
    async fn decided(&mut self, later: Later, input: &[u8]) -> Owned {
        self.flush(input);
        let message = later.decided().await;
        if let Some(entered) = &mut self.entered {
            entered.ingress.refresh();
        }
        message
    }

    /// Waits until it is known of each of these messages, which are published next, whether it is a duplicate. All that was collected is handed on before.
    pub(super) async fn reserve(&mut self, publishes: &[(Owned, bool)]) -> Result<(), Exception> {
        loop {
            self.flush(&[]);
            let entered = self.entered.as_mut().ok_or_else(not_entered)?;
            entered.ingress.refresh();
            let messages = publishes.iter().map(|(message, _)| message);
            let Some(undecided) = entered.ingress.reserve(messages)? else {
                return Ok(());
            };
            undecided.decided().await;
        }
    }

    /// Publishes what a transaction held back. Returns whether all of it is accepted.
    pub(super) fn publish_reserved(
        &mut self,
        number: ChannelNumber,
        publishes: Vec<(Owned, bool)>,
    ) -> Result<bool, Exception> {
        let mut accepted = Ok(true);
        for (message, mandatory) in publishes {
            match self.publish_owned(number, message, mandatory) {
                Ok(one) => accepted = accepted.map(|all| all && one),
                Err(exception) => {
                    accepted = Err(exception);
                    break;
                }
            }
        }
        if let Some(entered) = &mut self.entered {
            entered.ingress.release_reserved();
        }
        accepted
    }

    fn publish_owned(
        &mut self,
        number: ChannelNumber,
        message: Owned,
        mandatory: bool,
    ) -> Result<bool, Exception> {
        let outcome = match self.route_special(&message, &[])? {
            // One before it in the transaction had the id and reached nobody, and somebody else has it now. To wait would part the transaction.
            Outcome::Later(_) => {
                Outcome::Refused("another message with the same id is on its way".to_owned())
            }
            outcome => outcome,
        };
        if self.is_traced() {
            self.trace(number, Some(message.clone()));
        }
        let ticket = Ticket {
            channel: number,
            mandatory,
            confirm: false,
        };
        Ok(self.conclude_publishes(ticket, 1, outcome, Some(message)))
    }

    /// The general way: several routing keys, direct replies.
    fn route_special(&mut self, message: &Owned, input: &[u8]) -> Result<Outcome, Exception> {
        let Self {
            entered, touched, ..
        } = self;
        let entered = entered.as_mut().ok_or_else(not_entered)?;
        special::publish(
            &entered.access,
            &mut entered.ingress,
            message.clone(),
            input,
            touched,
        )
    }
}
