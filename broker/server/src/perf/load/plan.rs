//! Who publishes what to whom: names, keys and the spread of connections over queues.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};

use super::options::{Options, Routing};
use crate::perf::measure::ledger::Word;

/// Names and assignments of a run; the names are unique, so that runs do not disturb each other.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Empty for the default exchange.
    pub(crate) exchange: String,
    pub(crate) queues: Vec<String>,
    /// Bound to the bindings that do not match; exists only if there are any.
    pub(crate) other_queue: String,
    /// All of the same length. Key `k` belongs to queue `k % queues`, unless it is a fanout.
    pub(crate) keys: Vec<String>,
    /// Keys of each producer, in the order in which it rotates through them.
    pub(crate) producers: Vec<ProducerPlan>,
    /// Queues of each consumer.
    pub(crate) consumers: Vec<Vec<u32>>,
    /// How often every message arrives: in each queue of a fanout, at each consumer of a stream.
    pub(crate) copies: u32,
    /// How many queues every message reaches.
    pub(crate) stored: u32,
}

/// What a producer publishes to; its streams are numbered from `first_stream` in the order of its keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProducerPlan {
    pub(crate) keys: Vec<usize>,
    pub(crate) first_stream: u32,
}

impl Plan {
    /// Makes the plan for `options`.
    ///
    /// # Errors
    /// If there were too many combinations of producers and keys.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let run = format!("perf.{:08x}", unique());
        let queues: Vec<String> = (0..options.queues)
            .map(|queue| format!("{run}.{queue:05}"))
            .collect();
        let keys = match options.routing() {
            Routing::Default => queues.clone(),
            Routing::Fanout => keys(options.routing_keys.max(1)),
            _ => keys(options.routing_keys.max(options.queues)),
        };
        let producers = producers(options, keys.len());
        let streams: usize = producers.iter().map(|producer| producer.keys.len()).sum();
        ensure!(
            streams <= Word::STREAMS_MAX,
            "{streams} combinations of producer and routing key are too many: {} at most",
            Word::STREAMS_MAX
        );
        let stored = if options.routing() == Routing::Fanout {
            u32::try_from(queues.len())?
        } else {
            1
        };
        Ok(Self {
            exchange: if options.routing() == Routing::Default {
                String::new()
            } else {
                run.clone()
            },
            other_queue: format!("{run}.other"),
            keys,
            producers,
            consumers: consumers(options),
            copies: if options.stream {
                u32::try_from(options.consumers)?
            } else {
                stored
            },
            stored,
            queues,
        })
    }

    /// How many messages of each stream were published, given the producers' totals.
    pub(crate) fn published_by_stream(&self, totals: &[u64]) -> Vec<u64> {
        let mut streams = Vec::new();
        for (producer, total) in self.producers.iter().zip(totals) {
            let keys = producer.keys.len() as u64;
            streams.extend((0..keys).map(|key| (total + keys - 1 - key) / keys));
        }
        streams
    }

    /// The name of a key that no queue of the plan is bound with, of the same form as the others.
    pub(crate) fn other_key(number: usize) -> String {
        format!("w.{number:05}")
    }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|key| format!("k.{key:05}")).collect()
}

fn producers(options: &Options, keys: usize) -> Vec<ProducerPlan> {
    let (count, queues) = (options.producers, options.queues);
    let own_queue = count >= queues && options.routing() != Routing::Fanout;
    let mut first_stream = 0;
    let plan = |producer: usize| {
        let keys: Vec<usize> = if own_queue {
            (producer % queues..keys).step_by(queues).collect()
        } else {
            // Each begins elsewhere, so that they do not go through the queues in step.
            let start = producer * keys / count;
            (start..keys).chain(0..start).collect()
        };
        let plan = ProducerPlan { keys, first_stream };
        first_stream =
            first_stream.saturating_add(u32::try_from(plan.keys.len()).unwrap_or(u32::MAX));
        plan
    };
    (0..count).map(plan).collect()
}

fn consumers(options: &Options) -> Vec<Vec<u32>> {
    let (count, queues) = (options.consumers, options.queues);
    let spread = |consumer: usize| {
        let own: Vec<usize> = if count >= queues {
            vec![consumer % queues]
        } else {
            (consumer..queues).step_by(count).collect()
        };
        own.into_iter()
            .filter_map(|queue| u32::try_from(queue).ok())
            .collect()
    };
    (0..count).map(spread).collect()
}

/// Differs between runs at the same time (process) and one after the other (time).
fn unique() -> u32 {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    let mixed = (time ^ u128::from(std::process::id()) << 20).to_le_bytes();
    u32::from_le_bytes([mixed[0], mixed[1], mixed[2], mixed[3]])
}

#[cfg(test)]
mod tests {
    use super::super::options::tests::options;
    use super::*;

    fn plan(line: &str) -> Plan {
        Plan::new(&options(line).unwrap()).unwrap()
    }

    fn keys_of(plan: &Plan) -> Vec<&[usize]> {
        plan.producers
            .iter()
            .map(|producer| producer.keys.as_slice())
            .collect()
    }

    #[test]
    fn pairs_stay_apart() {
        let plan = plan("-x 2 -y 2 --queues 2 --routing-keys 4");
        assert_eq!(keys_of(&plan), [[0, 2], [1, 3]]);
        assert_eq!(plan.consumers, [[0], [1]]);
        assert_eq!(plan.producers[1].first_stream, 2);
    }

    #[test]
    fn few_connections_go_around_many_queues() {
        let plan = plan("-x 2 -y 2 --queues 4");
        assert_eq!(keys_of(&plan), [[0, 1, 2, 3], [2, 3, 0, 1]]);
        assert_eq!(plan.consumers, [[0, 2], [1, 3]]);
        assert_eq!(plan.published_by_stream(&[5, 3]), [2, 1, 1, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn a_fanout_copies_and_the_default_exchange_has_no_name() {
        assert_eq!(plan("--fanout 3").copies, 3);
        let stream = plan("--stream -y 3 --ack-every 1 --prefetch 1");
        assert_eq!((stream.copies, stream.stored), (3, 1));
        let default = plan("-t default --queues 2");
        assert_eq!(
            (default.exchange.as_str(), &default.keys),
            ("", &default.queues)
        );
        assert_ne!(plan("").exchange, plan("").exchange);
    }
}
