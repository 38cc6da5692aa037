//! The broker as a program: sockets, TLS, configuration, command line, management API.

pub mod auth;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod logging;
pub mod management;
mod nearest;
pub mod perf;
pub mod plugin;
mod random;
pub mod reload;
mod runtime;
pub mod serve;
pub mod tls;
