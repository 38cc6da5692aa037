//! What a commit group takes of a queue.

use amphora_core::queue::{Records, Taking};
use amphora_core::store::CommitGroup;
use parking_lot::MutexGuard;

use super::committer::Committer;
use super::queue::SharedQueue;

/// Takes what a queue has for the group. Others get at the queue between two steps, so that none waits for long however much there is.
pub(super) fn take(
    committer: &Committer,
    queue: &SharedQueue,
    group: &mut CommitGroup,
    records: &mut Records,
    spill: bool,
) -> Taking {
    let mut state = queue.state.lock();
    state.dirty = false;
    let mut taking = Taking::new(spill || queue.cools(&state));
    loop {
        if state.deleted {
            state.model.take_deletion(group);
            let memory = state.model.memory();
            committer.account(&mut state.memory, memory);
            break;
        }
        if state.model.take_commit(group, records, &mut taking) {
            break;
        }
        MutexGuard::bump(&mut state);
    }
    taking
}
