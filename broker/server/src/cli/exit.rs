//! Exit codes, the same for every command.
//!
//! | Code | Meaning |
//! | --- | --- |
//! | 0 | Done. |
//! | 1 | It was tried and did not work: the broker could not start, or refused what `ctl` asked for. |
//! | 2 | The command line or the configuration is wrong. |
//! | 69 | The broker could not be reached (`EX_UNAVAILABLE`). |
//! | 77 | The broker did not accept the login (`EX_NOPERM`). |

use std::process::ExitCode;

/// Why a command ended without having done what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was tried and did not work.
    Failed(String),
    /// The command line or the configuration is wrong.
    Usage(String),
    /// The broker could not be reached.
    Unavailable(String),
    /// The broker did not accept the login.
    Denied(String),
}

impl Exit {
    /// Says why on standard error.
    #[expect(clippy::print_stderr, reason = "this is what a command has to say")]
    pub(crate) fn report(self) -> ExitCode {
        let (code, text) = match self {
            Self::Failed(text) => (1, text),
            Self::Usage(text) => (2, text),
            Self::Unavailable(text) => (69, text),
            Self::Denied(text) => (77, text),
        };
        eprintln!("amphora: {text}");
        ExitCode::from(code)
    }
}
