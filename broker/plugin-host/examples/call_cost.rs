//! What a plugin costs per message.
//!
//! ```text
//! cargo run --release -p amphora-plugin-host --example call_cost -- COMPONENT [BINDINGS]
//! ```
//! The component is a type of exchange. It gets as many bindings as there are said to be (100), with the keys `a.0`, `a.1` and so on, and messages with
//! those keys. Times are those of the thread, so that a busy machine does not matter much.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::binding::{Binding, Destination};
use amphora_core::definition::ExchangeDefinition;
use amphora_core::exchange::ExchangeType;
use amphora_core::hook::{ExchangeHook, Hooks, Origin, PackedBatch};
use amphora_plugin_host::{Grant, Host, HostSettings, PluginSpec, Standalone};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString, VhostName};
use rustix::time::{ClockId, clock_gettime};

const TYPE: &str = "x-measured";

/// How often each size is measured; the median counts.
const SAMPLES: usize = 11;

/// Messages in one sample.
const MESSAGES: usize = 65_536;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("which component?")?);
    let bindings = arguments.next().map_or(Ok(100), |count| count.parse())?;
    let host = Host::new(HostSettings::default(), Arc::<Standalone>::default())?;
    let mut spec = PluginSpec::new("measured");
    spec.exchange_type = Some(TYPE.to_owned());
    spec.grants = Grant::ALL.into();
    // What is measured is the work, not what a busy machine does to it.
    spec.deadline = Duration::from_secs(1);
    host.load(spec, &std::fs::read(path)?)?;
    let exchange = exchange(&host, bindings)?;
    println!("messages in a batch   ns per message");
    for size in [1, 8, 64, 256] {
        println!("{size:>19}   {:>14}", median(&*exchange, bindings, size)?);
    }
    Ok(())
}

fn exchange(
    host: &Host,
    bindings: u32,
) -> Result<Arc<dyn ExchangeHook>, Box<dyn std::error::Error>> {
    let definition = ExchangeDefinition {
        name: ExchangeName::new("measured")?,
        exchange_type: ExchangeType::from_name(TYPE).ok_or("a plugin's type")?,
        durable: false,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::new(),
        declared_by: Box::default(),
    };
    let exchange = host.exchange(TYPE, &VhostName::new("/")?, &definition);
    for id in 0..bindings {
        let binding = Binding {
            source: ExchangeName::new("measured")?,
            destination: Destination::Queue(QueueName::new(format!("q{id}"))?),
            routing_key: RoutingKey::new(key(id))?,
            arguments: FieldTable::new().into(),
        };
        exchange.bind(id, &Arc::new(binding));
    }
    Ok(exchange)
}

fn key(number: u32) -> String {
    format!("a.{number}")
}

/// Nanoseconds of this thread for a message, packing and checking included.
fn median(
    exchange: &dyn ExchangeHook,
    bindings: u32,
    size: usize,
) -> Result<u128, Box<dyn std::error::Error>> {
    let headers = [("kind", "order"), ("region", "eu")].map(|(name, value)| {
        Ok::<_, Box<dyn std::error::Error>>((ShortString::new(name)?, value.into()))
    });
    let headers: FieldTable = headers.into_iter().collect::<Result<_, _>>()?;
    let properties = BasicProperties {
        headers: Some(headers),
        ..BasicProperties::default()
    };
    let properties = properties.to_bytes();
    let keys: Vec<String> = (0..bindings.max(1)).map(key).collect();
    let needs = exchange.needs()?;
    let (mut batch, mut answer) = (PackedBatch::default(), Vec::new());
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let begun = thread_time();
        for first in (0..MESSAGES).step_by(size) {
            batch.clear();
            answer.clear();
            for routing_key in keys.iter().cycle().skip(first % keys.len()).take(size) {
                let message = Origin {
                    vhost: "/",
                    exchange: "measured",
                    routing_key,
                    properties: &properties,
                    body: b"sixteen bytes...",
                    ..Origin::default()
                };
                batch.push(&needs, &message)?;
            }
            exchange.route(&batch, &mut answer)?;
        }
        let time = thread_time().saturating_sub(begun);
        samples.push(time.as_nanos() / MESSAGES as u128);
    }
    samples.sort_unstable();
    Ok(samples[SAMPLES / 2])
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
