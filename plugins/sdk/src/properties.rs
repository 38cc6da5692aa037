//! The properties of the class basic that a plugin owns: those that transforms see and set, and those of a plugin's own messages.

use crate::bindings::grants::amphora::plugin::types;

/// Declares the record, and the conversions from and to the contract's, which has the same fields.
macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// The properties of a message, without the headers. None is a property that is not there.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Properties {
            $($(#[$doc])* pub $name: Option<$type>,)*
        }

        impl From<types::Properties> for Properties {
            fn from(properties: types::Properties) -> Self {
                Self { $($name: properties.$name,)* }
            }
        }

        impl From<Properties> for types::Properties {
            fn from(properties: Properties) -> Self {
                Self { $($name: properties.$name,)* }
            }
        }
    };
}

properties! {
    /// MIME type of the body.
    content_type: String,
    /// MIME encoding of the body.
    content_encoding: String,
    /// 1 is transient, 2 persistent.
    delivery_mode: u8,
    /// Higher goes first, in queues that have priorities.
    priority: u8,
    /// Ties a reply to its request.
    correlation_id: String,
    /// Where a reply is wanted.
    reply_to: String,
    /// Milliseconds to live, in decimal digits.
    expiration: String,
    /// The application's identity of the message.
    message_id: String,
    /// Seconds since 1970-01-01T00:00Z, set by the application.
    timestamp: u64,
    /// The application's kind of message; `type` in the standard.
    kind: String,
    /// The publishing user, as the publisher says.
    user_id: String,
    /// The publishing application.
    app_id: String,
    /// Reserved by the standard.
    cluster_id: String,
}
