//! Running a plugin natively, in the unit tests of its author.
//!
//! ```
//! # use amphora_sdk::exchange::*;
//! # use amphora_sdk::{Description, Needs};
//! # struct Suffix;
//! # impl Exchange for Suffix {
//! #     type Rule = String;
//! #     fn describe() -> Description {
//! #         Description::new("suffix", "1.0.0", Needs::new().routing_key().pure())
//! #     }
//! #     fn create(_: &Declaration) -> Result<Self, String> { Ok(Self) }
//! #     fn rule(&self, binding: Binding) -> Result<String, String> { Ok(binding.routing_key) }
//! #     fn route(&mut self, bindings: &Bindings<String>, message: &Message<'_>, answer: &mut Answer<'_>) {
//! #         for (id, suffix) in bindings {
//! #             if message.routing_key().ends_with(suffix) { answer.to(id); }
//! #         }
//! #     }
//! # }
//! use amphora_sdk::testing::{Router, message};
//!
//! # fn main() -> Result<(), String> {
//! let mut router = Router::<Suffix>::declare([("alternate-exchange", "other")])?;
//! router.bind("pictures", ".png", [("", 0); 0])?;
//! assert_eq!(router.route(&message().routing_key("cat.png")), ["pictures"]);
//! # Ok(())
//! # }
//! ```

pub mod grants;
mod message;
pub(crate) mod pack;
mod router;
mod transforming;

pub use self::message::{TestMessage, message};
pub use self::router::Router;
pub use self::transforming::Transforming;
