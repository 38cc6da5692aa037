//! Plugins for the message broker Amphora, in Rust: types of exchange, and transforms of messages.
//!
//! A plugin is a crate of type `cdylib` that implements [`exchange::Exchange`] or [`transform::Transform`] and calls
//! [`export_exchange!`] or [`export_transform!`]. Everything also compiles and runs natively, so a plugin's unit tests are ordinary
//! ones; see [`testing`].
//!
//! What a plugin may ask of the broker is in [`log`], [`config`], [`clock`], [`random`], [`kv`], [`metrics`] and
//! [`publish`], each under the name by which the operator grants it. A component imports only what its code calls.

#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "the code is generated"
)]
#[doc(hidden)]
pub mod bindings;
pub mod exchange;
mod flat;
mod grants;
#[allow(
    missing_debug_implementations,
    reason = "only the export macros use it"
)]
#[doc(hidden)]
pub mod guest;
mod needs;
mod packed;
mod properties;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod transform;
mod value;

pub use self::grants::{clock, config, kv, log, metrics, publish, random};
pub use self::needs::{Description, Needs};
pub use self::properties::Properties;
pub use self::value::{Table, Value};
