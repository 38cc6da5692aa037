//! Dead letters on their way.

use amphora_protocol::exception::Exception;

use super::chain::By;
use super::{Ingress, Outcome};
use crate::runtime::batch::Owned;
use crate::runtime::dead_letter::{self, Death};
use crate::runtime::delays::{Onward, REFUSED_RETRY_MS};
use crate::runtime::plugins::DeadLetter;
use crate::runtime::timers::now_ms;

/// A dead letter that dies again goes on so often.
const DEATHS_MAX: u32 = 16;

/// A message that a plugin gave up, and where it goes.
#[derive(Debug)]
pub(in crate::runtime) struct Dead {
    pub(in crate::runtime) message: Owned,
    pub(in crate::runtime) to: DeadLetter,
    pub(in crate::runtime) plugin: String,
    pub(in crate::runtime) reason: String,
}

impl Ingress {
    /// Publishes a dead letter, but not into queues that it [has been in](dead_letter::Letter::been_in). `kept`: a refusal means
    /// that not all of its queues have it, and it is to be published again; [`Journey`](super::Journey) says which do, and they do not get it
    /// again. `buffer` is that of what was collected before.
    ///
    /// # Errors
    /// There is no such exchange, or its headers are damaged.
    pub(in crate::runtime) fn publish_letter(
        &mut self,
        message: Owned,
        been_in: &[String],
        kept: bool,
        buffer: &[u8],
    ) -> Result<Outcome, Exception> {
        self.route_owned(message, By::Queue { been_in, kept }, buffer)
    }

    /// Publishes dead letters. One whose exchange is missing, or leads to no queue, is lost, which is counted; one that is refused
    /// comes again.
    pub(super) fn bury(&mut self, dead: Vec<Dead>, queue: Option<&str>, buffer: &[u8]) {
        if dead.is_empty() {
            return;
        }
        if self.begin_burial(queue) {
            self.publish_dead(dead, queue, buffer);
            self.end_burial();
        } else {
            for Dead { plugin, reason, .. } in dead {
                self.vhost.plugins.lose(&plugin, &reason);
            }
        }
    }

    /// Dead letters that are refused, and so die again, go on only so often. False if these do not, and are lost.
    pub(super) fn begin_burial(&mut self, queue: Option<&str>) -> bool {
        if self.deaths == DEATHS_MAX {
            tracing::warn!(queue, "dead letters die again and again, and are lost");
            return false;
        }
        self.deaths += 1;
        true
    }

    pub(super) fn end_burial(&mut self) {
        self.deaths -= 1;
    }

    fn publish_dead(&mut self, dead: Vec<Dead>, queue: Option<&str>, buffer: &[u8]) {
        for Dead {
            message,
            to,
            plugin,
            reason,
        } in dead
        {
            let death = Death {
                queue: queue.unwrap_or_default(),
                reason: "rejected",
                plugin: Some((&plugin, &reason)),
                time: now_ms() / 1000,
            };
            let outcome = dead_letter::letter(&message, &to, &death).and_then(|letter| {
                let outcome = self.route_owned(letter.message.clone(), By::Broker, buffer)?;
                Ok(match outcome {
                    Outcome::Full | Outcome::Refused(_) | Outcome::Rejected(_) => {
                        self.delay(&letter.message, REFUSED_RETRY_MS, Onward::Published)
                    }
                    outcome => outcome,
                })
            });
            if !matches!(outcome, Ok(Outcome::Routed | Outcome::Taken)) {
                tracing::debug!(
                    exchange = %to.exchange, plugin, reason, ?outcome, "a dead letter reaches no queue"
                );
                self.vhost.plugins.lose(&plugin, &reason);
            }
        }
    }
}
