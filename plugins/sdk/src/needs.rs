//! Who a plugin is, and what it needs to see.

use crate::bindings::grants::amphora::plugin::types;

/// What a plugin calls itself, and what it needs to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name; the operator's name for it may differ.
    pub name: String,
    /// Its version, in any form.
    pub version: String,
    /// What it needs to see.
    pub needs: Needs,
}

impl Description {
    /// A plugin with this name and version, usually `env!("CARGO_PKG_NAME")` and `env!("CARGO_PKG_VERSION")`.
    pub fn new(name: &str, version: &str, needs: Needs) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            needs,
        }
    }

    pub(crate) fn flat(self) -> types::Description {
        types::Description {
            name: self.name,
            version: self.version,
            needs: self.needs.flat(),
        }
    }
}

/// What the host passes of a message, and what it may conclude from the answer. What is not asked for costs nothing.
///
/// ```
/// use amphora_sdk::Needs;
///
/// let needs = Needs::new().routing_key().headers(["tenant", "priority"]).pure();
/// # let _ = needs;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub(crate) vhost: bool,
    pub(crate) exchange: bool,
    pub(crate) routing_key: bool,
    pub(crate) user: bool,
    pub(crate) time: bool,
    pub(crate) properties: bool,
    pub(crate) headers: HeaderNeeds,
    pub(crate) body: BodyNeeds,
    pub(crate) pure: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum HeaderNeeds {
    #[default]
    None,
    Named(Vec<String>),
    All,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyNeeds {
    #[default]
    None,
    Prefix(u32),
    Whole,
}

impl Needs {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the virtual host.
    #[must_use]
    pub fn vhost(mut self) -> Self {
        self.vhost = true;
        self
    }

    /// The name of the exchange that the message was published to.
    #[must_use]
    pub fn exchange(mut self) -> Self {
        self.exchange = true;
        self
    }

    /// The routing key.
    #[must_use]
    pub fn routing_key(mut self) -> Self {
        self.routing_key = true;
        self
    }

    /// The user whose connection published the message.
    #[must_use]
    pub fn user(mut self) -> Self {
        self.user = true;
        self
    }

    /// When the broker received the message. Contradicts [`pure`](Self::pure).
    #[must_use]
    pub fn time(mut self) -> Self {
        self.time = true;
        self
    }

    /// The properties, without the headers.
    #[must_use]
    pub fn properties(mut self) -> Self {
        self.properties = true;
        self
    }

    /// One more header, by name; nothing changes if it is there already. At most 64 can be named; a name has 1 to 128 bytes.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        match &mut self.headers {
            HeaderNeeds::All => {}
            HeaderNeeds::Named(names) if names.contains(&name) => {}
            HeaderNeeds::Named(names) => names.push(name),
            HeaderNeeds::None => self.headers = HeaderNeeds::Named(vec![name]),
        }
        self
    }

    /// More headers, by name.
    #[must_use]
    pub fn headers<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        names.into_iter().fold(self, Self::header)
    }

    /// All headers. It costs more than a few that are named.
    #[must_use]
    pub fn all_headers(mut self) -> Self {
        self.headers = HeaderNeeds::All;
        self
    }

    /// The whole body.
    #[must_use]
    pub fn body(mut self) -> Self {
        self.body = BodyNeeds::Whole;
        self
    }

    /// At most so many bytes from the body's beginning.
    #[must_use]
    pub fn body_prefix(mut self, length: u32) -> Self {
        self.body = BodyNeeds::Prefix(length);
        self
    }

    /// The answer is a function of what is asked for here and, for an exchange, its arguments and bindings or, for a transform, the
    /// queue that it is attached to; and of nothing else: not of earlier messages, the clock, random numbers or the store. The host
    /// then may keep answers and use them again.
    #[must_use]
    pub fn pure(mut self) -> Self {
        self.pure = true;
        self
    }

    fn flat(self) -> types::Needs {
        let parts = [
            (self.vhost, types::Parts::VHOST),
            (self.exchange, types::Parts::EXCHANGE),
            (self.routing_key, types::Parts::ROUTING_KEY),
            (self.user, types::Parts::USER),
            (self.time, types::Parts::TIME),
            (self.properties, types::Parts::PROPERTIES),
        ];
        let parts = parts.into_iter().filter(|&(needed, _)| needed);
        types::Needs {
            parts: parts.fold(types::Parts::empty(), |all, (_, part)| all | part),
            headers: match self.headers {
                HeaderNeeds::None => types::HeaderNeeds::None,
                HeaderNeeds::Named(names) => types::HeaderNeeds::Named(names),
                HeaderNeeds::All => types::HeaderNeeds::All,
            },
            body: match self.body {
                BodyNeeds::None => types::BodyNeeds::None,
                BodyNeeds::Prefix(length) => types::BodyNeeds::Prefix(length),
                BodyNeeds::Whole => types::BodyNeeds::Whole,
            },
            pure: self.pure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Description, Needs, types};

    #[test]
    fn needs_reach_the_contract() {
        let needs = Needs::new()
            .routing_key()
            .user()
            .header("a")
            .headers(["b", "a"])
            .body_prefix(9)
            .pure();
        let description = Description::new("n", "1", needs).flat();
        assert_eq!((&*description.name, &*description.version), ("n", "1"));
        let needs = description.needs;
        assert_eq!(needs.parts, types::Parts::ROUTING_KEY | types::Parts::USER);
        let types::HeaderNeeds::Named(names) = needs.headers else {
            panic!("{:?}", needs.headers);
        };
        assert_eq!(names, ["a", "b"]);
        assert!(matches!(needs.body, types::BodyNeeds::Prefix(9)));
        assert!(needs.pure);
    }
}
