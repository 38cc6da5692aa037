//! Answers of transforms that are kept.

use std::time::Duration;

use amphora_core::hook::{BodyNeeds, Fault, Needs, Origin, Verdict};
use amphora_plugin_host::{Host, HostSettings, PluginSpec, PluginState};

use crate::guest::{Guest, Kind, key_only};
use crate::world::{World, fault};

/// Says `pass` to each message.
const PASS: &str = "(i32.const 2048)";

fn guest(pure: bool) -> Guest {
    let needs = Needs {
        body: BodyNeeds::Prefix(4),
        pure,
        ..Needs::default()
    };
    Guest::new(Kind::Transform).needs(needs).body("apply", PASS)
}

fn counts(world: &World) -> (u64, u64) {
    let counters = world.host.snapshot("plugin").expect("loaded").counters;
    (counters.messages, counters.kept_answers)
}

fn apply(world: &World, body: &[u8], queue: Option<&str>) {
    let message = Origin {
        properties: &[0, 0],
        body,
        ..Origin::default()
    };
    let transform = world.host.transform("plugin", None);
    assert_eq!(transform.apply(&message, queue), Ok(Verdict::Pass));
}

#[test]
fn a_pure_answer_is_asked_for_once_for_all_that_the_plugin_sees_alike() {
    let world = World::new();
    world.load_transform(&guest(true).component());
    for _ in 0..3 {
        apply(&world, b"body", None);
    }
    assert_eq!(counts(&world), (1, 2));
    // Another length is seen, and so is another queue.
    apply(&world, b"body and more", None);
    apply(&world, b"body", Some("q"));
    assert_eq!(counts(&world), (3, 2));
    apply(&world, b"body", Some("q"));
    assert_eq!(counts(&world), (3, 3));
    // Another version may say something else.
    world.load_transform(&guest(true).component());
    apply(&world, b"body", None);
    assert_eq!(counts(&world), (4, 3));
}

#[test]
fn an_answer_that_is_not_pure_is_asked_for_each_time() {
    let world = World::new();
    world.load_transform(&guest(false).component());
    for _ in 0..3 {
        apply(&world, b"body", None);
    }
    assert_eq!(counts(&world), (3, 0));
}

#[test]
fn an_answer_that_was_known_says_nothing_of_how_the_plugin_is_doing() {
    let world = World::new();
    // Traps for keys that begin with a `t`.
    let sometimes = "
        (if (i32.eq (i32.load8_u (i32.load offset=16 (local.get $message))) (i32.const 116)) (then unreachable))
        (i32.const 2048)";
    let needs = Needs {
        pure: true,
        ..key_only()
    };
    let guest = Guest::new(Kind::Transform)
        .needs(needs)
        .body("apply", sometimes);
    world.load_transform(&guest.component());
    let transform = world.host.transform("plugin", None);
    let apply = |routing_key| {
        let message = Origin {
            routing_key,
            properties: &[0, 0],
            ..Origin::default()
        };
        transform.apply(&message, None)
    };
    assert_eq!(apply("a"), Ok(Verdict::Pass));
    for _ in 0..5 {
        assert_eq!(fault(apply("t")).0, Fault::Trap);
    }
    world.around.pass(1000);
    assert_eq!(apply("a"), Ok(Verdict::Pass));
    let state = || world.host.snapshot("plugin").expect("loaded").state;
    assert_eq!(state(), PluginState::Quarantined(Duration::ZERO));
    assert_eq!(fault(apply("t")).0, Fault::Trap);
    assert_eq!(state(), PluginState::Quarantined(Duration::from_secs(2)));
}

#[test]
fn a_host_that_measures_asks_each_time() {
    let settings = HostSettings {
        forgets_answers: true,
        ..HostSettings::default()
    };
    let world = World::new();
    let host = Host::new(settings, world.around.clone()).expect("an engine");
    let world = World { host, ..world };
    let component = guest(true).component();
    world
        .host
        .load(PluginSpec::new("plugin"), &component)
        .expect("it loads");
    for _ in 0..3 {
        apply(&world, b"body", None);
    }
    assert_eq!(counts(&world), (3, 0));
}
