//! Into queues.

use amphora_core::queue_arguments::Overflow;
use amphora_core::route::Reached;
use amphora_protocol::exception::Exception;

use super::Rehearsal;
use crate::management::snapshot::{RouteAnswer, RouteOutcome, RouteQueue};
use crate::runtime::batch::Owned;
use crate::runtime::concealed::Concealed;
use crate::runtime::dead_letter::Death;
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::Handle;

impl Rehearsal {
    /// Follows a message into a queue, through the transforms that are attached to it.
    pub(super) fn enqueue(
        &mut self,
        place: usize,
        message: &Owned,
        reached: &Reached<Handle>,
        been_in: &[String],
    ) -> Result<(), Exception> {
        let queue = &reached.queue;
        if been_in.iter().any(|name| **name == *queue.name) {
            self.note(format!(
                "the dead letter does not come back to queue '{}', in which it died",
                queue.name
            ));
            return Ok(());
        }
        let Some(chain) = self.vhost.plugins.for_queue(&self.vhost.name, queue) else {
            return self.put(place, message, reached, Vec::new(), 0);
        };
        let own = queue.dead_letter();
        let mut seen = message.clone();
        let concealed = Concealed::take(&mut seen);
        let (mut made, answers) = self.run(&chain, seen.clone(), Some(&queue.name), own.as_ref());
        if let Some(refusal) = made.refused {
            self.report.refused = Some(refusal.text());
            self.arrive(place, reached, answers, RouteOutcome::Rejected);
            return Ok(());
        }
        let on = made.on.clone();
        if let Some(concealed) = concealed {
            concealed.put_back(&mut made);
        }
        if on.is_empty() {
            let outcome = if made.dead.is_empty() {
                RouteOutcome::Dropped
            } else {
                RouteOutcome::DeadLettered
            };
            self.arrive(place, reached, answers, outcome);
            return self.bury(made.dead, Some(&queue.name));
        }
        let mut answers = Some(answers);
        for ((other, delay_ms), (whole, _)) in on.into_iter().zip(made.on) {
            let answers = answers.take().unwrap_or_default();
            let place = if super::is_same(&other, &seen) {
                place
            } else {
                let origin = format!("made by transforms of queue '{}'", queue.name);
                self.add(origin, &other, 0)?
            };
            self.put(place, &whole, reached, answers, delay_ms)?;
        }
        self.bury(made.dead, Some(&queue.name))
    }

    fn put(
        &mut self,
        place: usize,
        message: &Owned,
        reached: &Reached<Handle>,
        transforms: Vec<RouteAnswer>,
        delay_ms: u64,
    ) -> Result<(), Exception> {
        let outcome = if delay_ms > 0 {
            RouteOutcome::Delayed(delay_ms)
        } else {
            outcome(&reached.queue, message)
        };
        self.arrive(place, reached, transforms, outcome);
        if outcome != RouteOutcome::Full {
            return Ok(());
        }
        let queue = &reached.queue;
        self.report.refused = Some(format!("queue '{}' is full", queue.name));
        let dead_letter = queue
            .dead_letter()
            .filter(|_| queue.overflow() == Overflow::RejectPublishDlx);
        let Some(to) = dead_letter else {
            return Ok(());
        };
        let death = Death {
            queue: &queue.name,
            reason: "maxlen",
            plugin: None,
            time: now_ms() / 1000,
        };
        let origin = format!("dead letter of queue '{}', which is full", queue.name);
        self.send_letter(origin, message, &to, &death)
    }

    fn arrive(
        &mut self,
        message: usize,
        reached: &Reached<Handle>,
        transforms: Vec<RouteAnswer>,
        outcome: RouteOutcome,
    ) {
        self.report.queues.push(RouteQueue {
            message,
            name: reached.queue.name.to_string(),
            via: reached.via.iter().map(ToString::to_string).collect(),
            certain: reached.certain,
            transforms,
            outcome,
        });
    }
}

/// What a queue does with a message that comes now.
fn outcome(queue: &Handle, message: &Owned) -> RouteOutcome {
    let bytes = message.body.len() as u64;
    let space = queue.space();
    if queue.may_refuse() && (space.messages == 0 || space.bytes < bytes) {
        return RouteOutcome::Full;
    }
    if let Some(deduplicator) = &queue.deduplicator
        && let Some(id) = deduplicator.id(&message.properties)
        && deduplicator.knows(id)
    {
        return RouteOutcome::Duplicate;
    }
    let effective = queue.effective();
    let (length, length_bytes) = (
        effective.arguments.max_length,
        effective.arguments.max_length_bytes,
    );
    if queue.is_stream() || (length.is_none() && length_bytes.is_none()) {
        return RouteOutcome::Enqueued;
    }
    let state = queue.state.lock();
    let (ready, ready_bytes) = (
        state.model.ready_count(),
        state.model.contents().ready_bytes,
    );
    drop(state);
    let is_over = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used > limit);
    if is_over(length, ready + 1) || is_over(length_bytes, ready_bytes + bytes) {
        RouteOutcome::MakesRoom
    } else {
        RouteOutcome::Enqueued
    }
}
