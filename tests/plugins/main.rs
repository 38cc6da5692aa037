//! Plugins, built from their source by the broker's own command.

mod agreement;
mod built;
mod exchange;
mod hostile;
mod interleaved;
mod projects;
mod seen;
mod swap;
