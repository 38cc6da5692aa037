//! The command line: `amphora serve`, `amphora ctl`, `amphora perf`, `amphora plugin`.

pub(crate) mod environment;
pub(crate) mod exit;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::exit::{Codes, Exit};
pub use self::serve::ServeArgs;
use crate::{ctl, perf, plugin};

/// An AMQP 0-9-1 broker.
#[derive(Debug, Parser)]
#[command(name = "amphora", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the broker until it is told to stop (SIGTERM or SIGINT).
    Serve(ServeArgs),
    /// Looks at a running broker and changes what is in it, through its management API.
    Ctl(ctl::Args),
    Perf(perf::Args),
    Plugin(plugin::Args),
    /// Writes what a shell needs to complete these commands: `source <(amphora completion bash)`.
    Completion {
        shell: Shell,
    },
}

impl Cli {
    /// Does what the process' arguments ask for. Exit codes: see [`exit`].
    pub fn run_arguments() -> ExitCode {
        match Self::try_parse() {
            Ok(cli) => cli.run(),
            Err(mut error) => {
                let word = std::env::args().nth(1).unwrap_or_default();
                if let Some(command) = Self::command().find_subcommand(&word) {
                    environment::name_variable(&mut error, command);
                }
                // What cannot be shown can be told to nobody.
                let _ = error.print();
                let is_ctl = word == "ctl";
                let codes = if is_ctl { Codes::Ctl } else { Codes::Other };
                // Help and the version are no errors.
                ExitCode::from(if error.use_stderr() { codes.usage() } else { 0 })
            }
        }
    }

    fn run(self) -> ExitCode {
        let codes = match self.command {
            Command::Ctl(_) => Codes::Ctl,
            _ => Codes::Other,
        };
        let done = match self.command {
            Command::Serve(args) => environment::check(&Self::command(), std::env::vars_os())
                .map_err(Exit::Usage)
                .and_then(|()| args.run()),
            Command::Ctl(args) => ctl::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Perf(args) => perf::run(args),
            Command::Plugin(args) => plugin::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Completion { shell } => {
                let mut command = Self::command();
                clap_complete::generate(shell, &mut command, "amphora", &mut std::io::stdout());
                Ok(ExitCode::SUCCESS)
            }
        };
        done.unwrap_or_else(|exit| exit.report(codes))
    }
}
