//! What the management API asks of messages that wait for their time.

use super::Reply;
use crate::auth::VhostAccess;
use crate::management::snapshot::{DelayedId, DelayedPage};

/// The messages of the user's virtual host that wait, in the order of their times.
pub trait DelayedMessages: Send + Sync {
    /// So many of them after the first `skip`, with the first `shown` bytes of each body, or fewer if that is much in all. Reads from the disk what has
    /// left memory.
    fn list<'a>(
        &'a self,
        by: &'a VhostAccess,
        skip: usize,
        count: usize,
        shown: usize,
    ) -> Reply<'a, DelayedPage>;
    /// Lets one go nowhere; false if it does not wait.
    fn cancel<'a>(&'a self, by: &'a VhostAccess, id: DelayedId) -> Reply<'a, bool>;
    /// Lets all of them go nowhere, and says how many they were.
    fn cancel_all<'a>(&'a self, by: &'a VhostAccess) -> Reply<'a, usize>;
}
