//! The two kinds of refusal: one closes a channel, the other the connection (spec 1.1, "soft error"
//! and "hard error").

use std::fmt;

use crate::limits::SHORT_STRING_MAX;
use crate::wire::reply_code::ReplyCode;
use crate::wire::types::ShortString;

/// The end of a reply text that was cut.
const CUT: &str = "...";

macro_rules! exception {
    (
        $(#[$about:meta])*
        $name:ident { $($constructor:ident => $code:ident,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// The reply code.
            pub code: ReplyCode,
            /// The explanation, without the code's name.
            pub text: String,
            /// The class of the method that failed, 0 if it was no method's fault.
            pub class_id: u16,
            /// The method that failed, 0 if it was no method's fault.
            pub method_id: u16,
        }

        impl $name {
            /// An exception that no method is named for yet; see [`Self::at`].
            pub fn new(code: ReplyCode, text: impl Into<String>) -> Self {
                Self { code, text: text.into(), class_id: 0, method_id: 0 }
            }

            $(
                #[doc = concat!("[`ReplyCode::", stringify!($code), "`] with this explanation.")]
                pub fn $constructor(text: impl Into<String>) -> Self {
                    Self::new(ReplyCode::$code, text)
                }
            )*

            /// Names the method that failed.
            #[must_use]
            pub fn at(mut self, class_id: u16, method_id: u16) -> Self {
                self.class_id = class_id;
                self.method_id = method_id;
                self
            }

            /// The reply text as it is sent: `NAME - explanation`. One of more than 255 bytes
            /// is cut at a character's boundary and ends with `...`, as RabbitMQ's do.
            pub fn reply_text(&self) -> ShortString {
                let mut text = format!("{} - {}", self.code.name(), self.text);
                if text.len() > SHORT_STRING_MAX {
                    text.truncate(text.floor_char_boundary(SHORT_STRING_MAX - CUT.len()));
                    text.push_str(CUT);
                }
                ShortString::cut(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {} - {}", self.code.code(), self.code.name(), self.text)
            }
        }

        impl std::error::Error for $name {}
    };
}

exception! {
    /// Closes the channel that caused it; the connection goes on.
    ChannelException {
        content_too_large => ContentTooLarge,
        no_route => NoRoute,
        no_consumers => NoConsumers,
        access_refused => AccessRefused,
        not_found => NotFound,
        resource_locked => ResourceLocked,
        precondition_failed => PreconditionFailed,
    }
}

exception! {
    /// Closes the connection.
    ConnectionException {
        connection_forced => ConnectionForced,
        invalid_path => InvalidPath,
        access_refused => AccessRefused,
        frame_error => FrameError,
        syntax_error => SyntaxError,
        command_invalid => CommandInvalid,
        channel_error => ChannelError,
        unexpected_frame => UnexpectedFrame,
        resource_error => ResourceError,
        not_allowed => NotAllowed,
        not_implemented => NotImplemented,
        internal_error => InternalError,
    }
}

/// What a channel exception becomes when there is no channel to close.
impl From<ChannelException> for ConnectionException {
    fn from(exception: ChannelException) -> Self {
        let ChannelException {
            code,
            text,
            class_id,
            method_id,
        } = exception;
        Self {
            code,
            text,
            class_id,
            method_id,
        }
    }
}

/// Either kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exception {
    /// Closes the channel.
    #[error(transparent)]
    Channel(#[from] ChannelException),
    /// Closes the connection.
    #[error(transparent)]
    Connection(#[from] ConnectionException),
}

impl Exception {
    /// The reply code.
    pub fn code(&self) -> ReplyCode {
        match self {
            Self::Channel(exception) => exception.code,
            Self::Connection(exception) => exception.code,
        }
    }

    /// The explanation, without the code's name.
    pub fn text(&self) -> &str {
        match self {
            Self::Channel(exception) => &exception.text,
            Self::Connection(exception) => &exception.text,
        }
    }

    /// Names the method that failed.
    #[must_use]
    pub fn at(self, class_id: u16, method_id: u16) -> Self {
        match self {
            Self::Channel(exception) => Self::Channel(exception.at(class_id, method_id)),
            Self::Connection(exception) => Self::Connection(exception.at(class_id, method_id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_text_begins_with_the_name() {
        let exception = ChannelException::not_found("no queue 'q' in vhost '/'").at(50, 10);
        assert_eq!(
            &*exception.reply_text(),
            "NOT_FOUND - no queue 'q' in vhost '/'"
        );
        assert_eq!((exception.class_id, exception.method_id), (50, 10));
        assert_eq!(
            exception.to_string(),
            "404 NOT_FOUND - no queue 'q' in vhost '/'"
        );
    }

    #[test]
    fn a_long_reply_text_is_cut_between_characters() {
        let text = ConnectionException::not_allowed("é".repeat(200)).reply_text();
        // 14 bytes come before the first character of two, so that 238 of the 252 are theirs.
        assert_eq!(text.len(), 255);
        assert!(text.ends_with("éé..."));
        let fits = ConnectionException::not_allowed("x".repeat(241)).reply_text();
        assert_eq!(fits.len(), 255);
        assert!(fits.ends_with('x'));
    }

    #[test]
    fn a_channel_exception_keeps_everything_when_it_becomes_a_connection_exception() {
        let exception = ConnectionException::from(ChannelException::not_found("x").at(1, 2));
        assert_eq!(
            exception,
            ConnectionException::new(ReplyCode::NotFound, "x").at(1, 2)
        );
    }
}
