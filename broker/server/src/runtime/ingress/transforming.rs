//! What the transforms of an exchange or a queue make of a message.

use amphora_core::hook::{HookError, OnError, Origin, Replacement, TransformHook, Verdict};
use amphora_protocol::wire::types::RoutingKey;

use super::letters::Dead;
use super::{Ingress, Outcome, names};
use crate::runtime::batch::{Owned, target};
use crate::runtime::plugins::{Attached, Chain, DeadLetter};

/// Messages that a chain makes of one, at most: each plugin may make 256 of each.
const MADE_MAX: usize = 1024;

/// Bytes that a chain makes of one message, at most.
const MADE_BYTES_MAX: usize = 128 << 20;

/// What a chain makes of a message.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The messages that go on, and the milliseconds that each waits before.
    pub(super) on: Vec<(Owned, u64)>,
    pub(super) dead: Vec<Dead>,
    /// The message is refused. Nothing else is done with it then.
    pub(super) refused: Option<Refusal>,
}

/// Why a chain refuses a message.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) plugin: String,
    pub(super) reason: String,
    /// Where the plugin's dead letters go.
    pub(super) to: Option<DeadLetter>,
    /// The plugin has said so, and did not just fail: it would say so again.
    pub(super) is_verdict: bool,
}

impl Refusal {
    pub(super) fn into_outcome(self) -> Outcome {
        let text = format!("plugin '{}': {}", self.plugin, self.reason);
        if self.is_verdict {
            Outcome::Rejected(text)
        } else {
            Outcome::Refused(text)
        }
    }
}

impl Made {
    fn bytes(&self) -> usize {
        self.on.iter().map(|(message, _)| message.body.len()).sum()
    }
}

impl Ingress {
    /// Shows a message to each plugin of a chain in turn.
    pub(super) fn run(
        &self,
        chain: &Chain,
        message: Owned,
        queue: Option<&str>,
        own_dead_letter: Option<&DeadLetter>,
    ) -> Made {
        let mut made = Made {
            on: vec![(message, 0)],
            ..Made::default()
        };
        for attachment in &chain.0 {
            for (message, delay) in std::mem::take(&mut made.on) {
                let plugin = attachment.hook.plugin();
                let to = || attachment.dead_letter.as_ref().or(own_dead_letter).cloned();
                let refusal = |reason, is_verdict| Refusal {
                    plugin: plugin.to_owned(),
                    reason,
                    to: to(),
                    is_verdict,
                };
                let verdict = match self.verdict(attachment, &message, queue) {
                    Ok(verdict) => verdict,
                    Err(error) => {
                        made.refused = Some(refusal(error.text, false));
                        return made;
                    }
                };
                match verdict {
                    Verdict::Pass => made.on.push((message, delay)),
                    Verdict::Delay(more) => made.on.push((message, delay.saturating_add(more))),
                    Verdict::Drop => {}
                    Verdict::Replace(with) => made.on.extend(with.into_iter().map(|with| {
                        let delay = delay.saturating_add(with.delay_ms);
                        (replaced(&message, with), delay)
                    })),
                    Verdict::Reject(reason) => {
                        made.refused = Some(refusal(reason, true));
                        return made;
                    }
                    Verdict::DeadLetter(reason) => {
                        let Some(to) = to() else {
                            self.vhost.plugins.lose(plugin, &reason);
                            continue;
                        };
                        made.dead.push(Dead {
                            message,
                            to,
                            plugin: plugin.to_owned(),
                            reason,
                        });
                    }
                }
                if made.on.len() > MADE_MAX || made.bytes() > MADE_BYTES_MAX {
                    let reason = format!(
                        "more than {MADE_MAX} messages or {MADE_BYTES_MAX} bytes were made of one message"
                    );
                    made.refused = Some(refusal(reason, true));
                    return made;
                }
            }
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
            .or_else(|error| match hook.on_error() {
                OnError::Pass => Ok(Verdict::Pass),
                OnError::Drop => Ok(Verdict::Drop),
                OnError::DeadLetter => Ok(Verdict::DeadLetter(error.text)),
                OnError::Reject | OnError::AlternateExchange => Err(error),
            })
    }
}

fn replaced(message: &Owned, with: Replacement) -> Owned {
    let Replacement {
        routing_key,
        properties,
        body,
        delay_ms: _,
    } = with;
    let target = match routing_key {
        None => message.target.clone(),
        Some(key) => other_key(message, &key),
    };
    Owned {
        target,
        properties: properties.unwrap_or_else(|| message.properties.clone()),
        body: body.unwrap_or_else(|| message.body.clone()),
    }
}

fn other_key(message: &Owned, key: &RoutingKey) -> bytes::Bytes {
    let (exchange, _) = names(&message.target).unwrap_or_default();
    target(exchange, key)
}
