//! What listings show.

use amphora_protocol::wire::method::{exchange, queue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey};
use expect_test::{Expect, expect};

use super::{World, arrow};
use crate::binding::{Binding, Destination};
use crate::topology::{ConnectionId, ExchangeDeclaration};

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
    let world = World::after(SCRIPT);
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

#[test]
fn a_binding_is_found_by_its_properties_key() {
    let world =
        World::after("queue q\nbind amq.direct q k\nbind amq.direct q k a=1\nbind amq.fanout q k");
    let queue = Destination::Queue(QueueName::new("q").expect("short"));
    let find = |source, key| {
        world
            .topology
            .find_binding(source, &queue, key)
            .map(|binding| arrow(&binding))
    };
    assert_eq!(
        find("amq.direct", "k").as_deref(),
        Some("binding 'amq.direct' to queue q by 'k'")
    );
    assert_eq!(
        find("amq.direct", "k~666e10b9f435dffa").as_deref(),
        Some("binding 'amq.direct' to queue q by 'k'")
    );
    assert_eq!(
        find("", "q").as_deref(),
        Some("binding '' to queue q by 'q'")
    );
    assert_eq!(find("amq.direct", "~"), None);
    assert_eq!(find("amq.topic", "k"), None);
}

#[test]
fn exclusive_queues_are_listed_by_connection() {
    let mut world =
        World::after("queue b exclusive\nqueue a exclusive\nas 2 queue c exclusive\nqueue d");
    let exclusive = |world: &World, owner| world.topology.exclusive_queues(ConnectionId(owner));
    assert_eq!(exclusive(&world, 1), ["a", "b"]);
    assert_eq!(exclusive(&world, 2), ["c"]);
    world.run("delete-queue a");
    world.run("delete-queue c");
    assert_eq!(exclusive(&world, 1), ["b"]);
    assert_eq!(exclusive(&world, 2), [""; 0]);
}

#[test]
fn line_breaks_in_names_do_not_count() {
    let declare = exchange::Declare {
        exchange: ExchangeName::new("\r\nx\n").expect("short"),
        ..exchange::Declare::default()
    };
    assert_eq!(ExchangeDeclaration::from(declare).name, "x");
    let bind = queue::Bind {
        queue: QueueName::new("q\n").expect("short"),
        exchange: ExchangeName::new("x").expect("short"),
        routing_key: RoutingKey::new("k\n").expect("short"),
        ..queue::Bind::default()
    };
    assert_eq!(arrow(&bind.into()), "binding 'x' to queue q by 'k\n'");
}
