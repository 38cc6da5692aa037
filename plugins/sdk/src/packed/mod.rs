//! Messages as an exchange is handed them: many, packed in one list of bytes, looked at where they lie.

mod batch;
mod cursor;
mod message;
mod properties;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use self::batch::Batch;
pub use self::batch::Malformed;
pub use self::message::{Headers, Message};
pub use self::properties::PropertiesRef;
pub use self::value::{Elements, ElementsIter, Fields, FieldsIter, ValueRef};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use self::batch::LAYOUT;
