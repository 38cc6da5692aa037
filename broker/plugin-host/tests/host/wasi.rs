//! The empty world of language runtimes.

use amphora_core::hook::{Fault, HookError, Origin, Verdict};
use amphora_plugin_host::{Grant, PluginSpec};
use expect_test::expect;

use crate::guest::{Guest, Kind};
use crate::world::{World, granted};

const PACKAGES: [&str; 5] = [
    "package wasi:io@0.2.3;
    interface error { resource error { to-debug-string: func() -> string; } }
    interface poll { resource pollable { ready: func() -> bool; block: func(); } poll: func(in: list<borrow<pollable>>) -> list<u32>; }
    interface streams {
        use error.{error}; use poll.{pollable};
        variant stream-error { last-operation-failed(error), closed }
        resource input-stream { read: func(len: u64) -> result<list<u8>, stream-error>; }
        resource output-stream { write: func(contents: list<u8>) -> result<_, stream-error>; subscribe: func() -> pollable; }
    }",
    "package wasi:cli@0.2.3;
    interface environment { get-environment: func() -> list<tuple<string, string>>; }
    interface exit { exit: func(status: result); }
    interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }",
    "package wasi:clocks@0.2.3;
    interface monotonic-clock { use wasi:io/poll@0.2.3.{pollable}; now: func() -> u64; subscribe-duration: func(when: u64) -> pollable; }
    interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }",
    "package wasi:random@0.2.3; interface random { get-random-u64: func() -> u64; }",
    "package wasi:sockets@0.2.3;
    interface network { resource network; }
    interface instance-network { use network.{network}; instance-network: func() -> network; }",
];

/// What comes of a transform that imports these functions and has this body.
fn applied(
    spec: PluginSpec,
    imports: &[(&str, &str, &str)],
    body: &str,
) -> Result<Verdict, HookError> {
    let mut guest = Guest::new(Kind::Transform).body("apply", body);
    for (interface, function, signature) in imports {
        let full = format!("wasi:{interface}@0.2.3");
        let line = format!("import {full};");
        let import = format!(r#"(import "{full}" "{function}" {signature})"#);
        guest = guest.foreign(&line, &import);
    }
    let world = World::new();
    let component = guest.component_with(&PACKAGES);
    world.host.load(spec, &component).expect("it loads");
    let transform = world.host.transform("plugin", None);
    transform.apply(&Origin::default(), None)
}

fn plain() -> PluginSpec {
    PluginSpec::new("plugin")
}

const STDERR: (&str, &str, &str) = ("cli/stderr", "get-stderr", "(func $stderr (result i32))");
const WRITE: (&str, &str, &str) = (
    "io/streams",
    "[method]output-stream.write",
    "(func $write (param i32 i32 i32 i32))",
);

#[test]
fn what_was_written_to_standard_error_explains_a_trap() {
    let body =
        "(call $write (call $stderr) (i32.const 2080) (i32.const 11) (i32.const 4096)) unreachable";
    let error = applied(plain(), &[STDERR, WRITE], body).expect_err("a trap");
    assert_eq!(error.fault, Fault::Trap);
    assert!(error.text.contains(": not with me (wasm trap: "), "{error}");
}

#[test]
fn whoever_waits_waits_for_nothing() {
    let imports = [
        (
            "clocks/monotonic-clock",
            "subscribe-duration",
            "(func $after (param i64) (result i32))",
        ),
        (
            "io/poll",
            "[method]pollable.block",
            "(func $block (param i32))",
        ),
    ];
    let hour = "(call $block (call $after (i64.const 3600000000000))) (i32.const 2048)";
    let begun = std::time::Instant::now();
    assert_eq!(applied(plain(), &imports, hour), Ok(Verdict::Pass));
    assert!(begun.elapsed() < std::time::Duration::from_mins(1));
}

const NUMBER: (&str, &str, &str) = (
    "random/random",
    "get-random-u64",
    "(func $number (result i64))",
);
const NOW: (&str, &str, &str) = ("clocks/wall-clock", "now", "(func $now (param i32))");

/// Traps unless chance and time are as given.
fn expecting(number: u64, seconds: u64) -> String {
    format!(
        "(if (i64.ne (call $number) (i64.const {number})) (then unreachable))
        (call $now (i32.const 4096))
        (if (i64.ne (i64.load (i32.const 4096)) (i64.const {seconds})) (then unreachable))
        (i32.const 2048)"
    )
}

#[test]
fn chance_and_time_are_the_same_for_all_unless_they_are_granted() {
    // The first number of SplitMix64 with seed 0.
    let pretended = expecting(0xe220_a839_7b1d_cdaf, 0);
    assert_eq!(
        applied(plain(), &[NUMBER, NOW], &pretended),
        Ok(Verdict::Pass)
    );
    let spec = granted(granted(plain(), Grant::Random), Grant::Clock);
    let real = expecting(0x0707_0707_0707_0707, 1000);
    assert_eq!(applied(spec, &[NUMBER, NOW], &real), Ok(Verdict::Pass));
}

#[test]
fn there_is_no_environment_and_no_way_out() {
    let environment = (
        "cli/environment",
        "get-environment",
        "(func $environment (param i32))",
    );
    let body = "
        (i32.store (i32.const 4100) (i32.const 9))
        (call $environment (i32.const 4096))
        (if (i32.load (i32.const 4100)) (then unreachable))
        (i32.const 2048)";
    assert_eq!(applied(plain(), &[environment], body), Ok(Verdict::Pass));
    let exit = ("cli/exit", "exit", "(func $exit (param i32))");
    let error = applied(plain(), &[exit], "(call $exit (i32.const 0)) unreachable");
    let error = error.expect_err("it ends");
    assert_eq!(error.fault, Fault::Trap);
    expect!["transform.apply: it called exit"]
        .assert_eq(error.text.split(" (in").next().expect("text"));
}

#[test]
fn what_is_not_there_is_named_when_it_is_called() {
    let network = (
        "sockets/instance-network",
        "instance-network",
        "(func $network (result i32))",
    );
    let body = "(drop (call $network)) (i32.const 2048)";
    let error = applied(plain(), &[network], body).expect_err("there is none");
    assert_eq!(error.fault, Fault::Trap);
    assert!(
        error.text.contains(
            "wasi:sockets/instance-network.instance-network, and plugins have no such thing"
        ),
        "{error}"
    );
}
