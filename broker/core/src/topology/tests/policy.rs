//! Policies that come and go while exchanges and queues are there, and before.

use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;

use super::World;
use crate::policy::{Policy, PolicyKind};

fn policy(name: &str, pattern: &str, priority: i64, key: &str, value: &str) -> Policy {
    let mut definition = FieldTable::new();
    let flag = value.parse().map(FieldValue::Bool);
    let value = flag.unwrap_or_else(|_| {
        let number = value.parse().map(FieldValue::I64);
        number.unwrap_or_else(|_| value.into())
    });
    definition.insert(ShortString::cut(key), value);
    Policy::new(PolicyKind::User, name, pattern, "all", priority, definition).expect("legal")
}

impl World {
    fn set(&mut self, policy: Policy) -> Vec<String> {
        let changed = self
            .topology
            .change_policies(|policies| policies.set(PolicyKind::User, policy));
        let told = changed.into_iter().map(|(queue, applied)| {
            let policy = applied.and_then(|applied| applied.policy().cloned());
            format!("{queue}: {}", policy.as_deref().unwrap_or("none"))
        });
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        told
    }
}

#[test]
fn queues_that_something_else_applies_to_are_told() {
    let mut world = World::after("queue qa\nqueue qb\nqueue other");
    let generation = world.topology.generation();
    assert_eq!(
        world.set(policy("low", "^q", 0, "max-length", "5")),
        ["qa: low", "qb: low"]
    );
    assert!(world.topology.generation() > generation);
    assert_eq!(
        world.set(policy("high", "^qa", 1, "max-length", "1")),
        ["qa: high"]
    );
    // The same again is another policy: what it says may differ.
    assert_eq!(
        world.set(policy("low", "^q", 0, "max-length", "6")),
        ["qb: low"]
    );
    let changed = world.topology.change_policies(|policies| {
        policies.clear(PolicyKind::User, "high");
    });
    assert_eq!(changed.len(), 1);
    let _ = world.run("queue qc");
    let entry = world.topology.queue("qc").expect("it was declared");
    let applied = entry.policies.as_ref().and_then(|applied| applied.policy());
    assert_eq!(applied.map(|name| &**name), Some("low"));
}

#[test]
fn an_alternate_exchange_by_policy_gives_way_to_a_declared_one() {
    let mut world = World::after(
        "exchange x direct\nexchange own direct alternate-exchange=amq.direct\nqueue q\nbind amq.fanout q",
    );
    let routed = |world: &mut World, exchange: &str| {
        let answers = world.run(&format!("publish {exchange} q"));
        answers.join(" ")
    };
    let before = routed(&mut world, "x");
    world.set(policy(
        "alternate",
        "^(x|own|later)$",
        0,
        "alternate-exchange",
        "amq.fanout",
    ));
    let after = routed(&mut world, "x");
    assert_ne!(before, after);
    assert!(after.contains('q'), "{after}");
    assert_eq!(routed(&mut world, "own"), before);
    let _ = world.run("exchange later direct");
    assert_eq!(routed(&mut world, "later"), after);
    let applied = world.topology.policies_of_exchange("later");
    assert!(applied.is_some());
    world
        .topology
        .change_policies(|policies| drop(policies.clear(PolicyKind::User, "alternate")));
    assert_eq!(routed(&mut world, "x"), before);
}

#[test]
fn a_policy_lets_messages_wait_unless_the_exchange_says_no() {
    let mut world =
        World::after("exchange x direct\nexchange now direct x-delayed-exchange=t:false");
    let generation = world.topology.generation();
    assert!(!world.topology.delays("x"));
    for key in ["delayed-exchange", "delayed-message"] {
        world.set(policy("later", "^(x|now|new)$", 0, key, "true"));
        assert!(world.topology.delays("x"), "{key}");
        assert!(!world.topology.delays("now"), "{key}");
    }
    assert!(world.topology.generation() > generation);
    let _ = world.run("exchange new direct");
    assert!(world.topology.delays("new"));
    world
        .topology
        .change_policies(|policies| drop(policies.clear(PolicyKind::User, "later")));
    assert!(!world.topology.delays("x"));
}
