//! All keys that a policy may have.

use super::key::{Key, Meaning, Values, key};
use crate::queue_arguments::{EXPIRY_MS_MAX, STREAM_SEGMENT_BYTES_MAX};

const COUNT: Values = Values::Count(0, u64::MAX);
const MILLIS: Values = Values::Count(0, EXPIRY_MS_MAX);

/// A key is the argument of queues that has `x-` before it, if there is such an argument: whoever adds an argument adds a line here.
pub(super) const KEYS: &[Key] = &[
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
    key(
        "delayed-exchange",
        "delayed exchange value",
        Values::Flag,
        Meaning::Default,
    ),
    // As LavinMQ calls it.
    key(
        "delayed-message",
        "delayed message value",
        Values::Flag,
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
        Meaning::Timeout,
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
    key(
        "retry-max-attempts",
        "number of attempts",
        Values::Count(1, 4_294_967_295),
        Meaning::Default,
    ),
    key("retry-delay", "retry delay", MILLIS, Meaning::Default),
    key(
        "retry-factor",
        "retry factor",
        Values::Number(1.0, 65_535.0),
        Meaning::Default,
    ),
    key(
        "retry-jitter",
        "retry jitter",
        Values::Number(0.0, 1.0),
        Meaning::Default,
    ),
    key(
        "retry-max-delay",
        "longest retry delay",
        MILLIS,
        Meaning::Default,
    ),
    key(
        "retry-on",
        "reason for a retry",
        Values::OneOf(&["requeue", "all"]),
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
