//! The `amphora` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    amphora::cli::Cli::parse().run()
}
