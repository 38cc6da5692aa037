//! The keys of a policy: what values they take, and which of two values wins.

use amphora_protocol::limits::SHORT_STRING_MAX;
use amphora_protocol::wire::table::{FieldTable, FieldValue};

use super::{PolicyKind, Term};
use crate::queue_arguments::{EXPIRY_MS_MAX, STREAM_SEGMENT_BYTES_MAX, max_age};

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
enum Meaning {
    /// Of a policy and an argument, the argument wins.
    Default,
    /// Likewise, and an operator policy may set it, whose value wins over a policy's.
    Rule,
    /// A limit: the smaller one wins.
    Limit,
    /// Likewise, and an operator policy may set it.
    OperatorLimit,
    /// None here: it is kept and shown.
    Kept,
    /// Likewise, in operator policies, too.
    OperatorKept,
}

#[derive(Clone, Copy, Debug)]
enum Values {
    /// A whole number between these, both included.
    Count(u64, u64),
    /// A whole number, negative ones included.
    Integer,
    /// A name of at most 255 bytes.
    Name,
    /// A text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A number and a unit: `7D`.
    Age,
    /// One name, or an array of names.
    Names,
    Anything,
}

const COUNT: Values = Values::Count(0, u64::MAX);
const MILLIS: Values = Values::Count(0, EXPIRY_MS_MAX);

const fn key(name: &'static str, title: &'static str, values: Values, meaning: Meaning) -> Key {
    Key {
        name,
        title,
        values,
        meaning,
    }
}

/// A key is the argument of queues that has `x-` before it, if there is such an argument: whoever adds an argument adds a line here.
const KEYS: &[Key] = &[
    key(
        "alternate-exchange",
        "alternate exchange name",
        Values::Name,
        Meaning::Default,
    ),
    key(
        "transform",
        "list of plugins",
        Values::Names,
        Meaning::Default,
    ),
    key("message-ttl", "message TTL", MILLIS, Meaning::OperatorLimit),
    key(
        "expires",
        "queue expiry",
        Values::Count(1, EXPIRY_MS_MAX),
        Meaning::OperatorLimit,
    ),
    key(
        "max-length",
        "maximum length",
        COUNT,
        Meaning::OperatorLimit,
    ),
    key(
        "max-length-bytes",
        "maximum length in bytes",
        COUNT,
        Meaning::OperatorLimit,
    ),
    key(
        "overflow",
        "overflow value",
        Values::OneOf(&["drop-head", "reject-publish", "reject-publish-dlx"]),
        Meaning::Rule,
    ),
    key(
        "dead-letter-exchange",
        "dead letter exchange name",
        Values::Name,
        Meaning::Default,
    ),
    key(
        "dead-letter-routing-key",
        "dead letter routing key",
        Values::Name,
        Meaning::Default,
    ),
    key(
        "dead-letter-strategy",
        "dead letter strategy",
        Values::OneOf(&["at-most-once", "at-least-once"]),
        Meaning::Default,
    ),
    key(
        "delivery-limit",
        "delivery limit",
        Values::Integer,
        Meaning::OperatorLimit,
    ),
    key(
        "consumer-timeout",
        "consumer timeout",
        COUNT,
        Meaning::Limit,
    ),
    key(
        "delayed-retry-type",
        "delayed retry type",
        Values::OneOf(&["disabled", "all", "failed", "returned"]),
        Meaning::Default,
    ),
    key(
        "delayed-retry-min",
        "delayed retry min",
        COUNT,
        Meaning::Default,
    ),
    key(
        "delayed-retry-max",
        "delayed retry max",
        COUNT,
        Meaning::Default,
    ),
    key("max-age", "max age", Values::Age, Meaning::Limit),
    key(
        "stream-max-segment-size-bytes",
        "segment size",
        Values::Count(0, STREAM_SEGMENT_BYTES_MAX),
        Meaning::Default,
    ),
    key(
        "stream-filter-size-bytes",
        "filter size",
        Values::Count(16, 255),
        Meaning::Default,
    ),
    key(
        "max-in-memory-length",
        "maximum memory in bytes",
        COUNT,
        Meaning::OperatorKept,
    ),
    key(
        "max-in-memory-bytes",
        "maximum memory in bytes",
        COUNT,
        Meaning::OperatorKept,
    ),
    key(
        "target-group-size",
        "target group size",
        COUNT,
        Meaning::OperatorKept,
    ),
    key(
        "queue-version",
        "queue version",
        Values::Count(1, 2),
        Meaning::OperatorKept,
    ),
    key(
        "queue-mode",
        "queue-mode value",
        Values::OneOf(&["default", "lazy"]),
        Meaning::Kept,
    ),
    key(
        "queue-leader-locator",
        "queue leader locator value",
        Values::OneOf(&["client-local", "balanced", "random", "least-leaders"]),
        Meaning::Kept,
    ),
    key(
        "queue-master-locator",
        "queue master locator value",
        Values::OneOf(&["client-local", "min-masters", "random"]),
        Meaning::Kept,
    ),
    key("initial-cluster-size", "cluster size", COUNT, Meaning::Kept),
    key("max-segment-size", "segment size", COUNT, Meaning::Kept),
    key(
        "consumer-disconnected-timeout",
        "consumer disconnected timeout",
        COUNT,
        Meaning::Kept,
    ),
    key(
        "federation-upstream",
        "upstream name",
        Values::Text,
        Meaning::Kept,
    ),
    key(
        "federation-upstream-set",
        "upstream set name",
        Values::Text,
        Meaning::Kept,
    ),
    key(
        "federation-upstream-pattern",
        "upstream pattern",
        Values::Text,
        Meaning::Kept,
    ),
    key(
        "ha-mode",
        "ha-mode",
        Values::OneOf(&["all", "exactly", "nodes"]),
        Meaning::Kept,
    ),
    key("ha-params", "ha-params", Values::Anything, Meaning::Kept),
    key("ha-sync-mode", "ha-sync-mode", Values::Text, Meaning::Kept),
    key(
        "ha-sync-batch-size",
        "ha-sync-batch-size",
        COUNT,
        Meaning::Kept,
    ),
    key(
        "ha-promote-on-shutdown",
        "ha-promote-on-shutdown",
        Values::Text,
        Meaning::Kept,
    ),
    key(
        "ha-promote-on-failure",
        "ha-promote-on-failure",
        Values::Text,
        Meaning::Kept,
    ),
    key("shards-per-node", "shards-per-node", COUNT, Meaning::Kept),
    key("routing-key", "routing key", Values::Name, Meaning::Kept),
];

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
            Self::Name => value.as_str().is_some_and(is_name),
            Self::Text => value.as_str().is_some(),
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

fn limit(value: &FieldValue) -> u64 {
    let number = match value.as_str() {
        Some(text) => max_age(text).map(|age| age.as_secs()),
        None => value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok()),
    };
    number.unwrap_or(u64::MAX)
}
