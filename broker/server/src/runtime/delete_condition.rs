//! What a queue must not have for queue.delete to be done.

use amphora_protocol::exception::ChannelException;

use super::model::Model;
use super::vhost::Handle;

/// When queue.delete is refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeleteCondition {
    pub(super) if_unused: bool,
    pub(super) if_empty: bool,
}

impl DeleteCondition {
    pub(super) fn check(self, queue: &Handle) -> Result<(), ChannelException> {
        // As in RabbitMQ.
        if queue.is_stream() {
            return Ok(());
        }
        let state = queue.state.lock();
        let refusal = if self.if_unused && state.model.consumer_count() > 0 {
            "in use"
        } else if self.if_empty && !is_empty(&state.model) {
            "not empty"
        } else {
            return Ok(());
        };
        Err(ChannelException::precondition_failed(format!(
            "queue '{}' in vhost '{}' {refusal}",
            queue.name, queue.vhost
        )))
    }
}

/// Whether nothing waits in the queue: for a consumer, for its next attempt, or to be published as a dead letter.
fn is_empty(model: &Model) -> bool {
    model.ready_count() == 0 && model.delayed_count() == 0 && model.dying_count() == 0
}
