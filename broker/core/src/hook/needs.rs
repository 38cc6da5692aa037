//! What a plugin needs to see of a message.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;

/// Headers that a plugin may name, at most.
const NAMED_MAX: usize = 64;

/// What a plugin needs to see of a message, and what may be concluded from its answer. In the words of the contract: `needs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Needs {
    /// Parts that are there in every message.
    pub parts: Parts,
    /// Headers.
    pub headers: HeaderNeeds,
    /// The body.
    pub body: BodyNeeds,
    /// The answer is a function of these parts, and of the exchange's arguments and bindings.
    pub pure: bool,
}

/// Parts that are there in every message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Parts {
    /// The virtual host's name.
    pub vhost: bool,
    /// The exchange's name.
    pub exchange: bool,
    /// The routing key.
    pub routing_key: bool,
    /// The publishing user.
    pub user: bool,
    /// When the message came.
    pub time: bool,
    /// The properties, without the headers.
    pub properties: bool,
}

/// Which headers a plugin needs to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum HeaderNeeds {
    /// None.
    #[default]
    None,
    /// These, in this order.
    Named(Vec<String>),
    /// All.
    All,
}

/// How much of the body a plugin needs to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BodyNeeds {
    /// Nothing.
    #[default]
    None,
    /// At most so many bytes from its beginning.
    Prefix(u32),
    /// All of it.
    Whole,
}

/// Needs that contradict each other, or the limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNeeds {
    /// What depends on the time is no function of the message.
    #[error("`pure` contradicts `time`: an answer that depends on the time cannot be kept")]
    PureWithTime,
    /// More names than may be.
    #[error("{0} headers are named, and {NAMED_MAX} may be; ask for `all`")]
    TooManyNames(usize),
    /// A name that no header can have.
    #[error("the header name '{0}' is longer than 128 bytes, or empty")]
    BadName(String),
    /// One name twice.
    #[error("the header '{0}' is named twice")]
    Twice(String),
}

impl Needs {
    /// Refuses what cannot be.
    pub fn check(&self) -> Result<(), InvalidNeeds> {
        if self.pure && self.parts.time {
            return Err(InvalidNeeds::PureWithTime);
        }
        let HeaderNeeds::Named(names) = &self.headers else {
            return Ok(());
        };
        if names.len() > NAMED_MAX {
            return Err(InvalidNeeds::TooManyNames(names.len()));
        }
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || name.len() > 128 {
                return Err(InvalidNeeds::BadName(name.clone()));
            }
            if names.iter().take(index).any(|before| before == name) {
                return Err(InvalidNeeds::Twice(name.clone()));
            }
        }
        Ok(())
    }

    /// Tells needs apart without keeping them: equal ones have equal numbers within a process.
    pub fn fingerprint(&self) -> u64 {
        FixedState::default().hash_one(self)
    }

    /// Whether the answer is a function of exchange and routing key, whoever publishes whatever.
    pub fn only_target(&self) -> bool {
        let parts = self.parts;
        self.pure
            && !parts.user
            && !parts.time
            && !parts.properties
            && self.headers == HeaderNeeds::None
            && self.body == BodyNeeds::None
    }

    /// Whether any part of the content header is looked at.
    pub fn content_header(&self) -> bool {
        self.parts.properties || self.headers != HeaderNeeds::None
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyNeeds, HeaderNeeds, InvalidNeeds, Needs, Parts};

    fn named(names: &[&str]) -> Needs {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Needs {
            headers: HeaderNeeds::Named(names),
            ..Needs::default()
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let timed = Needs {
            parts: Parts {
                time: true,
                ..Parts::default()
            },
            pure: true,
            ..Needs::default()
        };
        assert_eq!(timed.check(), Err(InvalidNeeds::PureWithTime));
        assert_eq!(
            named(&["a", "b", "a"]).check(),
            Err(InvalidNeeds::Twice("a".to_owned()))
        );
        assert_eq!(
            named(&[""]).check(),
            Err(InvalidNeeds::BadName(String::new()))
        );
        let many: Vec<String> = (0..65).map(|number| format!("h{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(named(&many).check(), Err(InvalidNeeds::TooManyNames(65)));
        assert_eq!(named(&many[..64]).check(), Ok(()));
    }

    #[test]
    fn an_answer_is_the_targets_only_if_it_depends_on_nothing_else() {
        let pure = Needs {
            parts: Parts {
                vhost: true,
                exchange: true,
                routing_key: true,
                ..Parts::default()
            },
            pure: true,
            ..Needs::default()
        };
        assert!(pure.only_target());
        let impure = Needs {
            pure: false,
            ..pure.clone()
        };
        assert!(!impure.only_target());
        let body = Needs {
            body: BodyNeeds::Prefix(1),
            ..pure.clone()
        };
        assert!(!body.only_target());
        let mut user = pure;
        user.parts.user = true;
        assert!(!user.only_target());
    }
}
