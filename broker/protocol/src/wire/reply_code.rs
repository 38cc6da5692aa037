//! Reply codes (spec 1.1, "constants").

macro_rules! reply_codes {
    ($($(#[$about:meta])* $variant:ident = $code:literal $name:literal,)*) => {
        /// Why a method was refused or a connection or channel closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ReplyCode {
            $($(#[$about])* $variant = $code,)*
        }

        impl ReplyCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// The name that reply texts begin with.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The reply code with this number, if there is one.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

reply_codes! {
    /// The method succeeded.
    ReplySuccess = 200 "REPLY_SUCCESS",
    /// The content is larger than the peer takes.
    ContentTooLarge = 311 "CONTENT_TOO_LARGE",
    /// A mandatory message reached no queue; only in `basic.return`.
    NoRoute = 312 "NO_ROUTE",
    /// An immediate message reached no consumer; only in `basic.return`.
    NoConsumers = 313 "NO_CONSUMERS",
    /// An operator, or the end of the broker, closes the connection.
    ConnectionForced = 320 "CONNECTION_FORCED",
    /// The virtual host is not known.
    InvalidPath = 402 "INVALID_PATH",
    /// The login was wrong, or the user has no permission.
    AccessRefused = 403 "ACCESS_REFUSED",
    /// A queue or exchange does not exist.
    NotFound = 404 "NOT_FOUND",
    /// Another connection has it for itself.
    ResourceLocked = 405 "RESOURCE_LOCKED",
    /// The state of things does not permit it.
    PreconditionFailed = 406 "PRECONDITION_FAILED",
    /// A frame that cannot be decoded.
    FrameError = 501 "FRAME_ERROR",
    /// A field with an illegal value.
    SyntaxError = 502 "SYNTAX_ERROR",
    /// A method that is no request to a server, or one out of sequence.
    CommandInvalid = 503 "COMMAND_INVALID",
    /// A channel that is not open, or is open already.
    ChannelError = 504 "CHANNEL_ERROR",
    /// A frame where another kind was due.
    UnexpectedFrame = 505 "UNEXPECTED_FRAME",
    /// The server lacks the means.
    ResourceError = 506 "RESOURCE_ERROR",
    /// The client may not do this.
    NotAllowed = 530 "NOT_ALLOWED",
    /// The server has no such function.
    NotImplemented = 540 "NOT_IMPLEMENTED",
    /// A fault of the server.
    InternalError = 541 "INTERNAL_ERROR",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_number() {
        for &code in ReplyCode::ALL {
            assert_eq!(ReplyCode::from_code(code.code()), Some(code));
        }
        assert_eq!(ReplyCode::ALL.len(), 19);
        assert_eq!(
            ReplyCode::from_code(404).map(ReplyCode::name),
            Some("NOT_FOUND")
        );
        assert_eq!(ReplyCode::from_code(999), None);
    }
}
