//! Messages that are put aside until their time.

use amphora_core::exchange::waited;
use amphora_core::route::Delayed;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::properties::RawProperties;
use bytes::Bytes;

use super::{Ingress, Outcome};
use crate::runtime::batch::Owned;
use crate::runtime::delays::{self, Onward, Source};
use crate::runtime::special;
use crate::runtime::timers::now_ms;

impl Ingress {
    /// Puts a message aside, to be routed later, or to be put into the queue.
    pub(super) fn delay(&mut self, message: &Owned, delay_ms: u64, onward: Onward<'_>) -> Outcome {
        let persistent = special::is_persistent(&message.properties);
        self.put_aside(message, delay_ms, onward, persistent)
    }

    /// Puts a message aside, to go on from each of these exchanges when the time has come that it asks for.
    pub(super) fn delay_at(&mut self, delayed: &[Delayed], message: &Owned) -> Outcome {
        let mut message = message.clone();
        message.properties = match waited_properties(&message.properties) {
            Ok(properties) => properties,
            Err(exception) => return Outcome::Refused(exception.to_string()),
        };
        let mut outcome = Outcome::Routed;
        for Delayed { exchange, delay_ms } in delayed {
            let onward = Onward::Exchange(&exchange.name);
            // What waits at an exchange that outlives a restart does so, too.
            let persistent = exchange.durable || special::is_persistent(&message.properties);
            outcome = self
                .put_aside(&message, *delay_ms, onward, persistent)
                .and(outcome);
        }
        outcome
    }

    fn put_aside(
        &mut self,
        message: &Owned,
        delay_ms: u64,
        onward: Onward<'_>,
        persistent: bool,
    ) -> Outcome {
        let now = now_ms();
        let due = now.saturating_add(delay_ms);
        match self.vhost.delays.queue(&self.vhost) {
            Ok(waiting) => {
                let slot = self.slot(&waiting);
                let source = Source {
                    user: &self.user,
                    received: self.received.unwrap_or(now),
                };
                let message = delays::wrap(message, source, due, onward, persistent);
                let message = self.own(message);
                self.put(slot, message);
                self.delayed = true;
                Outcome::Routed
            }
            Err(exception) => Outcome::Refused(exception.to_string()),
        }
    }
}

/// The properties as they go on when the wait is over.
fn waited_properties(properties: &[u8]) -> Result<Bytes, Exception> {
    let raw = RawProperties::new(properties).map_err(special::syntax)?;
    let mut decoded = raw.decode().map_err(special::syntax)?;
    decoded.headers = decoded.headers.map(waited);
    Ok(decoded.to_bytes())
}
