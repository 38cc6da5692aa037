//! Calls that take long, and instances that are too many.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use amphora_core::hook::{Fault, Origin};
use amphora_plugin_host::{Host, HostSettings, PluginSpec, Standalone};

use crate::guest::{Guest, Kind};
use crate::world::World;

/// Turns about a million times, and says `pass`.
const SLOW: &str = "
    (local $left i32)
    (local.set $left (i32.const 4000000))
    (loop $on
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $on (local.get $left)))
    (i32.const 2048)";

fn world(apply: &str) -> World {
    let world = World::new();
    let guest = Guest::new(Kind::Transform).body("apply", apply);
    let mut spec = PluginSpec::new("plugin");
    // On a machine that is busy, too.
    spec.deadline = Duration::from_secs(5);
    world.host.load(spec, &guest.component()).expect("good");
    world
}

fn call(world: &World, times: u32) {
    let transform = world.host.transform("plugin", None);
    let message = Origin {
        properties: &[0, 0],
        ..Origin::default()
    };
    for _ in 0..times {
        transform.apply(&message, None).expect("it passes");
    }
}

#[test]
fn threads_share_the_instances_of_a_slow_plugin_and_say_that_they_are_busy() {
    let world = world(SLOW);
    call(&world, 20);
    let blocked = world.around.blocked.load(Ordering::Relaxed);
    assert!(blocked >= 2, "a start, and slow calls: {blocked}");
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| call(&world, 5));
        }
    });
    let most = thread::available_parallelism()
        .map_or(2, NonZero::get)
        .max(2);
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert!(snapshot.instances <= most as u64, "{}", snapshot.instances);
    assert_eq!(snapshot.counters.messages, 80);
    // Nothing of them is left when the version is in force no more.
    world.host.unload("plugin").expect("it is there");
    let snapshot = world.host.snapshot("plugin").expect("it was named");
    assert_eq!(snapshot.instances, 0);
}

#[test]
fn a_thread_is_not_busy_with_fast_calls() {
    let world = world("(i32.const 2048)");
    call(&world, 1);
    assert_eq!(world.around.blocked.load(Ordering::Relaxed), 1, "the start");
    call(&world, 1000);
    assert_eq!(world.around.blocked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_thread_that_finds_no_place_for_an_instance_gives_up_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = HostSettings {
        // What is compiled once is not compiled again.
        cache_folder: Some(folder.path().to_owned()),
        forgets_answers: false,
    };
    let host = Host::new(settings, Arc::<Standalone>::default()).expect("an engine");
    let component = Guest::new(Kind::Transform).component();
    let message = Origin {
        properties: &[0, 0],
        ..Origin::default()
    };
    // There are 2,000 places.
    for number in 0..2_020 {
        let name = format!("p{number}");
        host.load(PluginSpec::new(&*name), &component)
            .expect("good");
        let verdict = host.transform(&name, None).apply(&message, None);
        assert!(verdict.is_ok(), "{name}: {verdict:?}");
    }
    let snapshots = host.snapshots();
    let crowded = |fault| {
        let faults = snapshots
            .iter()
            .map(|plugin| plugin.counters.faults[&fault]);
        faults.sum::<u64>()
    };
    assert_eq!((crowded(Fault::Crowded), crowded(Fault::BadAnswer)), (0, 0));
}
