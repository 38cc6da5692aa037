//! Work that takes long on a thread that has other tasks.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Runs it on this thread, while another thread takes over the tasks that this one has. Costs some microseconds.
pub(super) fn block<R>(run: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(run),
        _ => run(),
    }
}
