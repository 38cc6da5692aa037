//! Plugins, built from their source by the broker's own command.

mod agreement;
mod beside;
mod built;
mod curve;
mod exchange;
mod headers;
mod hostile;
mod interleaved;
mod projects;
mod route;
mod seen;
mod swap;
