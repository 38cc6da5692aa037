//! What the SDKs of C, JavaScript and Python make of a message with everything in it. Rust's has tests of its own.

use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::hook::{Hooks, Origin, PackedBatch};
use amphora_plugin_host::{Host, HostSettings, PluginSpec, Standalone};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{Decimal, FieldTable, FieldValue};
use amphora_protocol::wire::types::{ShortString, VhostName};
use amphora_tests::workspace;

use crate::built::component;
use crate::exchange::{TYPE, binding, exchange, table};

/// Every type of value, and what is special about some.
fn headers() -> FieldTable {
    table([
        ("void", FieldValue::Void),
        ("yes", FieldValue::Bool(true)),
        ("no", FieldValue::Bool(false)),
        ("b", FieldValue::I8(-8)),
        ("B", FieldValue::U8(200)),
        ("s", FieldValue::I16(-300)),
        ("u", FieldValue::U16(60_000)),
        ("I", FieldValue::I32(-70_000)),
        ("i", FieldValue::U32(4_000_000_000)),
        ("l", FieldValue::I64(i64::MIN)),
        ("L", FieldValue::LongLong(i64::MAX)),
        ("f", FieldValue::F32(-0.1)),
        ("d", FieldValue::F64(1.0 / 3.0)),
        ("D", FieldValue::Decimal(decimal())),
        ("S", FieldValue::LongString("tüxt €😀".into())),
        ("x", FieldValue::ByteArray([0_u8, 255].to_vec().into())),
        ("T", FieldValue::Timestamp(1 << 40)),
        ("", FieldValue::Array(Vec::new())),
        ("nested", nested()),
    ])
}

fn decimal() -> Decimal {
    Decimal {
        scale: 2,
        value: (-314_i32).cast_unsigned(),
    }
}

/// What fits into the contract's table as it is on the wire, with nothing beyond what JavaScript's numbers hold.
fn nested() -> FieldValue {
    let inner = table([
        ("empty", FieldValue::Table(FieldTable::new())),
        ("number", FieldValue::I64(-(1 << 52))),
        ("real", FieldValue::F64(0.5)),
        ("decimal", FieldValue::Decimal(decimal())),
        ("raw", FieldValue::ByteArray([1_u8, 2].to_vec().into())),
        ("time", FieldValue::Timestamp(60)),
        ("void", FieldValue::Void),
    ]);
    FieldValue::Array(vec![
        FieldValue::Table(inner),
        FieldValue::Array(vec![
            FieldValue::Bool(true),
            FieldValue::LongString("é".into()),
        ]),
        FieldValue::Array(Vec::new()),
        FieldValue::LongString("".into()),
    ])
}

fn words(value: &FieldValue) -> String {
    if let Some(integer) = value.as_integer() {
        return integer.to_string();
    }
    match value {
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => format!("f{:016x}", f64::from(*value).to_bits()),
        FieldValue::F64(value) => format!("f{:016x}", value.to_bits()),
        FieldValue::Decimal(Decimal { scale, value }) => {
            format!("d{scale}/{}", value.cast_signed())
        }
        FieldValue::LongString(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
        FieldValue::ByteArray(bytes) => format!("x{}", hex(bytes)),
        FieldValue::Timestamp(seconds) => format!("@{seconds}"),
        FieldValue::Array(values) => {
            let values: Vec<String> = values.iter().map(words).collect();
            format!("[{}]", values.join(","))
        }
        FieldValue::Table(fields) => table_words(fields),
        _ => "void".to_owned(),
    }
}

fn table_words(fields: &FieldTable) -> String {
    let fields = fields.iter();
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name}:{}", words(value)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for octet in bytes {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// What a plugin sees of the message, in words.
fn seen(origin: &Origin<'_>, others: &BasicProperties, headers: &FieldTable) -> String {
    [
        origin.vhost,
        origin.exchange,
        origin.routing_key,
        origin.user,
        &origin.time_ms.to_string(),
        &hex(&others.to_bytes()),
        &table_words(headers),
        &origin.body.len().to_string(),
        &hex(origin.body),
    ]
    .join(" ")
}

fn check(language: &str, files: &[&str]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for file in files {
        let sdk = workspace().join("plugins/sdk").join(language).join(file);
        fs::copy(sdk, folder.path().join(file))?;
    }
    let extension = files[0].rsplit('.').next().unwrap_or_default();
    let plugin = format!("plugin.{extension}");
    let source = workspace().join("tests/plugins/seen").join(&plugin);
    fs::copy(source, folder.path().join(plugin))?;

    let host = Host::new(HostSettings::default(), Arc::new(Standalone::default()))?;
    let mut spec = PluginSpec::new("seen");
    spec.exchange_type = Some(TYPE.to_owned());
    spec.deadline = Duration::from_secs(10);
    host.load(spec, &component(folder.path())?)?;

    let others = BasicProperties {
        content_type: ShortString::new("text/plain").ok(),
        delivery_mode: Some(2),
        timestamp: Some(7),
        ..BasicProperties::default()
    };
    let whole = BasicProperties {
        headers: Some(headers()),
        ..others.clone()
    };
    let whole = whole.to_bytes();
    let full = Origin {
        vhost: "/",
        exchange: "über",
        routing_key: "a.b",
        user: "guest",
        time_ms: 1_700_000_000_123,
        properties: &whole,
        body: &[0, 1, 0xff],
    };
    let none = BasicProperties::default();
    let bare = none.to_bytes();
    let empty = Origin {
        properties: &bare,
        ..Origin::default()
    };
    let hook = host.exchange(TYPE, &VhostName::new("/")?, &exchange("über")?);
    for (id, text) in [
        (1, seen(&full, &others, &headers())),
        (2, seen(&empty, &none, &FieldTable::new())),
        (3, "something else".to_owned()),
    ] {
        let binding = binding(
            "",
            table([
                ("x-seen", FieldValue::LongString(text.into())),
                ("x-value", nested()),
                (
                    "x-value-seen",
                    FieldValue::LongString(words(&nested()).into()),
                ),
            ]),
        )?;
        hook.bind(id, &Arc::new(binding));
    }
    let needs = hook.needs()?;
    let mut batch = PackedBatch::default();
    for origin in [&full, &empty, &full] {
        batch.push(&needs, origin)?;
    }
    let mut answer = Vec::new();
    hook.route(&batch, &mut answer)?;
    assert_eq!(answer, [1, 1, 1, 2, 1, 1]);
    Ok(())
}

#[test]
fn c() -> anyhow::Result<()> {
    check("c", &["amphora.c", "amphora.h"])
}

#[test]
fn javascript() -> anyhow::Result<()> {
    check("js", &["amphora.js"])
}

#[test]
fn python() -> anyhow::Result<()> {
    check("python", &["amphora.py"])
}
