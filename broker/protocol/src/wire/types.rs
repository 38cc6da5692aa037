//! Numbers and names that have a meaning of their own in the standard.
//!
//! A name's length is checked once, when it is made; from then on it fits the wire.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::limits::SHORT_STRING_MAX;

/// A channel's number on its connection. Channel 0 is the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(pub u16);

impl ChannelNumber {
    /// The channel that the methods of the connection class travel on.
    pub const CONNECTION: Self = Self(0);
}

impl fmt::Display for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A delivery's number on its channel: 1, 2, 3 … In acknowledgements 0 means all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryTag(pub u64);

impl fmt::Display for DeliveryTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A string of more than 255 bytes, where the wire has room for no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are too long for a short string")]
pub struct TooLong {
    /// How many bytes it has.
    pub length: usize,
}

/// At most 255 bytes of UTF-8. A clone costs one atomic increment; the empty one allocates nothing.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShortString(Arc<str>);

impl ShortString {
    /// The string, if it is short enough.
    pub fn new(string: impl AsRef<str>) -> Result<Self, TooLong> {
        let string = string.as_ref();
        if string.len() > SHORT_STRING_MAX {
            return Err(TooLong {
                length: string.len(),
            });
        }
        Ok(Self::cut(string))
    }

    /// The string, or as much of its beginning as fits, cut between two characters.
    pub fn cut(string: &str) -> Self {
        let end = string.floor_char_boundary(SHORT_STRING_MAX);
        match string.get(..end) {
            None | Some("") => Self::default(),
            Some(kept) => Self(kept.into()),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What all strings of this module have in common.
macro_rules! string_like {
    ($name:ident) => {
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = TooLong;

            fn try_from(string: &str) -> Result<Self, TooLong> {
                Self::new(string)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TooLong;

            fn try_from(string: String) -> Result<Self, TooLong> {
                Self::new(string)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.as_str().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

macro_rules! names {
    ($($(#[$about:meta])* $name:ident,)*) => {
        $(
            $(#[$about])*
            #[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $name(ShortString);

            impl $name {
                /// The name, if it has at most 255 bytes.
                pub fn new(name: impl AsRef<str>) -> Result<Self, TooLong> {
                    ShortString::new(name).map(Self)
                }

                /// The text.
                pub fn as_str(&self) -> &str {
                    self.0.as_str()
                }
            }

            impl From<ShortString> for $name {
                fn from(string: ShortString) -> Self {
                    Self(string)
                }
            }

            impl From<$name> for ShortString {
                fn from(name: $name) -> Self {
                    name.0
                }
            }

            string_like!($name);
        )*
    };
}

string_like!(ShortString);

names! {
    /// An exchange's name. The empty one is the default exchange.
    ExchangeName,
    /// A queue's name. The empty one stands for the last queue declared, or asks for a name from
    /// the server.
    QueueName,
    /// What a message is published with, and what a binding may compare it to.
    RoutingKey,
    /// A consumer's name on its channel. The empty one asks for a name from the server.
    ConsumerTag,
    /// A virtual host's name.
    VhostName,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_length_is_checked_when_it_is_made() {
        assert_eq!(
            QueueName::new("q".repeat(255)).map(|name| name.len()),
            Ok(255)
        );
        assert_eq!(
            QueueName::new("q".repeat(256)),
            Err(TooLong { length: 256 })
        );
        assert_eq!(
            ShortString::try_from("ö".repeat(128)),
            Err(TooLong { length: 256 })
        );
    }

    #[test]
    fn a_long_string_is_cut_between_characters() {
        assert_eq!(ShortString::cut(&"ö".repeat(128)).len(), 254);
        assert_eq!(ShortString::cut("short"), "short");
    }

    #[test]
    fn a_name_is_found_by_its_text() {
        let names = HashMap::from([(QueueName::new("orders").unwrap(), 7)]);
        assert_eq!(names.get("orders"), Some(&7));
        assert_eq!(names.get(""), None);
    }
}
