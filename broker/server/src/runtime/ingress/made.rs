//! What a chain of transforms makes of a message.

use amphora_core::hook::{HookError, OnError, Replacement, Verdict};
use amphora_protocol::wire::types::RoutingKey;

pub(in crate::runtime) use super::letters::Dead;
use super::{Outcome, names};
use crate::runtime::batch::{Owned, target};
use crate::runtime::plugins::{Attached, Chain, DeadLetter};

/// Messages that a chain makes of one, at most: each plugin may make 256 of each.
const MADE_MAX: usize = 1024;

/// Bytes that a chain makes of one message, at most.
const MADE_BYTES_MAX: usize = 128 << 20;

/// What a chain makes of a message.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Made {
    /// The messages that go on, and the milliseconds that each waits before.
    pub(in crate::runtime) on: Vec<(Owned, u64)>,
    pub(in crate::runtime) dead: Vec<Dead>,
    /// The message is refused. Nothing else is done with it then.
    pub(in crate::runtime) refused: Option<Refusal>,
    /// Plugins whose dead letters have nowhere to go, and their reasons.
    pub(in crate::runtime) lost: Vec<(String, String)>,
}

/// Why a chain refuses a message.
#[derive(Debug)]
pub(in crate::runtime) struct Refusal {
    pub(super) plugin: String,
    pub(super) reason: String,
    /// Where the plugin's dead letters go.
    pub(super) to: Option<DeadLetter>,
    /// The plugin has said so, and did not just fail: it would say so again.
    pub(super) is_verdict: bool,
}

impl Refusal {
    /// In words, with the plugin's name.
    pub(in crate::runtime) fn text(&self) -> String {
        format!("plugin '{}': {}", self.plugin, self.reason)
    }

    pub(super) fn into_outcome(self) -> Outcome {
        let text = self.text();
        if self.is_verdict {
            Outcome::Rejected(text)
        } else {
            Outcome::Refused(text)
        }
    }
}

impl Made {
    /// Shows a message to each plugin of a chain in turn. `verdict` asks one of them.
    pub(in crate::runtime) fn of(
        chain: &Chain,
        message: Owned,
        own_dead_letter: Option<&DeadLetter>,
        mut verdict: impl FnMut(&Attached, &Owned) -> Result<Verdict, HookError>,
    ) -> Self {
        let mut made = Self {
            on: vec![(message, 0)],
            ..Self::default()
        };
        for attachment in &chain.0 {
            let refusal = |reason, is_verdict| Refusal {
                plugin: attachment.hook.plugin().to_owned(),
                reason,
                to: attachment.dead_letter.as_ref().or(own_dead_letter).cloned(),
                is_verdict,
            };
            for (message, delay) in std::mem::take(&mut made.on) {
                match verdict(attachment, &message) {
                    Err(error) => made.refused = Some(refusal(error.text, false)),
                    Ok(Verdict::Reject(reason)) => made.refused = Some(refusal(reason, true)),
                    Ok(said) => made.take(attachment, own_dead_letter, (message, delay), said),
                }
                if made.on.len() > MADE_MAX || made.bytes() > MADE_BYTES_MAX {
                    let reason = format!(
                        "more than {MADE_MAX} messages or {MADE_BYTES_MAX} bytes were made of one message"
                    );
                    made.refused = Some(refusal(reason, true));
                }
                if made.refused.is_some() {
                    return made;
                }
            }
        }
        made
    }

    /// Does with one message what its plugin said.
    fn take(
        &mut self,
        attachment: &Attached,
        own_dead_letter: Option<&DeadLetter>,
        (message, delay): (Owned, u64),
        said: Verdict,
    ) {
        let plugin = attachment.hook.plugin();
        match said {
            Verdict::Pass => self.on.push((message, delay)),
            Verdict::Delay(more) => self.on.push((message, delay.saturating_add(more))),
            // Who refuses does nothing else.
            Verdict::Drop | Verdict::Reject(_) => {}
            Verdict::Replace(with) => self.on.extend(with.into_iter().map(|with| {
                let delay = delay.saturating_add(with.delay_ms);
                (replaced(&message, with), delay)
            })),
            Verdict::DeadLetter(reason) => {
                let to = attachment.dead_letter.as_ref().or(own_dead_letter);
                match to.cloned() {
                    None => self.lost.push((plugin.to_owned(), reason)),
                    Some(to) => self.dead.push(Dead {
                        message,
                        to,
                        plugin: plugin.to_owned(),
                        reason,
                    }),
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        self.on.iter().map(|(message, _)| message.body.len()).sum()
    }
}

/// What the operator says of a message to which a transform has no answer. The error is of one that is refused.
pub(in crate::runtime) fn without_verdict(
    error: HookError,
    on_error: OnError,
) -> Result<Verdict, HookError> {
    match on_error {
        OnError::Pass => Ok(Verdict::Pass),
        OnError::Drop => Ok(Verdict::Drop),
        OnError::DeadLetter => Ok(Verdict::DeadLetter(error.text)),
        OnError::Reject | OnError::AlternateExchange => Err(error),
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
