//! The broker as its users meet it: its process, its sockets, its bytes.

mod clients;
mod dead_letters;
mod definitions;
mod delays;
mod disk;
mod limits;
mod perf;
mod process;
mod routing;
mod tls;
