//! The consistent hash exchange (`x-consistent-hash`): equal keys go to one destination, and each gets its share.
//!
//! The highest score wins, and a score depends on the key, the destination's name and its weight only (weighted rendezvous hashing). So a
//! new destination takes its share from all others and no key moves between those; one that goes gives away only its own; and a key's
//! place is the same after a restart and whatever the order of binding.

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::table::FieldTable;

use super::MessageHeaders;
use super::stable_hash::{mix, of_bytes, of_texts, of_value};
use super::targets::Target;
use crate::binding::Binding;
use crate::topology::reply_text::Plain;

const HASH_HEADER: &str = "hash-header";
const HASH_PROPERTY: &str = "hash-property";
/// What LavinMQ calls `hash-header`.
const HASH_ON: &str = "x-hash-on";

/// What of a message is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    RoutingKey,
    Header(Box<str>),
    CorrelationId,
    MessageId,
    Timestamp,
}

impl Source {
    fn of(arguments: &FieldTable) -> Result<Self, String> {
        let header = text(arguments, HASH_HEADER)?.or(text(arguments, HASH_ON)?);
        match (header, text(arguments, HASH_PROPERTY)?) {
            (Some(_), Some(_)) => {
                Err("hash-header and hash-property are mutually exclusive".to_owned())
            }
            (Some(header), None) => Ok(Self::Header(header.into())),
            (None, None) => Ok(Self::RoutingKey),
            (None, Some("correlation_id")) => Ok(Self::CorrelationId),
            (None, Some("message_id")) => Ok(Self::MessageId),
            (None, Some("timestamp")) => Ok(Self::Timestamp),
            (None, Some(other)) => Err(format!("Unsupported property: {other}")),
        }
    }

    /// A message without the header or the property is hashed as if that were empty.
    fn hash(&self, routing_keys: &[&str], headers: &dyn MessageHeaders) -> Result<u64, Exception> {
        let property = match self {
            Self::RoutingKey => return Ok(of_texts(routing_keys.get(..1).unwrap_or_default())),
            Self::Header(name) => {
                let value = headers.table()?.get(name);
                return Ok(value.map_or_else(|| of_bytes(b""), of_value));
            }
            Self::CorrelationId => headers.properties().correlation_id(),
            Self::MessageId => headers.properties().message_id(),
            Self::Timestamp => {
                let timestamp = headers.properties().timestamp();
                let timestamp = timestamp.map_err(super::message_headers::damaged)?;
                let digits = timestamp.map(|seconds| seconds.to_string());
                return Ok(of_bytes(digits.unwrap_or_default().as_bytes()));
            }
        };
        let property = property.map_err(super::message_headers::damaged)?;
        Ok(of_bytes(property.unwrap_or_default().as_bytes()))
    }
}

fn text<'a>(arguments: &'a FieldTable, name: &str) -> Result<Option<&'a str>, String> {
    match arguments.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| {
            let found = value.type_name();
            format!("invalid type '{found}' for arg '{name}': {}", Plain(value))
        }),
    }
}

/// The destinations of a consistent hash exchange. A message whose place is not known yet costs one step per destination.
#[derive(Debug)]
pub(crate) struct ConsistentHash {
    source: Source,
    candidates: Vec<Candidate>,
    /// All have the same weight, which then changes nothing.
    level: bool,
}

#[derive(Debug)]
struct Candidate {
    target: Target,
    seed: u64,
    /// One for each binding, the oldest first: only that one counts.
    weights: Vec<u64>,
}

impl Candidate {
    fn weight(&self) -> u64 {
        self.weights.first().copied().unwrap_or(0)
    }

    /// Grows with the draw. A candidate of weight w has the highest of all scores with a chance of w ÷ the sum of all weights.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the upper 53 bits are kept, and weights are far below that"
    )]
    fn score(&self, draw: u64) -> f64 {
        // In the middle of its step, so that it is neither 0 nor 1.
        let uniform = ((draw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -(self.weight() as f64) / uniform.ln()
    }
}

impl ConsistentHash {
    /// Why an exchange with these arguments is refused.
    pub(crate) fn check(arguments: &FieldTable) -> Result<(), String> {
        Source::of(arguments).map(|_| ())
    }

    /// Why a binding with this key is refused: the key is the destination's weight.
    pub(crate) fn check_key(key: &str) -> Result<(), String> {
        match key.parse::<i64>() {
            Ok(weight) if weight < 1 => Err("The binding key must be greater than 0".to_owned()),
            Ok(_) => Ok(()),
            Err(_) => Err(format!("The binding key must be an integer: <<\"{key}\">>")),
        }
    }

    pub(crate) fn new(arguments: &FieldTable) -> Self {
        Self {
            // They were checked when the exchange was declared.
            source: Source::of(arguments).unwrap_or(Source::RoutingKey),
            candidates: Vec::new(),
            level: true,
        }
    }

    /// What of a message is hashed, in words.
    pub(super) fn hashed(&self) -> String {
        match &self.source {
            Source::RoutingKey => "the routing key".to_owned(),
            Source::Header(name) => format!("header '{name}'"),
            Source::CorrelationId => "the correlation id".to_owned(),
            Source::MessageId => "the message id".to_owned(),
            Source::Timestamp => "the timestamp".to_owned(),
        }
    }

    /// Whether the answer is a function of more than the routing keys.
    pub(crate) fn depends_on_headers(&self) -> bool {
        self.source != Source::RoutingKey
    }

    pub(crate) fn bind(&mut self, binding: &Binding, target: Target) {
        let weight = weight(binding);
        let mut candidates = self.candidates.iter_mut();
        if let Some(candidate) = candidates.find(|held| held.target == target) {
            candidate.weights.push(weight);
        } else {
            let destination = &binding.destination;
            self.candidates.push(Candidate {
                target,
                seed: of_texts(&[destination.kind(), destination.name()]),
                weights: vec![weight],
            });
        }
        self.compare();
    }

    pub(crate) fn unbind(&mut self, binding: &Binding, target: Target) {
        let weight = weight(binding);
        for candidate in &mut self.candidates {
            if candidate.target == target
                && let Some(place) = candidate.weights.iter().position(|held| *held == weight)
            {
                candidate.weights.remove(place);
            }
        }
        self.candidates
            .retain(|candidate| !candidate.weights.is_empty());
        self.compare();
    }

    fn compare(&mut self) {
        let first = self.candidates.first().map(Candidate::weight);
        let mut others = self.candidates.iter();
        self.level = others.all(|candidate| Some(candidate.weight()) == first);
    }

    pub(crate) fn route(
        &self,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        matched: &mut Vec<Target>,
    ) -> Result<(), Exception> {
        let hash = self.source.hash(routing_keys, headers)?;
        let scored = self.candidates.iter().map(|candidate| {
            let draw = mix(hash ^ candidate.seed);
            let score = if self.level {
                0.0
            } else {
                candidate.score(draw)
            };
            // A draw is decided by the name, so that the order of binding makes no difference.
            (score, draw, candidate.seed, candidate.target)
        });
        let best = scored.reduce(|best, other| {
            if (other.0, other.1, other.2) > (best.0, best.1, best.2) {
                other
            } else {
                best
            }
        });
        matched.extend(best.map(|(.., target)| target));
        Ok(())
    }
}

/// One that was stored before its key was looked at counts as 1.
fn weight(binding: &Binding) -> u64 {
    binding.routing_key.parse().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};

    use super::{ConsistentHash, Target};
    use crate::binding::{Binding, Destination};
    use crate::exchange::LazyHeaders;

    fn binding(queue: u32, weight: &str) -> Binding {
        Binding {
            source: ExchangeName::new("x").expect("short"),
            destination: Destination::Queue(QueueName::new(format!("q{queue}")).expect("short")),
            routing_key: RoutingKey::new(weight).expect("short"),
            arguments: FieldTable::new().into(),
        }
    }

    fn bound(weights: &[(u32, &str)]) -> ConsistentHash {
        let mut exchange = ConsistentHash::new(&FieldTable::new());
        for &(queue, weight) in weights {
            exchange.bind(&binding(queue, weight), Target::Queue(queue));
        }
        exchange
    }

    fn place(exchange: &ConsistentHash, key: &str) -> Target {
        let mut matched = Vec::new();
        exchange
            .route(&[key], &FieldTable::new(), &mut matched)
            .expect("no headers are damaged");
        assert_eq!(matched.len(), 1);
        matched[0]
    }

    fn places(exchange: &ConsistentHash) -> Vec<Target> {
        let keys = (0..10_000).map(|key| key.to_string());
        keys.map(|key| place(exchange, &key)).collect()
    }

    #[test]
    fn shares_are_those_of_the_weights() {
        let exchange = bound(&[(1, "1"), (2, "2"), (3, "7")]);
        let mut shares: BTreeMap<u32, i32> = BTreeMap::new();
        for place in places(&exchange) {
            let Target::Queue(queue) = place else {
                panic!("all are queues");
            };
            *shares.entry(queue).or_default() += 1;
        }
        for (queue, expected) in [(1, 1000), (2, 2000), (3, 7000)] {
            let share = shares[&queue];
            assert!((share - expected).abs() < 200, "queue {queue} got {share}");
        }
    }

    #[test]
    fn keys_move_only_to_who_comes_and_from_who_goes() {
        for (weights, newcomer) in [
            (vec![(1, "1"), (2, "1"), (3, "1")], (4, "1")),
            (vec![(1, "1"), (2, "5"), (3, "2")], (4, "3")),
        ] {
            let mut exchange = bound(&weights);
            let before = places(&exchange);
            exchange.bind(&binding(newcomer.0, newcomer.1), Target::Queue(newcomer.0));
            let with = places(&exchange);
            let moved = before
                .iter()
                .zip(&with)
                .filter(|(before, with)| before != with);
            let moved: Vec<_> = moved.collect();
            assert!(
                moved
                    .iter()
                    .all(|(_, with)| **with == Target::Queue(newcomer.0))
            );
            assert!(!moved.is_empty());
            exchange.unbind(&binding(newcomer.0, newcomer.1), Target::Queue(newcomer.0));
            assert_eq!(places(&exchange), before);
        }
    }

    #[test]
    fn the_order_of_binding_makes_no_difference() {
        let (one, other) = (
            bound(&[(1, "1"), (2, "5"), (3, "2")]),
            bound(&[(3, "2"), (2, "5"), (1, "1")]),
        );
        assert_eq!(places(&one), places(&other));
    }

    #[test]
    fn the_first_binding_of_a_destination_counts() {
        let mut exchange = bound(&[(1, "1"), (2, "1")]);
        let before = places(&exchange);
        exchange.bind(&binding(1, "100"), Target::Queue(1));
        assert_eq!(places(&exchange), before);
        exchange.unbind(&binding(1, "1"), Target::Queue(1));
        assert_ne!(places(&exchange), before);
        exchange.unbind(&binding(1, "100"), Target::Queue(1));
        assert!(
            places(&exchange)
                .iter()
                .all(|place| *place == Target::Queue(2))
        );
    }

    fn arguments(name: &str, value: impl Into<FieldValue>) -> FieldTable {
        let name = ShortString::new(name).expect("short");
        [(name, value.into())].into_iter().collect()
    }

    #[test]
    fn a_header_or_a_property_is_hashed_instead_of_the_key() {
        let hashed = |exchange: &ConsistentHash, properties: BasicProperties| {
            let bytes = properties.to_bytes();
            let headers = LazyHeaders::new(RawProperties::new(&bytes).expect("whole"));
            exchange.source.hash(&["k"], &headers).expect("whole")
        };
        let header = |value: &str| BasicProperties {
            headers: Some(arguments("h", value)),
            ..BasicProperties::default()
        };
        for name in ["hash-header", "x-hash-on"] {
            let exchange = ConsistentHash::new(&arguments(name, "h"));
            assert!(exchange.depends_on_headers());
            assert_eq!(
                hashed(&exchange, header("a")),
                hashed(&exchange, header("a"))
            );
            assert_ne!(
                hashed(&exchange, header("a")),
                hashed(&exchange, header("b"))
            );
            let none = hashed(&exchange, BasicProperties::default());
            assert_eq!(none, hashed(&exchange, header("")));
        }
        let text = |text: &str| Some(ShortString::new(text).expect("short"));
        let properties = BasicProperties {
            correlation_id: text("1"),
            message_id: text("2"),
            timestamp: Some(3),
            ..BasicProperties::default()
        };
        for (property, as_header) in [
            ("correlation_id", "1"),
            ("message_id", "2"),
            ("timestamp", "3"),
        ] {
            let exchange = ConsistentHash::new(&arguments("hash-property", property));
            let by_header = ConsistentHash::new(&arguments("hash-header", "h"));
            assert_eq!(
                hashed(&exchange, properties.clone()),
                hashed(&by_header, header(as_header)),
                "{property}"
            );
        }
    }
}
