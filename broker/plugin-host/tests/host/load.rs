//! What is loaded, and what is not, and why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::hook::{HeaderNeeds, Needs, OnError, Parts};
use amphora_plugin_host::{Grant, Host, HostSettings, PluginSpec, PluginState};
use expect_test::{Expect, expect};

use crate::guest::{Guest, Kind, key_only};
use crate::world::{Surroundings, World, granted, route, spec};

#[track_caller]
fn refused(spec: PluginSpec, component: &[u8], expected: &Expect) {
    let world = World::new();
    let name = spec.name.clone();
    let error = world.host.load(spec, component).expect_err("refused");
    expected.assert_eq(&error.to_string());
    if let Some(snapshot) = world.host.snapshot(&name) {
        assert_eq!(snapshot.state, PluginState::Failed);
        assert_eq!(
            snapshot.last_error.map(|last| last.text),
            Some(error.to_string())
        );
    }
}

#[test]
fn what_is_no_component_is_refused_with_a_reason() {
    let core = wat::parse_str("(module)").expect("a module");
    let cases: [(&[u8], Expect); 5] = [
        (
            &core,
            expect![
                "this is no WebAssembly component: it is a core module; a component is made of it with `wasm-tools component new`, or by the SDK's build"
            ],
        ),
        (
            b"",
            expect!["this is no WebAssembly component: it is empty"],
        ),
        (
            b"(component)",
            expect!["this is no WebAssembly component: it is text, and has to be assembled first"],
        ),
        (
            b"\x7fELF",
            expect!["this is no WebAssembly component: it does not begin as WebAssembly does"],
        ),
        (
            b"\0asm\x07\0\x02\0",
            expect![
                "this is no WebAssembly component: it is of a version that this broker does not know"
            ],
        ),
    ];
    for (bytes, expected) in &cases {
        refused(spec(), bytes, expected);
    }
    let mut damaged = Guest::new(Kind::Packed).component();
    damaged.truncate(damaged.len() / 2);
    let error = World::new().host.load(spec(), &damaged);
    let error = error.expect_err("damaged").to_string();
    assert!(
        error.starts_with("the component does not compile: "),
        "{error}"
    );
}

#[test]
fn a_component_without_exports_is_refused() {
    let empty = wat::parse_str("(component)").expect("a component");
    refused(
        spec(),
        &empty,
        &expect!["the component does not export amphora:plugin/plugin@0.1.0"],
    );
}

#[test]
fn imports_that_were_not_granted_are_named_with_their_grants() {
    let guest = Guest::new(Kind::Packed)
        .import("log", "write", "(func (param i32 i32 i32))")
        .import("clock", "now", "(func (result i64))");
    refused(
        granted(spec(), Grant::Log),
        &guest.component(),
        &expect![
            "the component imports what it was not granted: amphora:plugin/clock@0.1.0 needs the grant 'clock'"
        ],
    );
    let spec = granted(granted(spec(), Grant::Log), Grant::Clock);
    World::new()
        .host
        .load(spec, &guest.component())
        .expect("granted");
}

#[test]
fn imports_that_nobody_supplies_are_named() {
    let guest = Guest::new(Kind::Packed).foreign(
        "import wasi:http/types@0.2.3;",
        r#"(import "wasi:http/types@0.2.3" "fetch" (func))"#,
    );
    let http = "package wasi:http@0.2.3; interface types { fetch: func(); }";
    refused(
        spec(),
        &guest.component_with(&[http]),
        &expect![
            "the component imports what this broker does not have: wasi:http/types@0.2.3; it may import amphora:plugin interfaces that are granted to it, and wasi: cli, io, clocks, random, filesystem and sockets 0.2, which are empty"
        ],
    );
}

#[test]
fn components_for_another_contract_are_refused_and_for_this_one_are_not() {
    let newer = Guest::new(Kind::Packed).contract("1.3.0").component();
    refused(
        spec(),
        &newer,
        &expect![
            "the component was built against amphora:plugin@1.3.0, and this broker speaks amphora:plugin@0.1.0: build it again with that version's wit/ folder or SDK"
        ],
    );
    let later = Guest::new(Kind::Packed).contract("0.1.7").import(
        "log",
        "write",
        "(func (param i32 i32 i32))",
    );
    let world = World::new();
    let exchange = world.bound("ex", &["a"]);
    let spec = granted(spec(), Grant::Log);
    world.host.load(spec, &later.component()).expect("it links");
    assert_eq!(route(&*exchange, &["a"]), Ok(vec![vec![1]]));
}

#[test]
fn what_the_operator_says_must_make_sense() {
    let packed = Guest::new(Kind::Packed).component();
    let transform = Guest::new(Kind::Transform).component();
    let mut unnamed = spec();
    unnamed.exchange_type = Some("test".to_owned());
    refused(
        unnamed,
        &packed,
        &expect![
            "exchange-type is 'test', and has to begin with 'x-' and to have at most 128 bytes"
        ],
    );
    refused(
        PluginSpec::new("plugin"),
        &packed,
        &expect![
            "the component supplies a type of exchange, and nobody says how it is called: exchange-type is missing"
        ],
    );
    refused(
        spec(),
        &transform,
        &expect!["the component supplies no type of exchange, and is to supply 'x-test'"],
    );
    let mut passing = spec();
    passing.on_error = OnError::Pass;
    refused(
        passing,
        &packed,
        &expect![
            "on-error is 'pass', and an exchange cannot do that: it is reject, drop, dead-letter or alternate-exchange"
        ],
    );
    let mut patient = spec();
    patient.deadline = Duration::from_secs(11);
    refused(
        patient,
        &packed,
        &expect!["deadline is 11000 ms, and more than nothing and at most 10000 ms are allowed"],
    );
    let mut greedy = spec();
    greedy.memory_max = 1 << 40;
    refused(
        greedy,
        &packed,
        &expect![
            "memory is 1099511627776 bytes, and more than nothing and at most 1073741824 are allowed"
        ],
    );
    let mut small = spec();
    small.memory_max = 1 << 20;
    refused(
        small,
        &packed,
        &expect![
            "it does not start: plugin 'plugin': start: it asked for 2097152 bytes of memory, and 1048576 are granted"
        ],
    );
}

#[test]
fn one_type_has_one_plugin() {
    let world = World::new();
    let component = Guest::new(Kind::Packed).component();
    world.load_exchange(&component);
    let mut second = spec();
    second.name = "second".to_owned();
    let error = world.host.load(second.clone(), &component);
    let error = error.expect_err("taken").to_string();
    assert_eq!(
        error,
        "exchange type 'x-test' is supplied by plugin 'plugin' already"
    );
    world.host.unload("plugin").expect("it is there");
    world.host.load(second, &component).expect("free");
}

#[test]
fn needs_that_contradict_each_other_are_refused() {
    let timed = Needs {
        parts: Parts {
            time: true,
            ..Parts::default()
        },
        pure: true,
        ..Needs::default()
    };
    let guest = Guest::new(Kind::Packed).needs(timed);
    refused(
        spec(),
        &guest.component(),
        &expect![
            "what `describe` says the plugin needs is refused: `pure` contradicts `time`: an answer that depends on the time cannot be kept"
        ],
    );
}

#[test]
fn an_inspection_needs_no_grants() {
    let world = World::new();
    let needs = Needs {
        headers: HeaderNeeds::Named(vec!["x-kind".into(), "n".into()]),
        pure: true,
        ..key_only()
    };
    let guest = Guest::new(Kind::Typed)
        .named("a guest")
        .needs(needs.clone())
        .import("log", "write", "(func (param i32 i32 i32))")
        .import("kv", "add", "(func (param i32 i32 i64 i32))");
    let found = world.host.inspect(&guest.component()).expect("sound");
    let described = found.described.expect("it describes itself");
    assert_eq!(
        (&*described.name, &*described.version),
        ("a guest", "1.2.3")
    );
    assert_eq!(described.needs, needs);
    assert_eq!(described.needs_refused, None);
    assert!(found.kinds.exchange_typed && !found.kinds.exchange_packed);
    assert_eq!(found.grants_wanted, [Grant::Log, Grant::Kv].into());
    assert_eq!(found.sha256.len(), 64);
    assert!(
        found
            .imports
            .contains(&"amphora:plugin/kv@0.1.0".to_owned())
    );
    assert!(world.host.snapshots().is_empty());
}

fn cached(folder: &Path) -> Host {
    let settings = HostSettings {
        cache_folder: Some(folder.to_owned()),
        forgets_answers: false,
    };
    Host::new(settings, Arc::<Surroundings>::default()).expect("an engine")
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn compiled_code_is_kept_and_made_again_if_it_is_damaged() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("cache");
    let component = Guest::new(Kind::Packed).component();
    cached(&folder).load(spec(), &component).expect("good");
    let mode = fs::metadata(&folder).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let [code, sum] = &files(&folder)[..] else {
        panic!("{:?}", files(&folder));
    };
    let whole = fs::read(code).expect("code");
    assert_eq!(fs::read_to_string(sum).expect("a sum").len(), 64);
    cached(&folder).load(spec(), &component).expect("kept");
    let damage: [&dyn Fn(); 3] = [
        &|| {
            let mut bytes = whole.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            fs::write(code, bytes).expect("room");
        },
        &|| fs::write(code, &whole[..1000]).expect("room"),
        &|| fs::remove_file(sum).expect("there"),
    ];
    for damage in damage {
        damage();
        cached(&folder)
            .load(spec(), &component)
            .expect("made again");
        assert_eq!(files(&folder).len(), 2);
        assert!(fs::read(code).expect("code") == whole);
    }
    // Another component has code of its own.
    let other = Guest::new(Kind::Typed).component();
    cached(&folder).load(spec(), &other).expect("good");
    assert_eq!(files(&folder).len(), 4);
}

#[test]
fn a_folder_that_others_can_write_to_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let everyone = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), everyone).expect("ours");
    let component = Guest::new(Kind::Packed).component();
    cached(folder.path())
        .load(spec(), &component)
        .expect("good");
    assert!(files(folder.path()).is_empty());
}
