//! Class 90: transactions of one channel (spec 1.9).

use super::class::class;

class! {
    tx = 90;

    /// Makes the channel transactional.
    Select = 10 "select" {}

    /// The channel is transactional.
    SelectOk = 11 "select-ok" {}

    /// Does what was gathered.
    Commit = 20 "commit" {}

    /// It is done.
    CommitOk = 21 "commit-ok" {}

    /// Forgets what was gathered.
    Rollback = 30 "rollback" {}

    /// It is forgotten.
    RollbackOk = 31 "rollback-ok" {}
}
