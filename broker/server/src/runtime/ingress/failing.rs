//! Messages on whose way an exchange fails that is behind another one: what is bound to the others gets them all the same.

use amphora_core::hook::OnError;

use super::chain::By;
use super::one_by_one::Failed;
use super::{Ingress, Outcome};
use crate::runtime::batch::Owned;
use crate::runtime::delays::{Onward, REFUSED_RETRY_MS};

impl Ingress {
    /// Gives a message up as each exchange on its way that has no answer says. `outcome` is that of the rest of the way.
    pub(super) fn give_up_each(
        &mut self,
        failures: &[Failed],
        outcome: Outcome,
        message: &Owned,
        buffer: &[u8],
    ) -> Outcome {
        failures.iter().fold(outcome, |outcome, failed| {
            let one = self.give_up(&failed.error, failed.on_error, message.clone(), buffer);
            outcome.and(one)
        })
    }

    /// As [`Ingress::give_up_each`], whoever publishes the message. What nobody would publish again waits at the exchange.
    pub(super) fn pass_failures(
        &mut self,
        by: By<'_>,
        failures: &[Failed],
        outcome: Outcome,
        message: &Owned,
        buffer: &[u8],
    ) -> Outcome {
        if by == By::Client {
            return self.give_up_each(failures, outcome, message, buffer);
        }
        failures.iter().fold(outcome, |outcome, failed| {
            let one = if by.buries(failed.on_error) {
                self.give_up(&failed.error, failed.on_error, message.clone(), buffer)
            } else {
                let onward = Onward::Exchange(&failed.exchange);
                self.delay(message, REFUSED_RETRY_MS, onward)
            };
            outcome.and(one)
        })
    }
}

impl By<'_> {
    /// A message without a publisher who could be told becomes a dead letter here. One that is a dead letter already is not dead-lettered
    /// again and again.
    fn buries(self, on_error: OnError) -> bool {
        matches!(self, Self::From(_)) && on_error == OnError::DeadLetter
    }

    /// Whoever publishes it does so again when an exchange on its way has no answer, and nobody gets it twice: it is kept, or there is
    /// nobody else.
    pub(super) fn comes_again(self, on_error: OnError, has_others: bool) -> bool {
        match self {
            Self::Client => false,
            Self::Queue { kept: true, .. } => true,
            Self::Broker | Self::From(_) | Self::Queue { .. } => {
                !has_others && !self.buries(on_error)
            }
        }
    }
}
