//! What a user may do in a virtual host: RabbitMQ's three regular expressions.

use std::fmt;

use amphora_core::policy::NamePattern;

/// What one user may do in one virtual host.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// Declare and delete.
    pub configure: Pattern,
    /// Publish to, or bind as a destination.
    pub write: Pattern,
    /// Consume from, or bind as a source.
    pub read: Pattern,
}

/// Which of the three permissions an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Declare and delete.
    Configure,
    /// Publish to, or bind as a destination.
    Write,
    /// Consume from, or bind as a source.
    Read,
}

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A queue by name.
    Queue(&'a str),
    /// An exchange by name; the empty name is the default exchange, which permissions know as `amq.default`.
    Exchange(&'a str),
}

/// A regular expression over names. As in RabbitMQ it is not anchored, and the empty one matches no name.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

/// Nearly every pattern in use is `.*`, and that one must cost nothing.
#[derive(Clone)]
enum Matcher {
    Everything,
    Nothing,
    Regex(NamePattern),
}

/// The text is not a regular expression that can be used.
#[derive(Debug, thiserror::Error)]
#[error("not a regular expression: {0}")]
pub struct PatternError(String);

impl Permissions {
    /// Reads three patterns: configure, write, read.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Self, PatternError> {
        Ok(Self {
            configure: Pattern::new(configure)?,
            write: Pattern::new(write)?,
            read: Pattern::new(read)?,
        })
    }

    /// Everything.
    pub fn all() -> Self {
        let everything = || Pattern {
            text: ".*".to_owned(),
            matcher: Matcher::Everything,
        };
        Self {
            configure: everything(),
            write: everything(),
            read: everything(),
        }
    }

    /// Whether the operation is allowed. Costs nothing for `.*`, else one match.
    pub fn allow(&self, access: Access, resource: Resource<'_>) -> bool {
        let pattern = match access {
            Access::Configure => &self.configure,
            Access::Write => &self.write,
            Access::Read => &self.read,
        };
        pattern.matches(resource.name())
    }
}

impl Pattern {
    /// Reads a pattern. A match that takes too many steps, which only a pattern made for it does, counts as none.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let matcher = match text {
            ".*" | "^.*" | ".*$" | "^.*$" => Matcher::Everything,
            "" | "^$" => Matcher::Nothing,
            _ => Matcher::Regex(
                NamePattern::new(text).map_err(|error| PatternError(error.to_string()))?,
            ),
        };
        Ok(Self {
            text: text.to_owned(),
            matcher,
        })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Everything => true,
            Matcher::Nothing => false,
            Matcher::Regex(regex) => regex.matches(name),
        }
    }
}

impl<'a> Resource<'a> {
    /// The name that permissions are matched with.
    fn name(self) -> &'a str {
        match self {
            Self::Exchange("") => "amq.default",
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Queue(_) => "queue",
            Self::Exchange(_) => "exchange",
        };
        write!(f, "{kind} '{}'", self.name())
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_not_anchored_and_the_empty_one_matches_nothing() -> Result<(), PatternError> {
        let cases = [
            (".*", "anything", true),
            ("", "anything", false),
            ("^$", "anything", false),
            ("shop", "my-shop-queue", true),
            ("^shop", "my-shop-queue", false),
            ("^shop\\.", "shop.orders", true),
        ];
        for (pattern, name, matches) in cases {
            assert_eq!(
                Pattern::new(pattern)?.matches(name),
                matches,
                "{pattern} on {name}"
            );
        }
        Ok(())
    }

    #[test]
    fn each_access_has_its_own_pattern_and_the_default_exchange_a_name() -> Result<(), PatternError>
    {
        let pattern = Pattern::new;
        let permissions = Permissions {
            configure: pattern("")?,
            write: pattern("^amq\\.default$")?,
            read: pattern(".*")?,
        };
        assert!(!permissions.allow(Access::Configure, Resource::Queue("q")));
        assert!(permissions.allow(Access::Read, Resource::Queue("q")));
        assert!(permissions.allow(Access::Write, Resource::Exchange("")));
        assert!(!permissions.allow(Access::Write, Resource::Exchange("amq.direct")));
        Ok(())
    }

    #[test]
    fn a_pattern_may_look_around_and_must_be_one() -> Result<(), PatternError> {
        let pattern = Pattern::new("^(?!admin)")?;
        assert!(pattern.matches("orders") && !pattern.matches("admin.orders"));
        assert!(Pattern::new("(").is_err());
        Ok(())
    }
}
