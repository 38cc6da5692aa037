//! What is in force for a queue: its declaration and the policies that apply to it, merged.

use std::sync::Arc;

use amphora_core::definition::QueueDefinition;
use amphora_core::policy::Applied;
use amphora_core::queue_arguments::QueueArguments;

/// What is in force for a queue.
#[derive(Debug)]
pub(super) struct Effective {
    /// The policies that apply to it.
    pub(super) policies: Option<Arc<Applied>>,
    /// What they and its declaration come to.
    pub(super) arguments: QueueArguments,
}

impl Effective {
    pub(super) fn new(definition: &QueueDefinition, policies: Option<Arc<Applied>>) -> Self {
        let arguments = match &policies {
            None => definition.parsed.clone(),
            Some(policies) => policies.queue_arguments(definition),
        };
        Self {
            policies,
            arguments,
        }
    }
}
