//! What it costs to route one message, by exchange type and number of bindings:
//! `cargo run -p amphora-core --profile quick --example route_cost`.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use amphora_core::binding::{Binding, Destination};
use amphora_core::definition::QueueDefinition;
use amphora_core::hook::NoHooks;
use amphora_core::queue_arguments::QueueArguments;
use amphora_core::route::Routed;
use amphora_core::store::QueueId;
use amphora_core::topology::{ConnectionId, QueueDeclaration, Topology};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString, VhostName};

/// What is bound and what is published. Every binding has its own key, made from its number.
struct Case {
    title: &'static str,
    exchange: &'static str,
    binding_key: fn(u32) -> String,
    routing_key: &'static str,
}

const CASES: [Case; 9] = [
    Case {
        title: "direct",
        exchange: "amq.direct",
        binding_key: |number| format!("stock.{number}.price"),
        routing_key: "stock.0.price",
    },
    Case {
        title: "topic, one word",
        exchange: "amq.topic",
        binding_key: |number| format!("w{number}"),
        routing_key: "w0",
    },
    Case {
        title: "topic, three words, no wildcard",
        exchange: "amq.topic",
        binding_key: |number| format!("stock.s{number}.price"),
        routing_key: "stock.s0.price",
    },
    Case {
        title: "topic, `*` in the middle",
        exchange: "amq.topic",
        binding_key: |number| format!("w{number}.*.price"),
        routing_key: "w0.acme.price",
    },
    Case {
        title: "topic, `#` at the end",
        exchange: "amq.topic",
        binding_key: |number| format!("w{number}.#"),
        routing_key: "w0.acme.price",
    },
    Case {
        title: "topic, `#` at both ends",
        exchange: "amq.topic",
        binding_key: |number| format!("#.w{number}.#"),
        routing_key: "stock.w0.price",
    },
    Case {
        title: "topic, nothing matches",
        exchange: "amq.topic",
        binding_key: |number| format!("stock.s{number}.price"),
        routing_key: "stock.acme.price",
    },
    Case {
        title: "headers, one value each",
        exchange: "amq.headers",
        binding_key: |number| number.to_string(),
        routing_key: "",
    },
    Case {
        title: "fanout, to one queue",
        exchange: "amq.fanout",
        binding_key: |number| number.to_string(),
        routing_key: "",
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("nanoseconds per message, by number of bindings");
    println!("{:34} {:>8} {:>8} {:>8}", "", 1, 100, 10_000);
    let headers: FieldTable = [(ShortString::new("id")?, 7.into())].into_iter().collect();
    for Case {
        title,
        exchange,
        binding_key,
        routing_key,
    } in CASES
    {
        print!("{title:34}");
        for bindings in [1, 100, 10_000] {
            let topology = topology(exchange, bindings, binding_key)?;
            let mut routed = Routed::default();
            let ns = nanoseconds(|| {
                topology
                    .route(
                        black_box(exchange),
                        &[black_box(routing_key)],
                        &headers,
                        &mut routed,
                    )
                    .is_ok()
            });
            print!(" {ns:>8.1}");
        }
        println!();
    }
    Ok(())
}

/// One queue with so many bindings. A key that is a number is also the value of the argument `id`.
fn topology(
    exchange: &str,
    bindings: u32,
    key: fn(u32) -> String,
) -> Result<Topology<Arc<u32>>, Box<dyn Error>> {
    let nobody = ConnectionId::NONE;
    let mut topology = Topology::new(VhostName::new("/")?, Arc::new(NoHooks));
    let declaration = QueueDeclaration {
        name: QueueName::new("q")?,
        server_named: false,
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        arguments: FieldTable::new(),
        by: Box::default(),
    };
    let queue = QueueDefinition::new(QueueId(1), declaration, QueueArguments::default(), nobody);
    let _changes = topology.insert_queue(Arc::new(queue), Arc::new(1));
    for number in 0..bindings {
        let arguments: FieldTable = match key(number).parse::<i32>() {
            Ok(id) => [(ShortString::new("id")?, id.into())].into_iter().collect(),
            Err(_) => FieldTable::new(),
        };
        let binding = Binding {
            source: ExchangeName::new(exchange)?,
            destination: Destination::Queue(QueueName::new("q")?),
            routing_key: RoutingKey::new(key(number))?,
            arguments: arguments.into(),
        };
        let _changes = topology.bind(binding, nobody)?;
    }
    Ok(topology)
}

/// The shortest of several rounds, per call.
fn nanoseconds(mut call: impl FnMut() -> bool) -> f64 {
    const CALLS: u32 = 50_000;
    let rounds = (0..9).map(|_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            assert!(black_box(call()), "routing failed");
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    });
    rounds.fold(f64::INFINITY, f64::min)
}
