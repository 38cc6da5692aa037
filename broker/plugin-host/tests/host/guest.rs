//! Guests for tests: a few functions in the text format, made into a component by the tools that others use, with the contract as it is
//! in `wit/`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use amphora_core::hook::{BodyNeeds, HeaderNeeds, Needs, Parts};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Which interfaces a guest exports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Packed,
    Typed,
    Transform,
}

/// A guest. What is not said is that of a well-behaved one, which routes by equal routing keys or lets every message pass.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    kind: Kind,
    needs: Needs,
    name: &'static str,
    /// Of the contract's package.
    version: &'static str,
    /// Lines of the world.
    world: String,
    /// What stands in front of all functions.
    imports: String,
    /// The bodies of functions, by name.
    bodies: BTreeMap<&'static str, String>,
    /// More functions and segments.
    more: String,
}

/// Needs nothing but the routing key.
pub(crate) fn key_only() -> Needs {
    Needs {
        parts: Parts {
            routing_key: true,
            ..Parts::default()
        },
        ..Needs::default()
    }
}

impl Guest {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            needs: key_only(),
            name: "guest",
            version: "0.1.0",
            world: String::new(),
            imports: String::new(),
            bodies: BTreeMap::new(),
            more: String::new(),
        }
    }

    pub(crate) fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    pub(crate) fn contract(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// Another body for one of the exported functions.
    pub(crate) fn body(mut self, function: &'static str, body: impl Into<String>) -> Self {
        self.bodies.insert(function, body.into());
        self
    }

    /// An import: its line in the world, and the function.
    pub(crate) fn import(mut self, interface: &str, function: &str, as_wat: &str) -> Self {
        let full = format!("amphora:plugin/{interface}@{}", self.version);
        let line = format!("import {full};");
        if !self.world.contains(&line) {
            self.world.push_str(&line);
        }
        let _ = writeln!(self.imports, r#"(import "{full}" "{function}" {as_wat})"#);
        self
    }

    /// An import of another package, with that package's text.
    pub(crate) fn foreign(mut self, line: &str, function: &str) -> Self {
        self.world.push_str(line);
        self.imports.push_str(function);
        self
    }

    pub(crate) fn more(mut self, more: &str) -> Self {
        self.more.push_str(more);
        self
    }

    /// The component, with packages that the contract does not have.
    pub(crate) fn component_with(&self, packages: &[&str]) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let contract = contract(self.version);
        resolve.push_dir(contract.path()).expect("the contract");
        for text in packages {
            resolve.push_str("package.wit", text).expect("a package");
        }
        let world = self.world();
        let package = resolve.push_str("guest.wit", &world).expect("a world");
        let world = resolve
            .select_world(&[package], Some("guest"))
            .expect("the world");
        let mut module = wat::parse_str(self.module()).expect("a module");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("metadata");
        let mut encoder = ComponentEncoder::default().validate(true);
        encoder = encoder.module(&module).expect("a module that fits");
        encoder.encode().expect("a component")
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        self.component_with(&[])
    }

    fn interfaces(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Packed => &["plugin", "exchange", "exchange-packed"],
            Kind::Typed => &["plugin", "exchange", "exchange-typed"],
            Kind::Transform => &["plugin", "transform"],
        }
    }

    fn world(&self) -> String {
        let mut text = format!("package test:guest; world guest {{ {}", self.world);
        for interface in self.interfaces() {
            let _ = write!(text, "export amphora:plugin/{interface}@{};", self.version);
        }
        text + "}"
    }

    fn body_of(&self, function: &str, standard: &str) -> String {
        let body = self.bodies.get(function);
        body.map_or_else(|| standard.to_owned(), Clone::clone)
    }

    fn module(&self) -> String {
        let mut text = format!("(module {}\n{PRELUDE}\n{}", self.imports, self.more);
        let _ = writeln!(text, "{}", self.description());
        let mut export = |interface: &str, function: &str, signature: &str, standard: &str| {
            let name = format!("amphora:plugin/{interface}@{}#{function}", self.version);
            let body = self.body_of(function, standard);
            let _ = writeln!(text, r#"(func (export "{name}") {signature} {body})"#);
            if signature.contains("result") {
                let _ = writeln!(
                    text,
                    r#"(func (export "cabi_post_{name}") (param i32) (call $done))"#
                );
            }
        };
        export("plugin", "describe", "(result i32)", "(i32.const 16)");
        if self.kind == Kind::Transform {
            export(
                "transform",
                "apply",
                "(param $message i32) (result i32)",
                "(i32.const 2048)",
            );
            return text + ")";
        }
        let create = "(param $exchange i32) (param i32 i32) (param $name i32) (param $length i32) (param i32 i32 i32 i32) (result i32)";
        export("exchange", "create", create, CREATE);
        export("exchange", "delete", "(param $exchange i32)", DELETE);
        let rebind = "(param $exchange i32) (param $add i32) (param $adds i32) (param $remove i32) (param $removes i32) (result i32)";
        export("exchange", "rebind", rebind, REBIND);
        let route = "(param $exchange i32) (param $batch i32) (param $length i32) (result i32)";
        if self.kind == Kind::Packed {
            export("exchange-packed", "route", route, ROUTE_PACKED);
        } else {
            export("exchange-typed", "route", route, ROUTE_TYPED);
        }
        text + ")"
    }

    /// The record `description` at 16, and what it points to from 256 on.
    fn description(&self) -> String {
        let mut record = Vec::new();
        let mut pointed = Vec::new();
        let mut text = |text: &str, record: &mut Vec<u8>| {
            let place = 256 + u32::try_from(pointed.len()).expect("few");
            record.extend_from_slice(&place.to_le_bytes());
            record.extend_from_slice(&u32::try_from(text.len()).expect("few").to_le_bytes());
            pointed.extend_from_slice(text.as_bytes());
        };
        text(self.name, &mut record);
        text("1.2.3", &mut record);
        let Parts {
            vhost,
            exchange,
            routing_key,
            user,
            time,
            properties,
        } = self.needs.parts;
        let parts = [vhost, exchange, routing_key, user, time, properties];
        let flags = parts
            .iter()
            .rev()
            .fold(0, |flags, part| flags << 1 | u8::from(*part));
        record.extend_from_slice(&[flags, 0, 0, 0]);
        let mut names = Vec::new();
        match &self.needs.headers {
            HeaderNeeds::None => record.extend_from_slice(&[0; 12]),
            HeaderNeeds::All => record.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            HeaderNeeds::Named(list) => {
                for name in list {
                    text(name, &mut names);
                }
                record.extend_from_slice(&[1, 0, 0, 0]);
                record.extend_from_slice(&768_u32.to_le_bytes());
                let count = u32::try_from(list.len()).expect("few");
                record.extend_from_slice(&count.to_le_bytes());
            }
        }
        let (tag, length) = match self.needs.body {
            BodyNeeds::None => (0, 0),
            BodyNeeds::Prefix(length) => (1, length),
            BodyNeeds::Whole => (2, 0),
        };
        record.extend_from_slice(&[tag, 0, 0, 0]);
        record.extend_from_slice(&length.to_le_bytes());
        record.push(self.needs.pure.into());
        format!(
            "(data (i32.const 16) \"{}\") (data (i32.const 256) \"{}\") (data (i32.const 768) \"{}\")",
            escaped(&record),
            escaped(&pointed),
            escaped(&names)
        )
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

/// The contract as it would be in another version.
fn contract(version: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let wit = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"));
    for entry in std::fs::read_dir(wit).expect("the contract") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let text = std::fs::read_to_string(&path).expect("text");
            let text = text.replace("amphora:plugin@0.1.0", &format!("amphora:plugin@{version}"));
            let name = path.file_name().expect("a name");
            std::fs::write(folder.path().join(name), text).expect("room");
        }
    }
    folder
}

/// Memory, and where things are: results that are all zero at 2048, a refusal at 2064, bindings from 64 KiB on as (exchange, id, key, length),
/// their keys from 256 KiB on, and from 1 MiB on what is thrown away after each call.
const PRELUDE: &str = r#"
(memory (export "memory") 32)
(global $heap (mut i32) (i32.const 0x100000))
(global $arena (mut i32) (i32.const 0x40000))
(global $count (mut i32) (i32.const 0))
(data (i32.const 2080) "not with me")
(func $done (global.set $heap (i32.const 0x100000)))
(func $alloc (param $size i32) (result i32) (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
    (then (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))))))
  (local.get $at))
(func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (call $alloc (local.get $size)))
  (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
  (local.get $at))
(func $refuse (result i32)
  (i32.store (i32.const 2064) (i32.const 1))
  (i32.store (i32.const 2068) (i32.const 2080))
  (i32.store (i32.const 2072) (i32.const 11))
  (i32.const 2064))
(func $same (param $a i32) (param $b i32) (param $length i32) (result i32)
  (block $differ
    (loop $each
      (if (i32.eqz (local.get $length)) (then (return (i32.const 1))))
      (local.set $length (i32.sub (local.get $length) (i32.const 1)))
      (br_if $differ (i32.ne
        (i32.load8_u (i32.add (local.get $a) (local.get $length)))
        (i32.load8_u (i32.add (local.get $b) (local.get $length)))))
      (br $each)))
  (i32.const 0))
(func $keep (param $exchange i32) (param $id i32) (param $key i32) (param $length i32) (local $at i32)
  (local.set $at (i32.add (i32.const 0x10000) (i32.mul (global.get $count) (i32.const 16))))
  (i32.store (local.get $at) (local.get $exchange))
  (i32.store offset=4 (local.get $at) (local.get $id))
  (i32.store offset=8 (local.get $at) (global.get $arena))
  (i32.store offset=12 (local.get $at) (local.get $length))
  (memory.copy (global.get $arena) (local.get $key) (local.get $length))
  (global.set $arena (i32.add (global.get $arena) (local.get $length)))
  (global.set $count (i32.add (global.get $count) (i32.const 1))))
;; Forgets one binding of an exchange, or all for id -1.
(func $forget (param $exchange i32) (param $id i32) (local $i i32) (local $at i32)
  (block $all
    (loop $each
      (br_if $all (i32.ge_u (local.get $i) (global.get $count)))
      (local.set $at (i32.add (i32.const 0x10000) (i32.mul (local.get $i) (i32.const 16))))
      (if (i32.and (i32.eq (i32.load (local.get $at)) (local.get $exchange))
            (i32.or (i32.eq (local.get $id) (i32.const -1)) (i32.eq (i32.load offset=4 (local.get $at)) (local.get $id))))
        (then (i32.store (local.get $at) (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each))))
;; Appends the ids of an exchange's bindings with this key at $out; returns how many.
(func $match (param $exchange i32) (param $key i32) (param $length i32) (param $out i32) (result i32)
  (local $i i32) (local $at i32) (local $found i32)
  (block $all
    (loop $each
      (br_if $all (i32.ge_u (local.get $i) (global.get $count)))
      (local.set $at (i32.add (i32.const 0x10000) (i32.mul (local.get $i) (i32.const 16))))
      (if (i32.and (i32.eq (i32.load (local.get $at)) (local.get $exchange))
            (i32.eq (i32.load offset=12 (local.get $at)) (local.get $length)))
        (then (if (call $same (i32.load offset=8 (local.get $at)) (local.get $key) (local.get $length))
          (then
            (i32.store (i32.add (local.get $out) (i32.mul (local.get $found) (i32.const 4))) (i32.load offset=4 (local.get $at)))
            (local.set $found (i32.add (local.get $found) (i32.const 1)))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
  (local.get $found))
;; A result that is a list.
(func $list (param $first i32) (param $count i32) (result i32) (local $at i32)
  (local.set $at (call $alloc (i32.const 8)))
  (i32.store (local.get $at) (local.get $first))
  (i32.store offset=4 (local.get $at) (local.get $count))
  (local.get $at))
"#;

/// Refuses exchanges whose name begins with an exclamation mark.
const CREATE: &str = "
  (if (local.get $length)
    (then (if (i32.eq (i32.load8_u (local.get $name)) (i32.const 33)) (then (return (call $refuse))))))
  (i32.const 2048)";

const DELETE: &str = "(call $forget (local.get $exchange) (i32.const -1))";

/// Refuses bindings whose routing key begins with an exclamation mark.
const REBIND: &str = "
  (local $i i32) (local $at i32)
  (block $checked
    (loop $each
      (br_if $checked (i32.ge_u (local.get $i) (local.get $adds)))
      (local.set $at (i32.add (local.get $add) (i32.mul (local.get $i) (i32.const 36))))
      (if (i32.load offset=16 (local.get $at))
        (then (if (i32.eq (i32.load8_u (i32.load offset=12 (local.get $at))) (i32.const 33)) (then (return (call $refuse))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
  (local.set $i (i32.const 0))
  (block $removed
    (loop $each
      (br_if $removed (i32.ge_u (local.get $i) (local.get $removes)))
      (call $forget (local.get $exchange) (i32.load (i32.add (local.get $remove) (i32.mul (local.get $i) (i32.const 4)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
  (local.set $i (i32.const 0))
  (block $added
    (loop $each
      (br_if $added (i32.ge_u (local.get $i) (local.get $adds)))
      (local.set $at (i32.add (local.get $add) (i32.mul (local.get $i) (i32.const 36))))
      (call $keep (local.get $exchange) (i32.load (local.get $at)) (i32.load offset=12 (local.get $at)) (i32.load offset=16 (local.get $at)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
  (i32.const 2048)";

const ROUTE_PACKED: &str = "
  (local $left i32) (local $at i32) (local $begin i32) (local $out i32) (local $found i32)
  (local.set $begin (call $alloc (i32.const 0x20000)))
  (local.set $out (local.get $begin))
  (local.set $left (i32.load offset=1 (local.get $batch)))
  (local.set $at (i32.add (local.get $batch) (i32.const 5)))
  (block $all
    (loop $each
      (br_if $all (i32.eqz (local.get $left)))
      (local.set $found (call $match (local.get $exchange)
        (i32.add (local.get $at) (i32.const 1)) (i32.load8_u (local.get $at)) (i32.add (local.get $out) (i32.const 4))))
      (i32.store (local.get $out) (local.get $found))
      (local.set $out (i32.add (local.get $out) (i32.mul (i32.add (local.get $found) (i32.const 1)) (i32.const 4))))
      (local.set $at (i32.add (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $each)))
  (call $list (local.get $begin) (i32.div_u (i32.sub (local.get $out) (local.get $begin)) (i32.const 4)))";

const ROUTE_TYPED: &str = "
  (local $i i32) (local $at i32) (local $lists i32) (local $ids i32) (local $found i32)
  (local.set $lists (call $alloc (i32.mul (local.get $length) (i32.const 8))))
  (block $all
    (loop $each
      (br_if $all (i32.ge_u (local.get $i) (local.get $length)))
      (local.set $at (i32.add (local.get $batch) (i32.mul (local.get $i) (i32.const 216))))
      (local.set $ids (call $alloc (i32.const 4096)))
      (local.set $found (call $match (local.get $exchange)
        (i32.load offset=16 (local.get $at)) (i32.load offset=20 (local.get $at)) (local.get $ids)))
      (i32.store (i32.add (local.get $lists) (i32.mul (local.get $i) (i32.const 8))) (local.get $ids))
      (i32.store offset=4 (i32.add (local.get $lists) (i32.mul (local.get $i) (i32.const 8))) (local.get $found))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
  (call $list (local.get $lists) (local.get $length))";
