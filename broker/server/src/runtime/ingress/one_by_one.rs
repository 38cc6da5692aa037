//! Plugins that are asked about one message alone: those of exchanges behind others, or when a message has several routing keys.

use amphora_core::exchange::LazyHeaders;
use amphora_core::hook::{ExchangeHook, Fault, HookError, Needs, OnError, Origin, PackedBatch};
use amphora_core::route::Routed;
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::types::ExchangeName;

use super::answering::next_answer;
use super::asking::REPLACED_MAX;
use super::{Ingress, names};
use crate::runtime::vhost::Handle;

/// An exchange on the way whose plugin has no answer, and that does not let the message go on all the same. What is bound to
/// it does not get the message by it; others do.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) error: HookError,
    pub(super) on_error: OnError,
    /// The exchange.
    pub(super) exchange: ExchangeName,
}

impl Ingress {
    /// Asks the plugins of exchanges that were reached on the way, each for this message alone. Returns those that failed.
    pub(super) fn ask_each(
        &self,
        routed: &mut Routed<Handle>,
        routing_keys: &[&str],
        headers: &LazyHeaders<'_>,
        (target, properties, body): (&[u8], &[u8], &[u8]),
    ) -> Result<Vec<Failed>, Exception> {
        let (exchange, _) = names(target)?;
        let mut failures = Vec::new();
        while let Some(asked) = routed.asked.pop() {
            let mut answer = Vec::new();
            let mut failed = None;
            for key in routing_keys {
                let origin = |needs: &Needs| self.origin(needs, (exchange, key), properties, body);
                if let Err(error) = ask_one(&*asked.hook, origin, &mut answer)? {
                    failed = Some(error);
                }
            }
            if let Some(error) = failed {
                let on_error = asked.hook.on_error();
                match self.vhost.plugins.on_error(&error, on_error) {
                    OnError::AlternateExchange | OnError::Pass => answer.clear(),
                    OnError::Drop => continue,
                    on_error => {
                        let topology = self.vhost.topology();
                        // One that was deleted meanwhile has nothing to fail with.
                        failures.extend(topology.exchange_of(&asked).map(|exchange| Failed {
                            error,
                            on_error,
                            exchange: exchange.name.clone(),
                        }));
                        continue;
                    }
                }
            }
            let topology = self.vhost.topology();
            topology.resume(&asked, &answer, routing_keys, headers, routed)?;
        }
        Ok(failures)
    }
}

/// Asks a plugin about one message. Appends the bindings.
fn ask_one<'a>(
    hook: &dyn ExchangeHook,
    origin: impl Fn(&Needs) -> Origin<'a>,
    bindings: &mut Vec<u32>,
) -> Result<Result<(), HookError>, Exception> {
    let mut answer = Vec::new();
    let mut replaced = 0;
    loop {
        let needs = match hook.needs() {
            Ok(needs) => needs,
            Err(error) => return Ok(Err(error)),
        };
        let mut batch = PackedBatch::default();
        batch
            .push(&needs, &origin(&needs))
            .map_err(|error| ConnectionException::frame_error(error.to_string()))?;
        match hook.route(&batch, &mut answer) {
            Err(error) if error.fault == Fault::Replaced && replaced < REPLACED_MAX => {
                replaced += 1;
            }
            Err(error) => return Ok(Err(error)),
            Ok(()) => break,
        }
    }
    bindings.extend_from_slice(next_answer(&mut answer.as_slice()));
    Ok(Ok(()))
}
