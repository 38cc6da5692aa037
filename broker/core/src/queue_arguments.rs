//! The arguments of `queue.declare`.

mod reader;

use std::time::Duration;

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};

pub(crate) use self::reader::{EXPIRY_MS_MAX, STREAM_SEGMENT_BYTES_MAX, max_age};
use self::reader::{Invalid, Reader};
use crate::deduplication::Deduplication;
use crate::topology::reply_text::{Plain, inequivalent};

const DELIVERY_LIMIT_DEFAULT: u64 = 20;

/// The argument that says of which type a queue is.
pub const QUEUE_TYPE: &str = "x-queue-type";
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";

/// `x-queue-type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QueueType {
    /// `classic`
    #[default]
    Classic,
    /// `quorum`
    Quorum,
    /// `stream`
    Stream,
}

/// `x-overflow`: what happens to a message that exceeds the queue's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// `drop-head`: the oldest ready message goes, by way of the dead letter exchange.
    #[default]
    DropHead,
    /// `reject-publish`: the new message is refused.
    RejectPublish,
    /// `reject-publish-dlx`: the new message is refused and dead-lettered.
    RejectPublishDlx,
}

impl Overflow {
    /// What it comes to in a queue of this type. As in RabbitMQ, a quorum queue does not bury what it refuses, and lets the oldest go
    /// instead.
    fn of(self, queue_type: QueueType) -> Self {
        match (self, queue_type) {
            (Self::RejectPublishDlx, QueueType::Quorum) => Self::DropHead,
            _ => self,
        }
    }
}

/// `x-dead-letter-strategy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeadLetterStrategy {
    /// `at-most-once`
    #[default]
    AtMostOnce,
    /// `at-least-once`
    AtLeastOnce,
}

/// `x-delayed-retry-type`: which returned messages wait before they are delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DelayedRetryType {
    /// `all`
    All,
    /// `failed`: rejected, or lost with its consumer.
    Failed,
    /// `returned`: by `basic.nack`.
    Returned,
}

/// How long a returned message waits: `min` times its number of deliveries, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DelayedRetry {
    /// Which messages wait.
    pub retry_type: DelayedRetryType,
    /// The first delay.
    pub min: Duration,
    /// The longest delay.
    pub max: Duration,
}

/// `x-retry-…`: a message that its consumer fails comes back after a while, so many times, and is dead-lettered then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// `x-retry-max-attempts`: deliveries of a message, the first included. None is no limit.
    pub max_attempts: Option<u32>,
    /// `x-retry-delay`: how long the first retry waits.
    pub delay: Duration,
    /// `x-retry-factor`: each retry waits so many times as long as the one before.
    pub factor: f64,
    /// `x-retry-jitter`: the part of a delay, from 0 to 1, by which it may be longer or shorter.
    pub jitter: f64,
    /// `x-retry-max-delay`: no retry waits longer, but for the jitter.
    pub max_delay: Duration,
    /// `x-retry-on`: what counts as a failure.
    pub on: RetryOn,
}

// Parsed factors are finite.
impl Eq for Retry {}

/// `x-retry-on`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// `requeue`: the client asks for the message again, or is lost while it holds it. A message that it rejects without
    /// asking for it again is dead-lettered at once.
    #[default]
    Requeue,
    /// `all`: a message that is rejected without requeue is retried, too.
    All,
}

/// What a queue's arguments mean. Absent ones have their defaults; unknown ones have no meaning and are kept only in the
/// table that they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueArguments {
    /// `x-queue-type`
    pub queue_type: QueueType,
    /// `x-expires`: how long the queue outlives its last use.
    pub expires: Option<Duration>,
    /// `x-message-ttl`; zero means to expire unless delivered at once.
    pub message_ttl: Option<Duration>,
    /// `x-dead-letter-exchange`; may be the default exchange.
    pub dead_letter_exchange: Option<ExchangeName>,
    /// `x-dead-letter-routing-key`, in place of the message's own keys.
    pub dead_letter_routing_key: Option<RoutingKey>,
    /// `x-dead-letter-strategy`
    pub dead_letter_strategy: DeadLetterStrategy,
    /// `x-max-length`, in ready messages.
    pub max_length: Option<u64>,
    /// `x-max-length-bytes`, in bytes of ready messages' bodies.
    pub max_length_bytes: Option<u64>,
    /// `x-overflow`
    pub overflow: Overflow,
    /// `x-max-priority`
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`
    pub single_active_consumer: bool,
    /// `x-delivery-limit`: how many failed deliveries a message survives. 20 for a quorum queue that says nothing.
    pub delivery_limit: Option<u64>,
    /// `x-consumer-timeout`: how long a consumer may hold a message.
    pub consumer_timeout: Option<Duration>,
    /// `x-delayed-retry-type`, `-min` and `-max`, if the first two make sense.
    pub delayed_retry: Option<DelayedRetry>,
    /// `x-retry-max-attempts` and its like, if there is that one or `x-retry-delay`.
    pub retry: Option<Retry>,
    /// `x-max-age` of a stream's messages.
    pub max_age: Option<Duration>,
    /// `x-stream-max-segment-size-bytes`
    pub stream_max_segment_bytes: Option<u64>,
    /// `x-message-deduplication` and what belongs to it.
    pub deduplication: Option<Deduplication>,
}

impl QueueArguments {
    /// Parses the arguments of a queue that is declared. Some are refused that earlier versions took, and that [`QueueArguments::parse`]
    /// takes, too.
    ///
    /// # Errors
    /// As there.
    pub fn declared(arguments: &FieldTable, of: &str) -> Result<Self, ChannelException> {
        let parsed = Self::parse(arguments, of)?;
        let from = Reader(arguments);
        from.check_declared().map_err(|invalid| invalid.told(of))?;
        Ok(parsed)
    }

    /// Parses the arguments of a queue; `of` is how texts name it: `queue 'q' in vhost '/'`.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED` for a value of the wrong type or range, and for an argument that only another type of queue has.
    pub fn parse(arguments: &FieldTable, of: &str) -> Result<Self, ChannelException> {
        if let Some(other) = arguments.get(DEAD_LETTER_EXCHANGE)
            && !matches!(other, FieldValue::LongString(_))
        {
            let text = format!(
                "invalid type '{}' for arg '{DEAD_LETTER_EXCHANGE}' in {of}",
                other.type_name()
            );
            return Err(ChannelException::precondition_failed(text));
        }
        let deduplication = Deduplication::parse(arguments, of)?;
        let from = Reader(arguments);
        let parsed = from.queue_type().and_then(|queue_type| {
            queue_type.check_names(arguments)?;
            Self::read(&from, queue_type)
        });
        let parsed = parsed.map_err(|invalid| invalid.told(of))?;
        from.check_sizes()?;
        Ok(Self {
            deduplication,
            ..parsed
        })
    }

    /// Whether dead letters that cannot be published stay in the queue. As in RabbitMQ, that is so only in a queue that
    /// refuses messages when it is full: another would lose them for want of space.
    pub fn keeps_dead_letters(&self) -> bool {
        self.dead_letter_strategy == DeadLetterStrategy::AtLeastOnce
            && self.overflow == Overflow::RejectPublish
    }

    fn read(from: &Reader<'_>, queue_type: QueueType) -> Result<Self, Invalid> {
        let delivery_limit = from
            .0
            .get("x-delivery-limit")
            .and_then(FieldValue::as_integer);
        let parsed = Self {
            queue_type,
            deduplication: None,
            expires: from.expiry("x-expires", 1)?,
            message_ttl: from.expiry("x-message-ttl", 0)?,
            dead_letter_exchange: from
                .name(DEAD_LETTER_EXCHANGE, |name| ExchangeName::new(name).ok())?,
            dead_letter_routing_key: from.dead_letter_routing_key()?,
            dead_letter_strategy: from.choice(
                "x-dead-letter-strategy",
                "invalid_dlx_strategy",
                |text| match text {
                    "at-most-once" => Some(DeadLetterStrategy::AtMostOnce),
                    "at-least-once" => Some(DeadLetterStrategy::AtLeastOnce),
                    _ => None,
                },
            )?,
            max_length: from.count("x-max-length")?,
            max_length_bytes: from.count("x-max-length-bytes")?,
            max_priority: from.max_priority()?,
            overflow: from
                .choice("x-overflow", "invalid_overflow", |text| match text {
                    "drop-head" => Some(Overflow::DropHead),
                    "reject-publish" => Some(Overflow::RejectPublish),
                    "reject-publish-dlx" => Some(Overflow::RejectPublishDlx),
                    _ => None,
                })?
                .of(queue_type),
            single_active_consumer: from.flag("x-single-active-consumer")?,
            delivery_limit: match (delivery_limit, queue_type) {
                (Some(limit), _) => u64::try_from(limit).ok(),
                (None, QueueType::Quorum) => Some(DELIVERY_LIMIT_DEFAULT),
                (None, _) => None,
            },
            consumer_timeout: from.count("x-consumer-timeout")?.map(Duration::from_millis),
            delayed_retry: from.delayed_retry(),
            retry: from.retry()?,
            max_age: from.max_age()?,
            stream_max_segment_bytes: from.count("x-stream-max-segment-size-bytes")?,
        };
        from.check_the_rest(queue_type)?;
        Ok(parsed)
    }
}

impl QueueType {
    /// The arguments that a redeclaration must repeat with the same value. The type itself is compared by
    /// [`QueueType::check_same`].
    pub(crate) fn compared_arguments(self) -> impl Iterator<Item = &'static str> {
        let common: &[&str] = match self {
            Self::Classic | Self::Quorum => &COMMON,
            Self::Stream => &[],
        };
        let own: &[&str] = match self {
            Self::Classic => &CLASSIC,
            Self::Quorum => &QUORUM,
            Self::Stream => &STREAM,
        };
        common.iter().chain(own).copied()
    }

    /// Refuses a redeclaration with another type. To say nothing is to say `classic`.
    pub(crate) fn check_same(
        of: &str,
        current: &FieldTable,
        received: &FieldTable,
    ) -> Result<(), ChannelException> {
        let classic = FieldValue::from("classic");
        let current = current.get(QUEUE_TYPE).unwrap_or(&classic);
        let received = received.get(QUEUE_TYPE).unwrap_or(&classic);
        if current == received {
            return Ok(());
        }
        let quoted = |value| format!("'{}'", Plain(value));
        Err(inequivalent(
            of,
            QUEUE_TYPE,
            &quoted(received),
            &quoted(current),
        ))
    }

    /// Whether queues of this type have the argument.
    pub(crate) fn has_argument(self, name: &str) -> bool {
        self.compared_arguments().any(|own| own == name)
    }

    /// Whether a policy with this key may be for queues of this type: one that only other types have, as an argument, keeps the whole
    /// policy away.
    pub(crate) fn allows_policy_key(self, key: &str) -> bool {
        let is_it = |argument: &str| argument.strip_prefix("x-") == Some(key);
        let types = [Self::Classic, Self::Quorum, Self::Stream];
        self.compared_arguments().any(is_it)
            || !types
                .into_iter()
                .any(|other| other.compared_arguments().any(is_it))
    }

    /// Refuses an argument that only other types have.
    fn check_names(self, arguments: &FieldTable) -> Result<(), Invalid> {
        let others = [Self::Classic, Self::Quorum, Self::Stream];
        for (name, _) in arguments {
            let known = others
                .into_iter()
                .any(|other| other.compared_arguments().any(|known| name == known));
            if known && !self.compared_arguments().any(|own| name == own) {
                let reason = format!(" of queue type {}", self.module());
                return Err(Invalid {
                    argument: name.to_string(),
                    reason,
                });
            }
        }
        Ok(())
    }

    /// As `x-queue-type` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// What RabbitMQ's texts and events call it.
    pub fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }
}

/// What both classic and quorum queues have. Retries are ours, and that classic queues have a delivery limit and a consumer
/// timeout.
const COMMON: [&str; 17] = [
    "x-expires",
    "x-message-ttl",
    DEAD_LETTER_EXCHANGE,
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-leader-locator",
    "x-delivery-limit",
    "x-consumer-timeout",
    "x-retry-max-attempts",
    "x-retry-delay",
    "x-retry-factor",
    "x-retry-jitter",
    "x-retry-max-delay",
    "x-retry-on",
];
const CLASSIC: [&str; 4] = [
    "x-max-priority",
    "x-queue-mode",
    "x-queue-version",
    "x-queue-master-locator",
];
const QUORUM: [&str; 10] = [
    "x-dead-letter-strategy",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-quorum-initial-group-size",
    "x-quorum-target-group-size",
    "x-member-placement-tag",
    "x-consumer-disconnected-timeout",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
];
const STREAM: [&str; 6] = [
    "x-max-length-bytes",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
    "x-initial-cluster-size",
    "x-queue-leader-locator",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::{ExchangeName, RoutingKey, ShortString};

    use super::{
        DeadLetterStrategy, DelayedRetry, DelayedRetryType, Overflow, QueueArguments, QueueType,
    };

    fn parse<const N: usize>(arguments: [(&str, FieldValue); N]) -> QueueArguments {
        let arguments: FieldTable = arguments
            .map(|(name, value)| (ShortString::cut(name), value))
            .into_iter()
            .collect();
        QueueArguments::parse(&arguments, "queue 'q' in vhost '/'").expect("legal")
    }

    #[test]
    fn what_earlier_versions_took_is_read_and_not_declared() {
        for (name, value) in [
            ("x-queue-type", FieldValue::from("")),
            ("x-queue-type", "undefined".into()),
            ("x-queue-mode", "fast".into()),
            ("x-queue-mode", 7.into()),
        ] {
            let arguments: FieldTable = [(ShortString::cut(name), value)].into_iter().collect();
            let parsed = QueueArguments::parse(&arguments, "queue 'q' in vhost '/'");
            assert_eq!(parsed.expect("readable").queue_type, QueueType::Classic);
            let declared = QueueArguments::declared(&arguments, "queue 'q' in vhost '/'");
            let refusal = declared.expect_err("refused").to_string();
            assert!(
                refusal.contains(&format!("invalid arg '{name}' for queue 'q' in vhost '/'")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_classic_queue() {
        let parsed = parse([
            ("x-expires", 1000.into()),
            ("x-message-ttl", FieldValue::I64(0)),
            ("x-dead-letter-exchange", "".into()),
            ("x-dead-letter-routing-key", "dead".into()),
            ("x-max-length", FieldValue::U8(3)),
            ("x-max-length-bytes", 1_000_000.into()),
            ("x-overflow", "reject-publish-dlx".into()),
            ("x-max-priority", 255.into()),
            ("x-single-active-consumer", true.into()),
            ("x-consumer-timeout", 60_000.into()),
            ("x-queue-mode", "lazy".into()),
            ("anything", FieldValue::Void),
        ]);
        let expected = QueueArguments {
            expires: Some(Duration::from_secs(1)),
            message_ttl: Some(Duration::ZERO),
            dead_letter_exchange: Some(ExchangeName::default()),
            dead_letter_routing_key: Some(RoutingKey::new("dead").expect("short")),
            max_length: Some(3),
            max_length_bytes: Some(1_000_000),
            overflow: Overflow::RejectPublishDlx,
            max_priority: Some(255),
            single_active_consumer: true,
            consumer_timeout: Some(Duration::from_mins(1)),
            ..QueueArguments::default()
        };
        assert_eq!(parsed, expected);
        assert_eq!(parse([]), QueueArguments::default());
    }

    #[test]
    fn a_quorum_queue() {
        let parsed = parse([
            ("x-queue-type", "quorum".into()),
            ("x-dead-letter-strategy", "at-least-once".into()),
            ("x-delayed-retry-type", "failed".into()),
            ("x-delayed-retry-min", 1_000.into()),
        ]);
        let second = Duration::from_secs(1);
        let expected = QueueArguments {
            queue_type: QueueType::Quorum,
            dead_letter_strategy: DeadLetterStrategy::AtLeastOnce,
            delivery_limit: Some(20),
            delayed_retry: Some(DelayedRetry {
                retry_type: DelayedRetryType::Failed,
                min: second,
                max: second,
            }),
            ..QueueArguments::default()
        };
        assert_eq!(parsed, expected);
        let limit = |limit: i32| {
            parse([
                ("x-queue-type", "quorum".into()),
                ("x-delivery-limit", limit.into()),
            ])
        };
        assert_eq!(
            (limit(3).delivery_limit, limit(-1).delivery_limit),
            (Some(3), None)
        );
    }

    #[test]
    fn a_stream() {
        let parsed = parse([
            ("x-queue-type", "stream".into()),
            ("x-max-age", "7D".into()),
            ("x-max-length-bytes", FieldValue::I64(1 << 40)),
            ("x-stream-max-segment-size-bytes", 500_000_000.into()),
        ]);
        let expected = QueueArguments {
            queue_type: QueueType::Stream,
            max_age: Some(Duration::from_hours(7 * 24)),
            max_length_bytes: Some(1 << 40),
            stream_max_segment_bytes: Some(500_000_000),
            ..QueueArguments::default()
        };
        assert_eq!(parsed, expected);
    }
}
