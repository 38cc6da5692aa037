//! From an exchange to queues.

use std::sync::Arc;

use amphora_core::binding::{Binding, Destination};
use amphora_core::definition::QueueDefinition;
use amphora_core::exchange::LazyHeaders;
use amphora_core::hook::NoHooks;
use amphora_core::queue_arguments::QueueArguments;
use amphora_core::route::Routed;
use amphora_core::store::QueueId;
use amphora_core::topology::{ConnectionId, QueueDeclaration, Topology};
use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString, VhostName};
use bytes::Bytes;

use crate::rounds::Bench;

const BINDINGS: u32 = 100;

/// Which names share a place in a hash table depends on its seed, which differs from table to table: over many it does not matter.
const TOPOLOGIES: u32 = 100;

pub(crate) fn cases(bench: &Bench) {
    route(bench, "route by a direct exchange", "amq.direct", "");
    route(bench, "route by a topic exchange", "amq.topic", ".acme");
    route(bench, "route by a headers exchange", "amq.headers", "");
    route(bench, "route to 100 queues", "amq.fanout", "");
}

/// Each of a hundred queues is bound once, and each binding has its message: a fanout exchange leads to all queues, the others to one.
fn route(bench: &Bench, name: &str, exchange: &str, suffix: &str) {
    bench.case(name, || {
        let topologies: Vec<_> = (0..TOPOLOGIES).map(|_| topology(exchange)).collect();
        let messages: Vec<_> = (0..BINDINGS)
            .map(|id| (format!("w{id}{suffix}"), properties(id)))
            .collect();
        let expected = match exchange {
            "amq.fanout" => BINDINGS as usize,
            _ => 1,
        };
        let mut routed = Routed::default();
        move || {
            for topology in &topologies {
                for (routing_key, properties) in &messages {
                    let properties = RawProperties::new(properties).expect("they are whole");
                    let headers = LazyHeaders::new(properties);
                    topology
                        .route(exchange, &[routing_key], &headers, &mut routed)
                        .expect("it may be published to");
                    assert_eq!(routed.queues.len(), expected);
                }
            }
            TOPOLOGIES * BINDINGS
        }
    });
}

/// Of a message for the binding with this number.
fn properties(id: u32) -> Bytes {
    let properties = BasicProperties {
        headers: Some(number(id)),
        ..BasicProperties::default()
    };
    properties.to_bytes()
}

fn topology(exchange: &str) -> Topology<Arc<u32>> {
    let nobody = ConnectionId::NONE;
    let vhost = VhostName::new("/").expect("it is short");
    let mut topology = Topology::new(vhost, Arc::new(NoHooks));
    for id in 0..BINDINGS {
        let queue = QueueName::new(format!("q{id}")).expect("it is short");
        let declaration = QueueDeclaration {
            name: queue.clone(),
            server_named: false,
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            arguments: FieldTable::new(),
            by: Box::default(),
        };
        let arguments = QueueArguments::default();
        let definition = QueueDefinition::new(QueueId(id + 1), declaration, arguments, nobody);
        let _changes = topology.insert_queue(Arc::new(definition), Arc::new(id));
        let key = match exchange {
            "amq.topic" => format!("w{id}.*"),
            _ => format!("w{id}"),
        };
        let binding = Binding {
            source: ExchangeName::new(exchange).expect("it is short"),
            destination: Destination::Queue(queue),
            routing_key: RoutingKey::new(key).expect("it is short"),
            arguments: number(id).into(),
        };
        let changes = topology.bind(binding, nobody);
        let _changes = changes.expect("both ends exist");
    }
    topology
}

/// A table with one field.
fn number(id: u32) -> FieldTable {
    let name = ShortString::new("id").expect("it is short");
    FieldTable::from_iter([(name, i64::from(id).into())])
}
