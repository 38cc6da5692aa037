//! What a queue must not have for queue.delete to be done.

use amphora_core::queue_arguments::QueueType;
use amphora_protocol::exception::{ChannelException, ConnectionException};

use super::model::Model;
use super::vhost::Handle;

/// When queue.delete is refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeleteCondition {
    pub(super) if_unused: bool,
    pub(super) if_empty: bool,
}

impl DeleteCondition {
    /// Refuses what quorum queues do not have in RabbitMQ.
    pub(super) fn check_supported(self, queue: &Handle) -> Result<(), ConnectionException> {
        let flag = match self {
            Self {
                if_unused: true, ..
            } => "if-unused",
            Self { if_empty: true, .. } => "if-empty",
            _ => return Ok(()),
        };
        if queue.definition.parsed.queue_type != QueueType::Quorum {
            return Ok(());
        }
        let text = format!(
            "cannot delete {}. queue.delete operations with {flag} flag set are not supported by quorum queues",
            queue.described()
        );
        Err(ConnectionException::not_implemented(text))
    }

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
