//! Bytes to values and back, without any state (spec 4.2).

pub(crate) mod cursor;
pub mod error;
pub mod frame;
pub mod method;
pub mod properties;
pub mod reply_code;
pub mod table;
pub mod types;

pub use error::WireError;
