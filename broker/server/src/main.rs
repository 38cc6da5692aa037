//! The `amphora` command.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Gives memory back to the system when a backlog has gone: the alarm looks at what the process uses.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    amphora::cli::Cli::run_arguments()
}
