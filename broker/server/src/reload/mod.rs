//! Takes changes of the configuration and of plugins' components in force while the broker runs.
//!
//! The files are watched, and SIGHUP asks for the same. Each time, the configuration is read again, what differs from what is in force is
//! worked out ([`plan`]), and done through [`Apply`]. What cannot be read or loaded is logged and changes nothing: what was in force
//! stays, and it is tried again when the file changes or the next SIGHUP comes.
//!
//! One thread does all of it, one thing at a time, because a component may compile for seconds.

mod apply;
mod component;
mod folders;
mod loading;
mod plan;
mod round;
mod source;
#[cfg(test)]
mod tests;
mod watch;

pub use self::apply::{Apply, Loading};
pub(crate) use self::component::Hash;
pub use self::round::Reload;
pub use self::source::Source;
pub use self::watch::{Trigger, Watch, on_hangup};
