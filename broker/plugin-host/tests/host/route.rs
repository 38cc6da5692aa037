//! Exchanges whose type a guest supplies.

use std::sync::Arc;

use amphora_core::hook::{Fault, HookError, Hooks};

use crate::guest::{Guest, Kind};
use crate::world::{TYPE, World, binding, route, spec};

fn routes_by_key(kind: Kind) -> Result<(), HookError> {
    let world = World::new();
    world.load_exchange(&Guest::new(kind).component());
    let exchange = world.bound("ex", &["a", "b", "a", "c.d"]);
    let routed = route(&*exchange, &["a", "x", "c.d", "", "b"])?;
    assert_eq!(routed, [vec![1, 3], vec![], vec![4], vec![], vec![2]]);
    exchange.unbind(1);
    exchange.bind(5, &binding("x"));
    let other = world.bound("other", &["a"]);
    let routed = route(&*exchange, &["a", "x"])?;
    assert_eq!(routed, [vec![3], vec![5]]);
    assert_eq!(route(&*other, &["a", "x"])?, [vec![1], vec![]]);
    Ok(())
}

#[test]
fn packed_batches_are_routed() -> Result<(), HookError> {
    routes_by_key(Kind::Packed)
}

#[test]
fn records_are_routed() -> Result<(), HookError> {
    routes_by_key(Kind::Typed)
}

#[test]
fn each_thread_has_an_instance_that_knows_all() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let exchange = world.bound("ex", &["a", "b"]);
    std::thread::scope(|scope| {
        let threads = [(); 3].map(|()| {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(route(&*exchange, &["b"]), Ok(vec![vec![2]]));
                }
            })
        });
        // To the end of each: what a thread keeps goes after its last line.
        for thread in threads {
            thread.join().expect("does not panic");
        }
    });
    let counters = world.host.snapshot("plugin").expect("loaded").counters;
    assert_eq!((counters.calls, counters.messages), (300, 300));
    assert_eq!(counters.batch_sizes[0], 300);
    assert!(!counters.time.is_zero());
    // The threads are gone, and so are their instances.
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!((snapshot.instances, snapshot.memory), (0, 0));
}

#[test]
fn an_exchange_waits_for_its_plugin() {
    let world = World::new();
    assert!(!world.host.has_exchange_type(TYPE));
    let exchange = world.bound("ex", &["a"]);
    let error = route(&*exchange, &["a"]).expect_err("nobody is there");
    assert_eq!(error.fault, Fault::NotLoaded);
    assert!(error.to_string().contains(TYPE), "{error}");
    world.load_exchange(&Guest::new(Kind::Packed).component());
    assert!(world.host.has_exchange_type(TYPE));
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1]]));
    world.host.unload("plugin").expect("it is there");
    assert!(!world.host.has_exchange_type(TYPE));
    let error = route(&*exchange, &["a"]).expect_err("it is gone");
    assert_eq!(error.fault, Fault::NotLoaded);
    world.host.rollback("plugin").expect("it was there");
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1]]));
}

#[test]
fn declarations_and_bindings_are_checked_with_the_plugin_s_own_words() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let arguments = amphora_protocol::wire::table::FieldTable::new();
    let check = |name| world.host.check_exchange(TYPE, "/", name, &arguments);
    assert_eq!(check("good"), Ok(()));
    let error = check("!bad").expect_err("refused");
    assert_eq!((error.fault, &*error.text), (Fault::Refused, "not with me"));
    let check = |key| {
        let binding = binding(key);
        world
            .host
            .check_binding(TYPE, "/", "good", &arguments, &binding)
    };
    assert_eq!(check("good"), Ok(()));
    let error = check("!bad").expect_err("refused");
    assert_eq!((error.fault, &*error.text), (Fault::Refused, "not with me"));
    // Refusals are no failures.
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!(snapshot.last_error, None);
}

#[test]
fn a_binding_that_is_refused_late_matches_nothing_and_the_others_go_on() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let exchange = world.bound("ex", &["a", "!b", "c"]);
    let routed = route(&*exchange, &["a", "!b", "c"]);
    assert_eq!(routed, Ok(vec![vec![1], vec![], vec![3]]));
    exchange.unbind(2);
    exchange.unbind(1);
    let routed = route(&*exchange, &["a", "c"]);
    assert_eq!(routed, Ok(vec![vec![], vec![3]]));
}

#[test]
fn the_batch_grows_with_what_the_deadline_has_room_for() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let exchange = world.bound("ex", &["a"]);
    assert_eq!(exchange.batch_max(), 1, "it may be slow");
    for _ in 0..50 {
        route(&*exchange, &["a"; 32]).expect("well-behaved");
    }
    let after = exchange.batch_max();
    assert!(after > 32, "{after}");
    // A message that takes a whole deadline leaves room for no second one.
    let mut hasty = spec();
    hasty.deadline = std::time::Duration::from_millis(5);
    let slow = Guest::new(Kind::Packed).body("route", "(loop $ever (br $ever)) (i32.const 0)");
    world.host.load(hasty, &slow.component()).expect("loads");
    let error = route(&*exchange, &["a"]).expect_err("too slow");
    assert_eq!(error.fault, Fault::Timeout);
    assert_eq!(exchange.batch_max(), 1);
}

/// Deleted exchanges and bindings leave nothing behind, and a thousand exchanges share one instance.
#[test]
fn a_thousand_exchanges_share_one_instance() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let before = resident();
    let exchanges: Vec<_> = (0..1000)
        .map(|number| world.bound(&format!("ex{number}"), &["a", "b"]))
        .collect();
    for exchange in &exchanges {
        assert_eq!(route(&**exchange, &["b", "c"]), Ok(vec![vec![2], vec![]]));
    }
    let each = resident().saturating_sub(before) / 1000;
    println!("{each} bytes for each exchange with two bindings");
    assert!(each < 4096, "{each} bytes for each exchange");
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!((snapshot.instances, snapshot.exchanges), (1, 1000));
    assert_eq!(snapshot.memory, 2 << 20);
    let last = Arc::clone(&exchanges[999]);
    drop(exchanges);
    assert_eq!(route(&*last, &["a"]), Ok(vec![vec![1]]));
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!((snapshot.instances, snapshot.exchanges), (1, 1));
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("a number");
    pages * 4096
}
