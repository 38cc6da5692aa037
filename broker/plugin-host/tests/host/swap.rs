//! Versions that take each other's place.

use std::sync::atomic::{AtomicBool, Ordering};

use amphora_core::hook::{Fault, Needs, PackedBatch, Parts};
use amphora_plugin_host::{LoadError, Loading, PluginSpec};

use crate::guest::{Guest, Kind, key_only};
use crate::world::{World, binding, fault, route, route_batch, spec};

/// Says of every message that it goes to the binding of this number.
fn always(id: u32) -> Guest {
    let body = format!(
        "(local $left i32) (local $at i32) (local $begin i32)
        (local.set $begin (call $alloc (i32.const 4096)))
        (local.set $at (local.get $begin))
        (local.set $left (i32.load offset=1 (local.get $batch)))
        (loop $each
            (i32.store (local.get $at) (i32.const 1))
            (i32.store offset=4 (local.get $at) (i32.const {id}))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $each (local.get $left)))
        (call $list (local.get $begin) (i32.div_u (i32.sub (local.get $at) (local.get $begin)) (i32.const 4)))"
    );
    Guest::new(Kind::Packed).body("route", body)
}

#[test]
fn a_version_takes_the_place_of_another_and_gives_it_back() {
    let world = World::new();
    let exchange = world.bound("ex", &["a", "b"]);
    world.load_exchange(&always(1).component());
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![1]]));
    let first = world.host.snapshot("plugin").expect("loaded");
    assert!(first.previous.is_none());
    world.load_exchange(&always(2).component());
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![2]]));
    let rolled = world.host.rollback("plugin").expect("the first");
    let hash = |version: &Option<amphora_plugin_host::VersionSnapshot>| {
        version.as_ref().map(|version| version.sha256.clone())
    };
    assert_eq!(hash(&rolled.version), hash(&first.version));
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![1]]));
    world.host.rollback("plugin").expect("the second");
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![2]]));
    assert_eq!(world.around.replaced.load(Ordering::Relaxed), 4);
    assert!(matches!(
        world.host.rollback("nobody"),
        Err(LoadError::Nothing(_))
    ));
}

#[test]
fn a_version_that_refuses_what_there_is_does_not_come_into_force() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let exchange = world.bound("ex", &["a", "b"]);
    assert_eq!(route(&*exchange, &["b"]), Ok(vec![vec![2]]));
    let picky = Guest::new(Kind::Packed).body(
        "rebind",
        "(if (result i32) (local.get $adds) (then (call $refuse)) (else (i32.const 2048)))",
    );
    let error = world.host.load(spec(), &picky.component());
    let error = error.expect_err("it refuses").to_string();
    assert_eq!(
        error,
        "it does not take exchange 'ex' in vhost '/': plugin 'plugin': not with me"
    );
    assert_eq!(route(&*exchange, &["b"]), Ok(vec![vec![2]]));
    assert_eq!(world.last_error(), error);
    // A version that is loaded clears the note.
    world.load_exchange(&Guest::new(Kind::Typed).component());
    assert_eq!(world.last_error(), "");
}

#[test]
fn a_batch_that_was_packed_for_other_needs_is_not_misread() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let exchange = world.bound("ex", &["a"]);
    let mut batch = PackedBatch::default();
    let message = amphora_core::hook::Origin {
        routing_key: "a",
        ..amphora_core::hook::Origin::default()
    };
    let needs = exchange.needs().expect("loaded");
    batch.push(&needs, &message).expect("no header");
    let greedy = Needs {
        parts: Parts {
            vhost: true,
            ..key_only().parts
        },
        ..key_only()
    };
    let guest = Guest::new(Kind::Typed).needs(greedy);
    world.load_exchange(&guest.component());
    let (kind, _) = fault(route_batch(&*exchange, &batch));
    assert_eq!(kind, Fault::Replaced);
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1]]));
    // It is no failure, and with the same needs nobody notices.
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!(snapshot.counters.failed_messages, 0);
    world.host.rollback("plugin").expect("the first");
    assert_eq!(route_batch(&*exchange, &batch), Ok(vec![vec![1]]));
}

#[test]
fn after_a_trap_everything_is_told_again() {
    let world = World::new();
    let trap = "(if (i32.eq (i32.load8_u offset=6 (local.get $batch)) (i32.const 116)) (then unreachable))
        (local.set $out (call $match (local.get $exchange) (i32.add (local.get $batch) (i32.const 6)) (i32.load8_u offset=5 (local.get $batch)) (i32.const 4100)))
        (i32.store (i32.const 4096) (local.get $out))
        (call $list (i32.const 4096) (i32.add (local.get $out) (i32.const 1)))";
    let guest = Guest::new(Kind::Packed).body("route", format!("(local $out i32) {trap}"));
    world.load_exchange(&guest.component());
    let exchange = world.bound("ex", &["a", "b"]);
    exchange.unbind(1);
    exchange.bind(3, &binding("a"));
    let other = world.bound("other", &["c"]);
    for _ in 0..3 {
        assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![3]]));
        assert_eq!(route(&*other, &["c"]), Ok(vec![vec![1]]));
        assert_eq!(fault(route(&*exchange, &["trap"])).0, Fault::Trap);
    }
    assert_eq!(route(&*exchange, &["b"]), Ok(vec![vec![2]]));
}

/// While versions change places, each batch is routed wholly by one of them.
#[test]
fn versions_change_places_under_load() {
    let world = World::new();
    let exchange = world.bound("ex", &["a", "b"]);
    let versions = [always(1).component(), always(2).component()];
    world.load_exchange(&versions[0]);
    let over = AtomicBool::new(false);
    let routed: usize = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut routed = 0;
                while !over.load(Ordering::Relaxed) {
                    let lists = route(&*exchange, &["x"; 16]).expect("always one");
                    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
                    routed += lists.len();
                }
                routed
            })
        });
        for turn in 0..20 {
            world.load_exchange(&versions[turn % 2]);
        }
        over.store(true, Ordering::Relaxed);
        let routed = threads.map(|thread| thread.join().expect("no panic"));
        routed.iter().sum()
    });
    let counters = world.host.snapshot("plugin").expect("loaded").counters;
    assert_eq!(counters.messages, routed as u64);
    assert_eq!((counters.loads, counters.failed_loads), (21, 0));
}

#[test]
fn a_type_passes_from_one_plugin_to_another_without_a_moment_between() {
    let world = World::new();
    let exchange = world.bound("ex", &["a", "b"]);
    let giver = PluginSpec {
        name: "giver".to_owned(),
        ..spec()
    };
    world
        .host
        .load(giver, &always(1).component())
        .expect("it loads");
    let component = always(2).component();
    let claimed = world
        .host
        .load(spec(), &component)
        .expect_err("it is taken");
    assert!(claimed.to_string().contains("plugin 'giver' already"));
    let take_over = |component| {
        let loading = Loading {
            spec: spec(),
            component,
            giver: Some("giver"),
        };
        world.host.load_together(vec![loading])
    };
    assert!(take_over(b"broken").is_err());
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![1]]));

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let routed = route(&*exchange, &["x"]);
                assert!(
                    routed == Ok(vec![vec![1]]) || routed == Ok(vec![vec![2]]),
                    "{routed:?}"
                );
            }
        });
        let loaded = take_over(&component);
        done.store(true, Ordering::Relaxed);
        loaded.expect("the giver gives");
    });
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![2]]));
    // What the giver does from now on is of no consequence for the type.
    world.host.unload("giver").expect("it is known");
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![2]]));
    assert!(world.host.rollback("giver").is_err());
    assert_eq!(route(&*exchange, &["x"]), Ok(vec![vec![2]]));
}

/// Two plugins whose types change places, again and again: each exchange is always routed for by whoever supplies its type.
#[test]
fn types_change_places_as_a_whole() {
    let world = World::new();
    let components = [always(1).component(), always(2).component()];
    let (one, other) = (
        world.bound("ex", &["a", "b"]),
        world.bound_as("x-other", "other", &["a", "b"]),
    );
    // The first component supplies the type of `ex`, and the second that of `other`, whichever plugin has it.
    let types = [spec().exchange_type, Some("x-other".to_owned())];
    let load = |names: [&str; 2], second: &[u8]| {
        let loading = |index: usize, component| Loading {
            spec: PluginSpec {
                name: names[index].to_owned(),
                exchange_type: types[index].clone(),
                ..spec()
            },
            component,
            giver: None,
        };
        let set = vec![loading(0, components[0].as_slice()), loading(1, second)];
        world.host.load_together(set)
    };
    load(["p", "q"], &components[1]).expect("two types");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (exchange, expected) in [(&one, 1), (&other, 2)] {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    match route(&**exchange, &["x"]) {
                        Ok(routed) => assert_eq!(routed, [[expected]]),
                        Err(error) => assert_eq!(error.fault, Fault::Replaced, "{error}"),
                    }
                }
            });
        }
        for turn in 0..20 {
            let names = if turn % 2 == 0 {
                ["q", "p"]
            } else {
                ["p", "q"]
            };
            let loaded = load(names, &components[1]);
            if loaded.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            loaded.expect("they change places");
        }
        done.store(true, Ordering::Relaxed);
    });
    // If one of them does not load, both stay as they are, and both say why.
    let failed = load(["q", "p"], b"broken").expect_err("one is broken");
    assert_eq!(failed.plugin, "p");
    assert!(
        failed
            .to_string()
            .starts_with("plugin 'p' is not loaded: this is no WebAssembly component")
    );
    assert_eq!(route(&*one, &["x"]), Ok(vec![vec![1]]));
    assert_eq!(route(&*other, &["x"]), Ok(vec![vec![2]]));
    let told = world.host.snapshot("q").and_then(|q| q.last_error);
    let told = told.expect("it is told").text;
    assert!(
        told.contains("together with plugin 'p', which is not loaded"),
        "{told}"
    );
    let twice = load(["p", "p"], &components[1]).expect_err("the name is there twice");
    assert!(twice.to_string().contains("the same name"), "{twice}");
}

#[test]
fn a_plugin_that_is_forgotten_has_no_earlier_version() {
    let world = World::new();
    world.load_exchange(&always(1).component());
    // Something holds it, as an attachment does.
    let _attached = world.host.transform("plugin", None);
    world.host.forget("plugin");
    world.load_exchange(&always(2).component());
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert!(snapshot.previous.is_none());
    assert!(world.host.rollback("plugin").is_err());
}

#[test]
fn an_instance_that_keeps_what_is_gone_is_replaced() {
    let world = World::new();
    let keeps = Guest::new(Kind::Packed).body(
        "rebind",
        "(if (result i32) (local.get $removes) (then (call $refuse)) (else (i32.const 2048)))",
    );
    world.load_exchange(&keeps.component());
    let exchange = world.bound("ex", &["a", "b"]);
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![]]));
    exchange.unbind(1);
    assert_eq!(fault(route(&*exchange, &["a"])).0, Fault::Refused);
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![]]));
}
