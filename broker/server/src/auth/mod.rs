//! Who a client is, and what that user may do.

mod password;
mod permission;

pub use self::password::{PasswordHash, UnknownHash};
pub use self::permission::{Access, Pattern, PatternError, Permissions, Resource};
