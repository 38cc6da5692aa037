//! Why a login was refused: what the log says, and what the client is told.

use std::sync::Arc;

use amphora_protocol::exception::ConnectionException;

/// Why a login was refused. Its text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client chose a mechanism that was not offered.
    #[error("unknown authentication mechanism '{0}'")]
    UnknownMechanism(String),
    /// The response is not what the mechanism prescribes. It is not shown: it may hold a password.
    #[error("{0} response invalid")]
    Malformed(&'static str),
    /// The client may not log in.
    #[error("{mechanism} login refused: {reason}")]
    Denied {
        /// How the client tried to log in.
        mechanism: &'static str,
        /// Why it may not.
        reason: Denial,
    },
}

/// Why a client may not log in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no such user, or the password is another one. Which of the two is nobody's business.
    #[error("user '{0}' - invalid credentials")]
    InvalidCredentials(Arc<str>),
    /// The user may log in from the broker's own machine only.
    #[error("user '{0}' can only connect via localhost")]
    OnlyLoopback(Arc<str>),
    /// The client showed no certificate that names a user.
    #[error("no certificate that names a user")]
    NoCertificate,
}

impl Refusal {
    /// The exception that ends the connection. A 403 may be sent only to a client that has the capability
    /// `authentication_failure_close`; any other expects the socket to be closed after a while.
    pub fn exception(&self) -> ConnectionException {
        match self {
            Self::UnknownMechanism(_) => ConnectionException::command_invalid(self.to_string()),
            Self::Malformed(_) => ConnectionException::syntax_error(self.to_string()),
            Self::Denied { mechanism, .. } => ConnectionException::access_refused(format!(
                "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
            )),
        }
    }
}
