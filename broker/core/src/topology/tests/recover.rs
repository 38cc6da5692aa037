//! What is there after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};

use super::{World, arrow};
use crate::hook::NoHooks;
use crate::topology::Topology;

fn listed(topology: &Topology<String>) -> String {
    let mut lines: Vec<String> = topology
        .exchanges()
        .map(|exchange| format!("{exchange:?}"))
        .collect();
    lines.extend(
        topology
            .queues()
            .map(|queue| format!("{:?}", queue.definition)),
    );
    lines.extend(
        topology
            .bindings()
            .map(|binding| format!("{} {:?}", arrow(&binding), binding.arguments.table())),
    );
    lines.sort_unstable();
    lines.join("\n")
}

fn check(script: &str, expected: &Expect) {
    let world = World::after(script);
    let (restarted, problems) = world.restarted();
    assert_eq!(problems, []);
    let vhost = world.topology.vhost().clone();
    let before = listed(&Topology::<String>::new(vhost, Arc::new(NoHooks)));
    let after = listed(&restarted);
    let new: Vec<&str> = after
        .lines()
        .filter(|line| !before.contains(line))
        .collect();
    expected.assert_eq(&new.join("\n"));
}

const SCRIPT: &str = "
    exchange x topic durable auto-delete alternate-exchange=y
    exchange t topic
    queue q durable x-max-length=5
    queue r
    queue e durable exclusive
    bind x q a.*
    bind x q b.* n=1
    bind x r a.*
    bind t q a.*
    bind x >amq.fanout a
    unbind x q a.*
";

#[test]
fn durable_things_come_back() {
    check(
        SCRIPT,
        &expect![[r#"
            ExchangeDefinition { name: "x", exchange_type: Topic, durable: true, auto_delete: true, internal: false, arguments: FieldTable { fields: [("alternate-exchange", LongString(b"y"))] }, declared_by: "guest" }
            QueueDefinition { id: QueueId(1), name: "q", durable: true, auto_delete: false, owner: None, arguments: FieldTable { fields: [("x-max-length", I32(5))] }, parsed: QueueArguments { queue_type: Classic, expires: None, message_ttl: None, dead_letter_exchange: None, dead_letter_routing_key: None, dead_letter_strategy: AtMostOnce, max_length: Some(5), max_length_bytes: None, overflow: DropHead, max_priority: None, single_active_consumer: false, delivery_limit: None, consumer_timeout: None, delayed_retry: None, retry: None, max_age: None, stream_max_segment_bytes: None, deduplication: None }, declared_by: "guest" }
            binding '' to queue q by 'q' FieldTable { fields: [] }
            binding 'x' to exchange amq.fanout by 'a' FieldTable { fields: [] }
            binding 'x' to queue q by 'b.*' FieldTable { fields: [("n", I32(1))] }"#]],
    );
}

#[test]
fn what_is_stored_is_what_the_virtual_host_says() {
    let world = World::after(SCRIPT);
    let said: BTreeMap<_, _> = world
        .topology
        .definitions()
        .map(|definition| (definition.key(), definition.value()))
        .collect();
    assert_eq!(said, world.stored);
}

#[test]
fn nothing_is_left_of_what_was_deleted() {
    let mut world = World::new();
    for line in [
        "exchange x direct durable auto-delete",
        "exchange y direct durable",
        "queue q durable",
        "bind x q k",
        "bind y q k",
        "bind y >x k",
        "delete-queue q",
        "delete-exchange y",
    ] {
        world.run(line);
    }
    assert_eq!(world.stored.len(), 0);
}

/// Numbers of bindings are keys of the store: one that is in use must not be given to another binding.
#[test]
fn bindings_are_numbered_on_after_a_restart() {
    let mut world = World::new();
    for line in [
        "queue q durable",
        "bind amq.direct q a",
        "bind amq.direct q b",
        "unbind amq.direct q a",
    ] {
        world.run(line);
    }
    world.topology = world.restarted().0;
    world.run("bind amq.direct q c");
    assert_eq!(
        world.restarted().0.bindings_by_source("amq.direct").len(),
        2
    );
}

/// Its number stays taken, so that whoever cleans up by number removes nothing else.
#[test]
fn a_binding_that_lacks_an_end_is_reported() {
    let mut world = World::after(
        "
        exchange x direct durable
        queue q durable
        bind amq.direct q a
        bind x q a
        ",
    );
    let exchange = world
        .stored
        .keys()
        .find(|key| key.ends_with(b"x"))
        .cloned()
        .expect("x is stored");
    world.stored.remove(&exchange);
    let (restarted, problems) = world.restarted();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["binding 2 from exchange 'x' to queue 'q' lacks an end"]
    );
    assert_eq!(restarted.binding_count(), 1);
    world.topology = restarted;
    world.run("bind amq.direct q b");
    assert!(
        world
            .stored
            .keys()
            .any(|key| key.ends_with(&3_u64.to_be_bytes()))
    );
}
