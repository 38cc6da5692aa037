//! The broker as a program: sockets, TLS, configuration, command line, management API.

pub mod auth;
pub mod cli;
pub mod config;
pub mod logging;
pub mod management;
pub mod perf;
mod runtime;
pub mod serve;
pub mod tls;
