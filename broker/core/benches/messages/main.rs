//! What the model does for each message, in queues and on the way to them: `cargo bench -p amphora-core`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its result"
)]

mod confirms;
mod queues;
#[path = "../../../protocol/benches/rounds/mod.rs"]
mod rounds;
mod routes;
mod stored;

use std::process::ExitCode;

fn main() -> ExitCode {
    rounds::Bench::run(|bench| {
        queues::cases(bench);
        stored::cases(bench);
        routes::cases(bench);
        confirms::cases(bench);
    })
}
