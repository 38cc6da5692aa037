//! `amphora plugin`: what whoever writes a plugin needs, from the first file to the component.
//!
//! - [`new`]: a project that builds, in one of the languages
//! - [`build`]: source in Rust, C, JavaScript or Python to a component, with the tools that each language has for it
//! - [`inspect`]: what a component is, and what the broker would say of it
//! - [`test`]: a component against its [`cases`]
//! - [`bench`]: what it costs for each message
//! - [`contract`]: the WIT files, which the program carries along, so that it is enough to build with

mod bench;
mod build;
pub mod cases;
mod contract;
mod inspect;
mod new;
mod test;
mod trial;

use clap::Subcommand;

use crate::cli::exit::Exit;

/// Write, build and try plugins
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    New(new::Args),
    Build(build::Args),
    Inspect(inspect::Args),
    Test(test::Args),
    Bench(bench::Args),
}

/// Does what was asked for. Results go to stdout, progress to stderr.
pub(crate) fn run(args: &Args) -> Result<(), Exit> {
    let done = match &args.command {
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Test(args) => test::run(args),
        Command::Bench(args) => bench::run(args),
    };
    done.map_err(|error| Exit::Failed(format!("{error:#}")))
}
