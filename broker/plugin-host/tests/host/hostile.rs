//! Guests that mean harm. Whatever they do hits the call that they do it in.

use std::fmt::Write;
use std::time::{Duration, Instant};

use amphora_core::hook::Fault;
use amphora_plugin_host::{Grant, LoadError, PluginSpec, PluginState};

use crate::guest::{Guest, Kind};
use crate::world::{World, fault, granted, route, spec};

const FOREVER: &str = "(loop $ever (br $ever)) unreachable";
const BOMB: &str = "(loop $more (drop (memory.grow (i32.const 16))) (br $more)) unreachable";
const RECURSE: &str = "(call $deeper (i64.const 1)) drop unreachable";
const DEEPER: &str =
    "(func $deeper (param i64) (result i64) (i64.add (call $deeper (local.get 0)) (i64.const 1)))";

/// Calls `route` of a guest with this body, and says how it failed. A good neighbour works before and after.
fn routed_by(body: &str) -> (Fault, String) {
    let world = World::new();
    let guest = Guest::new(Kind::Packed).body("route", body).more(DEEPER);
    world.load_exchange(&guest.component());
    let exchange = world.bound("ex", &["a", "b"]);
    let mut neighbour = PluginSpec::new("neighbour");
    neighbour.exchange_type = Some("x-other".to_owned());
    let good = Guest::new(Kind::Packed).component();
    world.host.load(neighbour, &good).expect("good");
    let failed = fault(route(&*exchange, &["a", "b", "c"]));
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!(snapshot.counters.faults[&failed.0], 1);
    // It may have been one message of the three, so that each half is tried before anybody is blamed.
    assert_eq!(snapshot.counters.failed_messages, 0);
    assert_eq!(snapshot.last_error, None);
    // After a trap nothing of the instance is left.
    if matches!(failed.0, Fault::Trap | Fault::Timeout | Fault::Memory) {
        assert_eq!((snapshot.instances, snapshot.memory), (0, 0));
    }
    failed
}

#[test]
fn a_loop_without_an_end_is_ended_by_the_deadline() {
    let begun = Instant::now();
    let (fault, text) = routed_by(FOREVER);
    assert_eq!(fault, Fault::Timeout);
    assert_eq!(
        text,
        "exchange-packed.route: it ran longer than its deadline of 10 ms"
    );
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[test]
fn memory_without_an_end_is_refused() {
    let (fault, text) = routed_by(BOMB);
    assert_eq!(fault, Fault::Memory);
    assert!(text.contains("67108864 are granted"), "{text}");
}

#[test]
fn recursion_without_an_end_exhausts_its_own_stack() {
    let (fault, text) = routed_by(RECURSE);
    assert_eq!(fault, Fault::Trap);
    assert!(text.contains("call stack exhausted"), "{text}");
    assert!(text.contains("deeper"), "{text}");
}

#[test]
fn a_trap_is_told_with_its_place() {
    let (fault, text) = routed_by("unreachable");
    assert_eq!(fault, Fault::Trap);
    assert!(text.starts_with("exchange-packed.route: "), "{text}");
    assert!(text.contains("unreachable"), "{text}");
}

/// An answer of these numbers.
fn numbers(numbers: &[u32]) -> String {
    let mut body = String::from("(local $at i32) (local.set $at (call $alloc (i32.const 4096)))");
    for (index, number) in numbers.iter().enumerate() {
        let _ = write!(
            body,
            "(i32.store offset={} (local.get $at) (i32.const {number}))",
            index * 4
        );
    }
    body + &format!("(call $list (local.get $at) (i32.const {}))", numbers.len())
}

#[test]
fn answers_that_are_none_are_refused() {
    for (answer, expected) in [
        (numbers(&[1, 99, 0, 0]), "binding 99"),
        (numbers(&[0, 0]), "before message 2 of 3"),
        (numbers(&[0, 0, 0, 0]), "1 numbers follow"),
        (numbers(&[0, 0, 4_000_000_000]), "4000000000 bindings"),
        (numbers(&[]), "before message 0 of 3"),
    ] {
        let (fault, text) = routed_by(&answer);
        assert_eq!(fault, Fault::BadAnswer);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn answers_beyond_the_memory_or_beyond_measure_are_refused() {
    let beyond = "(call $list (i32.const 0x1ffff0) (i32.const 100))";
    let (fault, text) = routed_by(beyond);
    assert_eq!(fault, Fault::BadAnswer, "{text}");
    let begun = Instant::now();
    let enormous = "
        (drop (memory.grow (i32.const 900)))
        (call $list (i32.const 0) (i32.const 15000000))";
    let (fault, text) = routed_by(enormous);
    assert_eq!(fault, Fault::BadAnswer, "{text}");
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[test]
fn whatever_a_guest_does_while_it_is_tried_keeps_it_out() {
    for function in ["describe", "create", "rebind"] {
        for (body, expected) in [
            (FOREVER, Fault::Timeout),
            (BOMB, Fault::Memory),
            (RECURSE, Fault::Trap),
            ("unreachable", Fault::Trap),
        ] {
            let world = World::new();
            let exchange = world.bound("ex", &["a"]);
            world.load_exchange(&Guest::new(Kind::Packed).component());
            let hostile = Guest::new(Kind::Packed).body(function, body).more(DEEPER);
            let refused = world.host.load(spec(), &hostile.component());
            let Err(LoadError::Trial { step, error }) = refused else {
                panic!("{function}: {refused:?}");
            };
            assert_eq!(error.fault, expected, "{function}: {error}");
            assert!(error.text.contains(function), "{function}: {error}");
            assert!(
                function == "describe" || step.contains("'ex' in vhost '/'"),
                "{step}"
            );
            // The version before is in force.
            assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1]]));
            assert!(world.last_error().contains(function));
        }
    }
}

#[test]
fn a_slow_start_is_ended() {
    let world = World::new();
    let slow = Guest::new(Kind::Packed)
        .more("(func $start (loop $ever (br $ever))) (start $start)")
        .component();
    let begun = Instant::now();
    let refused = world.host.load(spec(), &slow).expect_err("it never starts");
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert!(
        refused.to_string().contains("deadline of 2000 ms"),
        "{refused}"
    );
    let snapshot = world.host.snapshot("plugin").expect("it was named");
    assert_eq!(snapshot.state, PluginState::Failed);
    assert_eq!(snapshot.counters.failed_loads, 1);
    assert_eq!(snapshot.memory, 0);
}

#[test]
fn exchanges_that_are_deleted_trap_no_one_else() {
    let world = World::new();
    let hostile = Guest::new(Kind::Packed).body("delete", "unreachable");
    world.load_exchange(&hostile.component());
    let exchange = world.bound("ex", &["a"]);
    let other = world.bound("other", &["a"]);
    assert!(route(&*other, &["a"]).is_ok());
    drop(other);
    assert_eq!(fault(route(&*exchange, &["a"])).0, Fault::Trap);
    // A new instance does not know what is gone.
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1]]));
}

#[test]
fn a_flood_of_lines_is_dropped() {
    let flood = "
        (local $i i32)
        (loop $more
            (call $log (i32.const 2) (i32.const 2080) (i32.const 11))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))
        (i32.const 2048)";
    let guest = Guest::new(Kind::Transform)
        .import("log", "write", "(func $log (param i32 i32 i32))")
        .body("apply", flood);
    let world = World::new();
    let mut spec = granted(PluginSpec::new("plugin"), Grant::Log);
    spec.deadline = Duration::from_secs(5);
    world.host.load(spec, &guest.component()).expect("loads");
    let transform = world.host.transform("plugin", None);
    let message = amphora_core::hook::Origin::default();
    transform.apply(&message, None).expect("it passes");
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!(snapshot.log_dropped, 900);
    let lines = world.host.log("plugin");
    assert_eq!(lines.len(), 100);
    assert_eq!(lines[0].text, "not with me");
}

#[test]
fn who_fails_too_often_is_left_alone_and_comes_back() {
    let world = World::new();
    // It fails for as long as its memory says so, which is new after each trap: only a replacement helps.
    let guest = Guest::new(Kind::Packed).body("route", "unreachable");
    world.load_exchange(&guest.component());
    let exchange = world.bound("ex", &["a"]);
    for _ in 0..5 {
        assert_eq!(fault(route(&*exchange, &["a"])).0, Fault::Trap);
    }
    assert!(exchange.needs().is_err());
    let state = || world.host.snapshot("plugin").expect("loaded").state;
    assert_eq!(state(), PluginState::Quarantined(Duration::from_secs(1)));
    let (kind, text) = fault(route(&*exchange, &["a"]));
    assert_eq!(kind, Fault::Quarantined);
    assert!(text.contains("1000 ms"), "{text}");
    world.around.pass(1000);
    assert_eq!(exchange.batch_max(), 1);
    assert_eq!(fault(route(&*exchange, &["a"])).0, Fault::Trap);
    assert_eq!(state(), PluginState::Quarantined(Duration::from_secs(2)));
    world.load_exchange(&Guest::new(Kind::Packed).component());
    assert_eq!(state(), PluginState::Loaded);
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1]]));
    let counters = world.host.snapshot("plugin").expect("loaded").counters;
    assert_eq!(counters.quarantines, 2);
    assert_eq!(counters.faults[&Fault::Trap], 6);
}

#[test]
fn one_success_ends_the_quarantine() {
    let world = World::new();
    // Traps for the key that the only binding has, and for no other.
    let sometimes =
        "(if (i32.eq (i32.load8_u offset=6 (local.get $batch)) (i32.const 116)) (then unreachable))
        (i32.store (i32.const 4096) (i32.const 0))
        (call $list (i32.const 4096) (i32.const 1))";
    let guest = Guest::new(Kind::Packed).body("route", sometimes);
    world.load_exchange(&guest.component());
    let exchange = world.bound("ex", &["a"]);
    for _ in 0..5 {
        assert_eq!(fault(route(&*exchange, &["trap"])).0, Fault::Trap);
    }
    assert_eq!(fault(route(&*exchange, &["a"])).0, Fault::Quarantined);
    world.around.pass(1000);
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![]]));
    let state = world.host.snapshot("plugin").expect("loaded").state;
    assert_eq!(state, PluginState::Loaded);
    assert_eq!(fault(route(&*exchange, &["trap"])).0, Fault::Trap);
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![]]));
}
