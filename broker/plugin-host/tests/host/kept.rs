//! Answers of transforms that are kept.

use amphora_core::hook::{BodyNeeds, Needs, Origin, Verdict};

use crate::guest::{Guest, Kind};
use crate::world::World;

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
