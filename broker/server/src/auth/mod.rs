//! Who a client is, and what that user may do.
//!
//! [`Users::authenticate`] turns what `connection.start-ok` brought into an [`Identity`]; [`Identity::enter`] turns that and a virtual
//! host into a [`VhostAccess`], which every operation asks for permission. Both look at the user's [`Account`] as it is at that moment.

mod account;
mod attempts;
mod identity;
mod login;
mod mechanism;
mod password;
mod permission;
mod refusal;
mod secret;
#[cfg(test)]
mod tests;
mod topic_permission;
mod users;

pub use self::account::{Account, UserLimits};
pub use self::attempts::Attempts;
pub use self::identity::{Identity, VhostAccess};
pub use self::login::Login;
pub use self::password::{PasswordHash, UnknownHash};
pub use self::permission::{Access, Pattern, PatternError, Permissions, Resource};
pub use self::refusal::{Denial, Refusal};
pub use self::topic_permission::{TopicAccess, TopicPermissions};
pub use self::users::{PeerInfo, User, Users};
