//! Plugins, built from their source by the broker's own command.

mod agreement;
mod beside;
mod built;
mod channel;
mod commands;
mod curve;
mod exchange;
mod harmful;
mod headers;
mod hostile;
mod hot_load;
mod interleaved;
mod mistakes;
mod on_error;
mod on_the_way;
mod operator;
mod pending;
mod places;
mod projects;
mod refusing;
mod route;
mod seen;
mod slow;
mod stored;
mod swap;
mod uploads;
