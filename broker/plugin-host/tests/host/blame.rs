//! Who is blamed for a failure: the plugin, or the message.

use std::time::Duration;

use amphora_core::hook::{BodyNeeds, Fault, Needs, Origin, TransformHook};
use amphora_plugin_host::PluginState;

use crate::guest::{Guest, Kind};
use crate::world::{World, fault, route};

const BOMB: &str = "(loop $more (drop (memory.grow (i32.const 16))) (br $more)) unreachable";

fn state(world: &World) -> PluginState {
    world.host.snapshot("plugin").expect("loaded").state
}

/// A transform that sees the body, with this body of `apply`.
fn transform(world: &World, apply: &str) -> std::sync::Arc<dyn TransformHook> {
    let needs = Needs {
        body: BodyNeeds::Whole,
        ..Needs::default()
    };
    let guest = Guest::new(Kind::Transform)
        .needs(needs)
        .body("apply", apply);
    world.load_transform(&guest.component());
    world.host.transform("plugin", None)
}

fn failed(transform: &dyn TransformHook, body: &[u8]) -> (Fault, String) {
    let message = Origin {
        properties: &[0, 0],
        body,
        ..Origin::default()
    };
    fault(transform.apply(&message, None))
}

#[test]
fn a_batch_that_fails_may_be_one_messages_doing() {
    let world = World::new();
    let guest = Guest::new(Kind::Packed).body("route", "unreachable");
    world.load_exchange(&guest.component());
    let exchange = world.bound("ex", &["a"]);
    for _ in 0..20 {
        assert_eq!(fault(route(&*exchange, &["a", "b"])).0, Fault::Trap);
    }
    assert_eq!(state(&world), PluginState::Loaded);
    for _ in 0..5 {
        assert_eq!(fault(route(&*exchange, &["a"])).0, Fault::Trap);
    }
    let quarantined = PluginState::Quarantined(Duration::from_secs(1));
    assert_eq!(state(&world), quarantined);
    let counters = world.host.snapshot("plugin").expect("loaded").counters;
    assert_eq!(counters.failed_messages, 5);
    assert_eq!(counters.faults[&Fault::Trap], 25);
}

#[test]
fn a_message_that_is_too_large_for_the_plugin_is_refused_without_a_call() {
    let world = World::new();
    let transform = transform(&world, "(i32.const 2048)");
    let body = vec![0; 17 << 20];
    for _ in 0..10 {
        let (fault, text) = failed(&*transform, &body);
        assert_eq!(fault, Fault::TooLarge);
        let expected = "with 67108864 bytes of memory it is shown at most 16777216 at once";
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(state(&world), PluginState::Loaded);
    let counters = world.host.snapshot("plugin").expect("loaded").counters;
    assert_eq!((counters.calls, counters.failed_messages), (0, 10));
    assert_eq!(counters.faults[&Fault::TooLarge], 10);
}

#[test]
fn what_a_large_message_costs_is_not_laid_to_the_plugin() {
    let world = World::new();
    let transform = transform(&world, BOMB);
    for _ in 0..10 {
        let (fault, _) = failed(&*transform, &vec![0; 300 << 10]);
        assert_eq!(fault, Fault::Memory);
    }
    assert_eq!(state(&world), PluginState::Loaded);
    for _ in 0..5 {
        assert_eq!(failed(&*transform, b"small").0, Fault::Memory);
    }
    assert!(matches!(state(&world), PluginState::Quarantined(_)));
}
