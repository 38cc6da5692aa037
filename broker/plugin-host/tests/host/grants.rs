//! What guests do with what they are granted.

use std::collections::BTreeSet;
use std::sync::Arc;

use amphora_core::hook::{Fault, Origin, TransformHook, Verdict};
use amphora_plugin_host::{Grant, KvEntry, LogLevel, Metric, PluginSpec};
use bytes::Bytes;

use crate::guest::{Guest, Kind};
use crate::world::{World, fault};

/// A transform with these grants, whose `apply` has this body, and functions that it imports.
pub(crate) fn transform(
    world: &World,
    spec: PluginSpec,
    imports: &[(&str, &str, &str)],
    body: &str,
) -> Arc<dyn TransformHook> {
    let mut guest = Guest::new(Kind::Transform).body("apply", body);
    for (interface, function, signature) in imports {
        guest = guest.import(interface, function, signature);
    }
    world.host.load(spec, &guest.component()).expect("it loads");
    world.host.transform("plugin", None)
}

pub(crate) fn with(grants: &[Grant]) -> PluginSpec {
    let mut spec = PluginSpec::new("plugin");
    spec.grants = grants.iter().copied().collect::<BTreeSet<_>>();
    spec
}

pub(crate) fn apply(transform: &dyn TransformHook) {
    let verdict = transform.apply(&Origin::default(), None);
    assert_eq!(verdict, Ok(Verdict::Pass));
}

pub(crate) const ADD: (&str, &str, &str) = ("kv", "add", "(func $add (param i32 i32 i64 i32))");

/// Adds 1 to the number under the key `not`, and traps if that fails.
pub(crate) const COUNT: &str = "
    (call $add (i32.const 2080) (i32.const 3) (i64.const 1) (i32.const 4096))
    (if (i32.load8_u (i32.const 4096)) (then unreachable))
    (i32.const 2048)";

#[test]
fn a_store_is_shared_by_all_instances_and_each_write_is_told() {
    let world = World::new();
    let transform = transform(&world, with(&[Grant::Kv]), &[ADD], COUNT);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    apply(&*transform);
                }
            });
        }
    });
    let changes = world.around.changes.lock();
    assert_eq!(changes.len(), 100);
    let (key, entry) = &changes[99];
    let entry = entry.as_ref().expect("written");
    assert_eq!(key, b"not");
    assert_eq!(entry.value, 100_i64.to_le_bytes().as_slice());
    assert_eq!(entry.expires_ms, None);
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!((snapshot.kv_entries, snapshot.kv_bytes), (1, 3 + 8 + 64));
}

#[test]
fn a_store_survives_a_restart_and_a_replacement() {
    let world = World::new();
    let number = |number: i64, expires_ms| KvEntry {
        value: Bytes::copy_from_slice(&number.to_le_bytes()),
        expires_ms,
    };
    let entries = [
        (Bytes::from_static(b"not"), number(41, None)),
        (Bytes::from_static(b"old"), number(1, Some(999_999))),
    ];
    world.host.restore_kv("plugin", entries);
    for expected in [42, 43] {
        let transform = transform(&world, with(&[Grant::Kv]), &[ADD], COUNT);
        apply(&*transform);
        let (_, entry) = world.around.changes.lock().pop().expect("written");
        assert_eq!(entry, Some(number(expected, None)));
    }
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!(snapshot.kv_entries, 1, "what is too old is not restored");
}

#[test]
fn configuration_time_and_chance_are_what_the_host_says() {
    let world = World::new();
    let mut spec = with(&[Grant::Config, Grant::Clock, Grant::Random]);
    spec.config.insert("not".to_owned(), "value".to_owned());
    let body = "
        (call $get (i32.const 2080) (i32.const 3) (i32.const 4096))
        (if (i32.ne (i32.load8_u (i32.const 4096)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 4104)) (i32.const 5)) (then unreachable))
        (call $get (i32.const 2080) (i32.const 4) (i32.const 4096))
        (if (i32.ne (i32.load8_u (i32.const 4096)) (i32.const 0)) (then unreachable))
        (if (i64.ne (call $now) (i64.const 1000000)) (then unreachable))
        (if (i64.ne (call $monotonic) (i64.const 1000000000000)) (then unreachable))
        (if (i64.ne (call $number) (i64.const 0x0707070707070707)) (then unreachable))
        (i32.const 2048)";
    let imports = [
        ("config", "get", "(func $get (param i32 i32 i32))"),
        ("clock", "now", "(func $now (result i64))"),
        ("clock", "monotonic", "(func $monotonic (result i64))"),
        ("random", "number", "(func $number (result i64))"),
    ];
    apply(&*transform(&world, spec, &imports, body));
}

#[test]
fn too_many_random_bytes_end_the_call() {
    let world = World::new();
    let body = "(call $bytes (i32.const 65537) (i32.const 4096)) (i32.const 2048)";
    let imports = [("random", "bytes", "(func $bytes (param i32 i32))")];
    let transform = transform(&world, with(&[Grant::Random]), &imports, body);
    let (kind, text) = fault(transform.apply(&Origin::default(), None));
    assert_eq!(kind, Fault::Trap);
    assert!(text.contains("65537 bytes"), "{text}");
}

#[test]
fn lines_and_figures_arrive() {
    let world = World::new();
    let body = "
        (call $write (i32.const 1) (i32.const 2080) (i32.const 11))
        (call $count (i32.const 2080) (i32.const 3) (i64.const 5))
        (call $set (i32.const 2084) (i32.const 4) (f64.const 0.5))
        (call $set (i32.const 2080) (i32.const 11) (f64.const 0.5))
        (i32.const 2048)";
    let imports = [
        ("log", "write", "(func $write (param i32 i32 i32))"),
        ("metrics", "add", "(func $count (param i32 i32 i64))"),
        ("metrics", "set", "(func $set (param i32 i32 f64))"),
    ];
    let spec = with(&[Grant::Log, Grant::Metrics]);
    apply(&*transform(&world, spec, &imports, body));
    let lines = world.host.log("plugin");
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].level, &*lines[0].text, lines[0].time_ms),
        (LogLevel::Warn, "not with me", 1_000_000)
    );
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    let expected = [
        ("not".to_owned(), Metric::Counter(5)),
        ("with".to_owned(), Metric::Gauge(0.5)),
    ];
    assert_eq!(snapshot.metrics, expected.into());
    assert_eq!(snapshot.metrics_dropped, 1, "a name with spaces");
}

#[test]
fn what_a_guest_said_last_explains_its_trap() {
    let world = World::new();
    let body = "(call $write (i32.const 0) (i32.const 2080) (i32.const 11)) unreachable";
    let imports = [("log", "write", "(func $write (param i32 i32 i32))")];
    let transform = transform(&world, with(&[Grant::Log]), &imports, body);
    let (_, text) = fault(transform.apply(&Origin::default(), None));
    assert!(text.contains(": not with me (wasm trap: "), "{text}");
}

/// The record `outgoing` at 4096: 32 bytes of names, properties, headers, body.
pub(crate) const SEND: &str = "
    (i32.store (i32.const 4104) (i32.const 2080))
    (i32.store (i32.const 4108) (i32.const 3))
    (i32.store (i32.const 4112) (i32.const 2084))
    (i32.store (i32.const 4116) (i32.const 4))
    (i32.store (i32.const 4280) (i32.const 2080))
    (i32.store (i32.const 4284) (i32.const 11))
    (call $send (i32.const 4096) (i32.const 8192))
    (if (i32.load8_u (i32.const 8192)) (then unreachable))";

#[test]
fn messages_are_published_when_the_call_is_over_and_not_if_it_fails() {
    let world = World::new();
    let imports = [("publish", "send", "(func $send (param i32 i32))")];
    let body = format!("{SEND} (i32.const 2048)");
    let good = transform(&world, with(&[Grant::Publish]), &imports, &body);
    apply(&*good);
    let published = std::mem::take(&mut *world.around.published.lock());
    let [message] = &published[..] else {
        panic!("{published:?}");
    };
    assert_eq!(message.exchange, "not");
    assert_eq!(message.routing_key, "with");
    assert_eq!(message.body, b"not with me".as_slice());
    assert_eq!(message.properties, [0, 0].as_slice());
    let body = format!("{SEND} unreachable");
    let bad = transform(&world, with(&[Grant::Publish]), &imports, &body);
    assert_eq!(fault(bad.apply(&Origin::default(), None)).0, Fault::Trap);
    assert!(world.around.published.lock().is_empty());
}

const WRITE: (&str, &str, &str) = ("log", "write", "(func $log (param i32 i32 i32))");

#[test]
fn a_line_of_the_log_is_one_line() {
    let world = World::new();
    let forged = "
        (i32.store (i32.const 4096) (i32.const 0x620a61))
        (call $log (i32.const 2) (i32.const 4096) (i32.const 3))
        (i32.const 2048)";
    apply(&*transform(&world, with(&[Grant::Log]), &[WRITE], forged));
    assert_eq!(world.host.log("plugin")[0].text, "a\\nb");
}

#[test]
fn what_was_said_in_another_call_explains_nothing() {
    let world = World::new();
    // An error is told in the first call, and the second traps without a word.
    let body = "
        (if (i32.load (i32.const 4096)) (then unreachable))
        (i32.store (i32.const 4096) (i32.const 1))
        (call $log (i32.const 0) (i32.const 2080) (i32.const 11))
        (i32.const 2048)";
    let transform = transform(&world, with(&[Grant::Log]), &[WRITE], body);
    apply(&*transform);
    let (kind, text) = fault(transform.apply(&Origin::default(), None));
    assert_eq!(kind, Fault::Trap);
    assert!(!text.contains("not with me"), "{text}");
}
