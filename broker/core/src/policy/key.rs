//! The keys of a policy: what values they take, and which of two values wins.

use amphora_protocol::limits::SHORT_STRING_MAX;
use amphora_protocol::wire::table::{FieldTable, FieldValue};

use super::keys::KEYS;
use super::{PolicyKind, Term};
use crate::queue_arguments::max_age;

/// A key of a policy.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What texts call its value.
    title: &'static str,
    values: Values,
    meaning: Meaning,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Of a policy and an argument, the argument wins.
    Default,
    /// Likewise, and an operator policy may set it, whose value wins over a policy's.
    Rule,
    /// A limit: the smaller one wins.
    Limit,
    /// Likewise, and 0 stands for no limit.
    Timeout,
    /// A limit that an operator policy may set, too.
    OperatorLimit,
    /// None here: it is kept and shown.
    Kept,
    /// Likewise, in operator policies, too.
    OperatorKept,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Values {
    /// A whole number between these, both included.
    Count(u64, u64),
    /// A whole number, negative ones included.
    Integer,
    /// A number, also a broken one, between these.
    Number(f64, f64),
    /// A name of at most 255 bytes.
    Name,
    /// A text.
    Text,
    /// True or false.
    Flag,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A number and a unit: `7D`.
    Age,
    /// One name, or an array of names.
    Names,
    Anything,
}

pub(super) const fn key(
    name: &'static str,
    title: &'static str,
    values: Values,
    meaning: Meaning,
) -> Key {
    Key {
        name,
        title,
        values,
        meaning,
    }
}

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Checks the keys and values of a policy.
pub(super) fn check(kind: PolicyKind, definition: &FieldTable) -> Result<(), String> {
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    let mut unknown = Vec::new();
    for (name, value) in definition {
        match find(name).filter(|key| key.is_for(kind)) {
            None => unknown.push(format!("{{<<\"{name}\">>,{}}}", Term(value))),
            Some(key) if key.values.admit(value) => {}
            Some(key) => return Err(format!("{} is not a valid {}", Term(value), key.title)),
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!(
        "[{}] are not recognised policy settings",
        unknown.join(",")
    ))
}

impl Key {
    /// It means something here.
    pub(super) fn is_in_effect(&self) -> bool {
        !matches!(self.meaning, Meaning::Kept | Meaning::OperatorKept)
    }

    /// Of an argument's value and an effective policy's, the one that counts.
    pub(super) fn against_argument<'a>(
        &self,
        argument: &'a FieldValue,
        policy: &'a FieldValue,
    ) -> &'a FieldValue {
        match self.meaning {
            Meaning::Limit | Meaning::OperatorLimit => smaller(argument, policy),
            Meaning::Timeout => sooner(argument, policy),
            _ => argument,
        }
    }

    /// Of a policy's value and an operator policy's, the one that counts.
    pub(super) fn against_operator<'a>(
        &self,
        policy: &'a FieldValue,
        operator: &'a FieldValue,
    ) -> &'a FieldValue {
        match self.meaning {
            Meaning::Limit | Meaning::OperatorLimit => smaller(policy, operator),
            Meaning::Timeout => sooner(policy, operator),
            _ => operator,
        }
    }

    fn is_for(&self, kind: PolicyKind) -> bool {
        let operators = matches!(
            self.meaning,
            Meaning::Rule | Meaning::OperatorLimit | Meaning::OperatorKept
        );
        kind == PolicyKind::User || operators
    }
}

impl Values {
    fn admit(self, value: &FieldValue) -> bool {
        match self {
            Self::Count(min, max) => {
                let count = value.as_integer().map(u64::try_from);
                matches!(count, Some(Ok(count)) if (min..=max).contains(&count))
            }
            Self::Integer => value.as_integer().is_some(),
            Self::Number(min, max) => value
                .as_number()
                .is_some_and(|number| (min..=max).contains(&number)),
            Self::Name => value.as_str().is_some_and(is_name),
            Self::Text => value.as_str().is_some(),
            Self::Flag => value.as_bool().is_some(),
            Self::OneOf(known) => value.as_str().is_some_and(|text| known.contains(&text)),
            Self::Age => value.as_str().is_some_and(|text| max_age(text).is_some()),
            Self::Names => match value {
                FieldValue::Array(names) => {
                    !names.is_empty() && names.iter().all(|name| name.as_str().is_some_and(is_name))
                }
                other => other.as_str().is_some_and(|name| !name.is_empty()),
            },
            Self::Anything => true,
        }
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= SHORT_STRING_MAX
}

/// The smaller of two limits, which are numbers or ages. A negative number stands for no limit.
fn smaller<'a>(a: &'a FieldValue, b: &'a FieldValue) -> &'a FieldValue {
    if limit(b) < limit(a) { b } else { a }
}

/// The smaller of two numbers of which 0 stands for no limit.
fn sooner<'a>(a: &'a FieldValue, b: &'a FieldValue) -> &'a FieldValue {
    match (a.as_integer(), b.as_integer()) {
        (Some(0), _) => b,
        (_, Some(0)) => a,
        _ => smaller(a, b),
    }
}

fn limit(value: &FieldValue) -> u64 {
    let number = match value.as_str() {
        Some(text) => max_age(text).map(|age| age.as_secs()),
        None => value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok()),
    };
    number.unwrap_or(u64::MAX)
}
