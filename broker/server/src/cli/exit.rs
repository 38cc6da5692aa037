//! Exit codes.
//!
//! | Code | Meaning | `ctl` |
//! | --- | --- | --- |
//! | 0 | Done. | 0 |
//! | 1 | It was tried and did not work: the broker could not start, or refused what `ctl` asked for. | 70 |
//! | 2 | The command line or the configuration is wrong. | 64 |
//! | 2 | A file or a value that was given cannot be read. | 65 |
//! | 69 | The broker could not be reached (`EX_UNAVAILABLE`). | 69 |
//! | 77 | The broker did not accept the login (`EX_NOPERM`). | 77 |
//! | 130, 143 | SIGINT or SIGTERM ended a load of `perf` before its time. | |
//!
//! `ctl` has those of sysexits.h, as rabbitmqctl does, whose scripts go on to work.

use std::process::ExitCode;

/// Why a command ended without having done what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was tried and did not work.
    Failed(String),
    /// The command line or the configuration is wrong.
    Usage(String),
    /// A file or a value that was given cannot be read.
    Data(String),
    /// The broker could not be reached.
    Unavailable(String),
    /// The broker did not accept the login.
    Denied(String),
}

/// Whose exit codes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codes {
    /// Those of sysexits.h.
    Ctl,
    Other,
}

impl Codes {
    /// What the command line asks for cannot be understood.
    pub(crate) const fn usage(self) -> u8 {
        match self {
            Self::Ctl => 64,
            Self::Other => 2,
        }
    }

    fn of(self, exit: &Exit) -> u8 {
        match (exit, self) {
            (Exit::Failed(_), Self::Ctl) => 70,
            (Exit::Failed(_), Self::Other) => 1,
            (Exit::Data(_), Self::Ctl) => 65,
            (Exit::Usage(_) | Exit::Data(_), _) => self.usage(),
            (Exit::Unavailable(_), _) => 69,
            (Exit::Denied(_), _) => 77,
        }
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

impl Exit {
    /// Says why on standard error.
    #[expect(clippy::print_stderr, reason = "this is what a command has to say")]
    pub(crate) fn report(self, codes: Codes) -> ExitCode {
        let code = codes.of(&self);
        let (Self::Failed(text)
        | Self::Usage(text)
        | Self::Data(text)
        | Self::Unavailable(text)
        | Self::Denied(text)) = self;
        eprintln!("amphora: {text}");
        ExitCode::from(code)
    }
}
