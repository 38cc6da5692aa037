//! What the model does for each message, in queues and on the way to them: `cargo bench -p amphora-core`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod queues;
#[path = "../../../protocol/benches/rounds/mod.rs"]
mod rounds;
mod routes;
mod stored;

fn main() {
    let bench = rounds::Bench::from_args();
    queues::cases(&bench);
    stored::cases(&bench);
    routes::cases(&bench);
}
