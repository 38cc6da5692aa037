//! What listings show.

use amphora_protocol::wire::types::{ExchangeName, QueueName};
use expect_test::{Expect, expect};

use super::{World, arrow};
use crate::binding::{Binding, Destination};

fn world(script: &str) -> World {
    let mut world = World::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        world.run(line);
    }
    world
}

fn check<'a>(bindings: impl IntoIterator<Item = &'a Binding>, expected: &Expect) {
    let listed: Vec<String> = bindings
        .into_iter()
        .map(|binding| arrow(binding) + "\n")
        .collect();
    expected.assert_eq(&listed.concat());
}

const SCRIPT: &str = "
    exchange x direct
    queue q
    queue r
    bind x q k
    bind x r k
    bind x >amq.fanout k
    bind amq.topic q #
";

#[test]
fn bindings_are_listed_with_those_to_the_default_exchange() {
    let world = world(SCRIPT);
    let topology = &world.topology;
    check(
        topology
            .bindings()
            .collect::<Vec<_>>()
            .iter()
            .map(AsRef::as_ref),
        &expect![[r#"
            binding '' to queue q by 'q'
            binding '' to queue r by 'r'
            binding 'x' to queue q by 'k'
            binding 'x' to queue r by 'k'
            binding 'x' to exchange amq.fanout by 'k'
            binding 'amq.topic' to queue q by '#'
        "#]],
    );
    check(
        topology.bindings_by_source("x").iter().map(AsRef::as_ref),
        &expect![[r#"
            binding 'x' to queue q by 'k'
            binding 'x' to queue r by 'k'
            binding 'x' to exchange amq.fanout by 'k'
        "#]],
    );
    check(
        topology.bindings_by_source("").iter().map(AsRef::as_ref),
        &expect![[r#"
            binding '' to queue q by 'q'
            binding '' to queue r by 'r'
        "#]],
    );
    let queue = Destination::Queue(QueueName::new("q").expect("short"));
    check(
        topology
            .bindings_by_destination(&queue)
            .iter()
            .map(AsRef::as_ref),
        &expect![[r#"
            binding '' to queue q by 'q'
            binding 'x' to queue q by 'k'
            binding 'amq.topic' to queue q by '#'
        "#]],
    );
    let exchange = Destination::Exchange(ExchangeName::new("amq.fanout").expect("short"));
    check(
        topology
            .bindings_by_destination(&exchange)
            .iter()
            .map(AsRef::as_ref),
        &expect![[r#"
            binding 'x' to exchange amq.fanout by 'k'
        "#]],
    );
    let missing = Destination::Queue(QueueName::new("nowhere").expect("short"));
    assert_eq!(topology.bindings_by_destination(&missing).len(), 0);
    assert_eq!(topology.bindings_by_source("nothing").len(), 0);
    assert_eq!(topology.binding_count(), 4);
}

#[test]
fn every_virtual_host_has_the_standard_exchanges() {
    let world = World::new();
    let mut names: Vec<String> = world
        .topology
        .exchanges()
        .map(|exchange| {
            format!(
                "'{}' {}{}",
                exchange.name,
                exchange.exchange_type,
                if exchange.internal { " internal" } else { "" }
            )
        })
        .collect();
    names.sort_unstable();
    expect![[r#"
        [
            "'' direct",
            "'amq.direct' direct",
            "'amq.fanout' fanout",
            "'amq.headers' headers",
            "'amq.match' headers",
            "'amq.rabbitmq.trace' topic internal",
            "'amq.topic' topic",
        ]
    "#]]
    .assert_debug_eq(&names);
    assert!(world.topology.exchanges().all(|exchange| exchange.durable));
}

#[test]
fn every_change_raises_the_generation_and_nothing_else_does() {
    let mut world = World::new();
    for (line, changes) in [
        ("exchange x direct", true),
        ("exchange x direct", false),
        ("queue q", true),
        ("queue q", false),
        ("bind x q k", true),
        ("bind x q k", false),
        ("publish x k", false),
        ("unbind x q k", true),
        ("unbind x q k", false),
        ("delete-exchange x", true),
        ("delete-exchange x", false),
        ("delete-queue q", true),
        ("delete-queue q", false),
    ] {
        let before = world.topology.generation();
        world.run(line);
        assert_eq!(world.topology.generation() > before, changes, "{line}");
    }
}

#[test]
fn the_properties_key_tells_bindings_apart() {
    let key = |line: &str| super::binding(&line.split(' ').collect::<Vec<_>>()).properties_key();
    assert_eq!(key("bind x q"), "~");
    assert_eq!(key("bind x q a.b-c_d"), "a.b-c_d");
    assert_eq!(key("bind x q #/*~\u{e4}"), "%23%2F%2A%7E%C3%A4");
    // A hash in a path that users keep: it must never change.
    assert_eq!(key("bind x q k a=1"), "k~666e10b9f435dffa");
    assert_eq!(key("bind x q '' a=1 b=2"), key("bind x q '' b=2 a=1"));
    assert_ne!(key("bind x q '' a=1"), key("bind x q '' a=2"));
}
