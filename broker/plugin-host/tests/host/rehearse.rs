//! What a plugin would answer: nothing comes of the question.

use amphora_core::hook::{Fault, Origin, PackedBatch, Sending, Verdict};
use amphora_plugin_host::{Grant, PluginSpec, PluginState};
use amphora_protocol::wire::types::RoutingKey;

use crate::grants::{ADD, COUNT, SEND, apply, transform, with};
use crate::guest::{Guest, Kind};
use crate::world::{World, fault, route};

const WRITE: (&str, &str, &str) = ("log", "write", "(func $write (param i32 i32 i32))");
const FIGURE: (&str, &str, &str) = ("metrics", "add", "(func $figure (param i32 i32 i64))");

#[test]
fn what_a_plugin_would_do_is_told_and_not_done() {
    let world = World::new();
    let body = format!(
        "(call $write (i32.const 1) (i32.const 2080) (i32.const 11))
         (call $figure (i32.const 2080) (i32.const 3) (i64.const 5))
         {SEND} {COUNT}"
    );
    let imports = [
        ADD,
        WRITE,
        FIGURE,
        ("publish", "send", "(func $send (param i32 i32))"),
    ];
    let grants = [Grant::Kv, Grant::Publish, Grant::Log, Grant::Metrics];
    let transform = transform(&world, with(&grants), &imports, &body);
    apply(&*transform);
    let before = world.host.snapshot("plugin").expect("loaded");
    world.around.changes.lock().clear();
    world.around.published.lock().clear();
    for _ in 0..3 {
        let rehearsed = transform
            .rehearse(&Origin::default(), None)
            .expect("an answer");
        assert_eq!(rehearsed.answer, Verdict::Pass);
        assert_eq!(rehearsed.log, [("warn", "not with me".to_owned())]);
        assert_eq!(rehearsed.stored, 1);
        let sent = Sending {
            vhost: String::new(),
            exchange: "not".to_owned(),
            routing_key: RoutingKey::new("with").expect("short"),
        };
        assert_eq!(rehearsed.sent, [sent]);
    }
    assert!(world.around.changes.lock().is_empty());
    assert!(world.around.published.lock().is_empty());
    assert_eq!(world.host.log("plugin").len(), 1);
    let after = world.host.snapshot("plugin").expect("loaded");
    assert_eq!(after.metrics, before.metrics);
    assert_eq!(after.counters.calls, before.counters.calls);
    assert_eq!(
        (after.instances, after.memory),
        (before.instances, before.memory)
    );
    // The store is as it was: 1 and 1.
    apply(&*transform);
    let (_, entry) = world.around.changes.lock().pop().expect("written");
    assert_eq!(entry.expect("there").value, 2_i64.to_le_bytes().as_slice());
}

#[test]
fn a_failure_is_nobodys_and_quarantine_is_told() {
    let world = World::new();
    let bad = transform(&world, PluginSpec::new("plugin"), &[], "unreachable");
    for _ in 0..20 {
        assert_eq!(fault(bad.rehearse(&Origin::default(), None)).0, Fault::Trap);
    }
    let snapshot = world.host.snapshot("plugin").expect("loaded");
    assert_eq!(snapshot.state, PluginState::Loaded);
    assert_eq!(snapshot.counters.faults.values().sum::<u64>(), 0);
    assert_eq!(snapshot.last_error, None);
    for _ in 0..20 {
        fault(bad.apply(&Origin::default(), None));
    }
    assert_eq!(
        fault(bad.rehearse(&Origin::default(), None)).0,
        Fault::Quarantined
    );
}

#[test]
fn an_exchange_names_its_bindings() {
    for kind in [Kind::Packed, Kind::Typed] {
        let world = World::new();
        world.load_exchange(&Guest::new(kind).component());
        let exchange = world.bound("ex", &["a", "b", "a"]);
        let mut batch = PackedBatch::default();
        let origin = Origin {
            routing_key: "a",
            properties: &[0, 0],
            ..Origin::default()
        };
        let needs = exchange.needs().expect("loaded");
        batch.push(&needs, &origin).expect("sound");
        assert_eq!(exchange.rehearse(&batch).expect("an answer").answer, [1, 3]);
        assert_eq!(
            world
                .host
                .snapshot("plugin")
                .expect("loaded")
                .counters
                .calls,
            0
        );
        assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1, 3]]));
        world.host.unload("plugin").expect("it was loaded");
        let unloaded = exchange.rehearse(&batch).expect_err("it is not there");
        assert_eq!(unloaded.fault, Fault::NotLoaded);
    }
}
