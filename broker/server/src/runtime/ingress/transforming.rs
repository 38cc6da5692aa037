//! What the transforms of an exchange or a queue make of a message.

use amphora_core::hook::{HookError, Origin, TransformHook, Verdict};

use super::made::{Made, without_verdict};
use super::{Ingress, names};
use crate::runtime::batch::Owned;
use crate::runtime::plugins::{Attached, Chain, DeadLetter};

impl Ingress {
    /// Shows a message to each plugin of a chain in turn.
    pub(super) fn run(
        &self,
        chain: &Chain,
        message: Owned,
        queue: Option<&str>,
        own_dead_letter: Option<&DeadLetter>,
    ) -> Made {
        let made = Made::of(chain, message, own_dead_letter, |attachment, message| {
            self.verdict(attachment, message, queue)
        });
        for (plugin, reason) in &made.lost {
            self.vhost.plugins.lose(plugin, reason);
        }
        made
    }

    /// What one plugin says, or what the operator says for it. The error is of a plugin that fails, and whose messages are refused then.
    fn verdict(
        &self,
        attachment: &Attached,
        message: &Owned,
        queue: Option<&str>,
    ) -> Result<Verdict, HookError> {
        let (exchange, routing_key) = names(&message.target).unwrap_or_default();
        let origin = Origin {
            vhost: &self.vhost.name,
            exchange,
            routing_key,
            user: &self.user,
            time_ms: self.received_ms(),
            properties: &message.properties,
            body: &message.body,
        };
        let hook: &dyn TransformHook = &*attachment.hook;
        hook.apply(&origin, queue)
            .or_else(|error| without_verdict(error, hook.on_error()))
    }
}
