//! What is asked of the machine at the start.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The machine's name.
pub(super) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Takes as many open files as the system grants: every client needs one, and the usual limit of 1024 is for programs that use
/// `select`, which this one does not.
pub(super) fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(
            from = limit.current,
            to = limit.maximum,
            "raised the limit of open files"
        ),
        Err(error) => {
            tracing::warn!(%error, limit = limit.current, "cannot raise the limit of open files");
        }
    }
}
