//! What a user may do with single routing keys of a topic exchange.

use amphora_core::policy::NamePattern;

use super::permission::{Pattern, PatternError};

/// What one user may publish to, and bind with, at one topic exchange: patterns over routing keys, in which `{username}` and `{vhost}` stand
/// for the user and the virtual host.
#[derive(Clone, Debug)]
pub struct TopicPermissions {
    /// As they were given.
    write: String,
    read: String,
    /// With the variables in place.
    expanded: [Pattern; 2],
}

/// What is done with a routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicAccess {
    /// Publish with it.
    Write,
    /// Bind with it.
    Read,
}

impl TopicPermissions {
    /// Reads two patterns, for this user in this virtual host.
    pub fn new(write: &str, read: &str, user: &str, vhost: &str) -> Result<Self, PatternError> {
        let expand = |text: &str| Pattern::new(&expand(text, user, vhost));
        Ok(Self {
            write: write.to_owned(),
            read: read.to_owned(),
            expanded: [expand(write)?, expand(read)?],
        })
    }

    /// What may be published, as it was given.
    pub fn write(&self) -> &str {
        &self.write
    }

    /// What may be bound, as it was given.
    pub fn read(&self) -> &str {
        &self.read
    }

    /// Whether the operation is allowed.
    pub fn allow(&self, access: TopicAccess, routing_key: &str) -> bool {
        let [write, read] = &self.expanded;
        match access {
            TopicAccess::Write => write.matches(routing_key),
            TopicAccess::Read => read.matches(routing_key),
        }
    }
}

/// A value stands for itself, whatever it has of a pattern: a user named `.*` gets no more than others. AMQP has no client id; one that a
/// pattern asks for matches no key but its own name.
fn expand(text: &str, user: &str, vhost: &str) -> String {
    text.replace("{username}", &NamePattern::escape(user))
        .replace("{vhost}", &NamePattern::escape(vhost))
        .replace("{client_id}", "\\{client_id\\}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_user_and_vhost_to_the_letter() -> Result<(), PatternError> {
        let permissions = TopicPermissions::new("^{username}\\.", "^{vhost}-x$", "a.b", "/")?;
        let cases = [
            (TopicAccess::Write, "a.b.c", true),
            (TopicAccess::Write, "axb.c", false),
            (TopicAccess::Read, "/-x", true),
            (TopicAccess::Read, "a.b.c", false),
        ];
        for (access, key, allowed) in cases {
            assert_eq!(permissions.allow(access, key), allowed, "{access:?} {key}");
        }
        let of_client = TopicPermissions::new("^{client_id}", "", "u", "/")?;
        assert!(!of_client.allow(TopicAccess::Write, "anything"));
        assert_eq!(permissions.write(), "^{username}\\.");
        assert!(TopicPermissions::new("(", "", "u", "/").is_err());
        Ok(())
    }
}
