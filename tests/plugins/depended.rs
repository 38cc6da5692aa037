//! Versions that lack what somebody depends on: they are refused, whoever loads them, and the version before stays.

use std::path::Path;

use amphora_protocol::wire::table::FieldValue;
use amphora_tests::{Broker, Settings};
use anyhow::ensure;
use serde_json::Value;

use crate::built::{component, plugin};
use crate::channel::{Channel, none};
use crate::exchange::table;
use crate::hot_load::{REFUSED, is_told};
use crate::operator::{ask, shown, upload};

/// A new project in C of this kind, built.
fn project(folder: &Path, kind: &str) -> anyhow::Result<Vec<u8>> {
    plugin(folder, &["new", "--lang", "c", "--kind", kind, kind])?;
    component(&folder.join(kind))
}

fn hash(broker: &Broker) -> anyhow::Result<Value> {
    Ok(shown(broker, "up")?["hash"].clone())
}

/// Refused with this reason, which is what the API says from then on.
fn is_refused(
    broker: &Broker,
    (status, text): (u16, String),
    expected: (u16, &str),
) -> anyhow::Result<()> {
    assert_eq!(status, expected.0, "{text}");
    let told: Value = serde_json::from_str(&text)?;
    assert_eq!(told["reason"], expected.1);
    is_told(broker, "up", expected.1)
}

#[test]
fn an_upload_without_what_is_needed_is_refused() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let transform = project(folder.path(), "transform")?;
    let exchange = project(folder.path(), "exchange")?;
    let mut broker = Broker::start()?;
    ensure!(upload(&broker, "up", &transform)?.0 == 201);
    let mut channel = Channel::open(&broker)?;
    let named = || table([("x-transform", FieldValue::Array(vec!["up".into()]))]);
    channel.queue("jobs", named())?;
    let first = hash(&broker)?;

    let typed = "/plugins/up?exchange-type=x-up";
    let put = |broker: &Broker, path: &str, bytes: &[u8]| ask(broker, "PUT", path, bytes);
    let reason = "the component has no transform, and plugin 'up' is needed as one: queue 'jobs' in vhost '/' has it as 'x-transform'";
    is_refused(&broker, put(&broker, typed, &exchange)?, (409, reason))?;
    assert_eq!(hash(&broker)?, first);
    ensure!(channel.publish(("", "jobs"), none(), "body")?, "it works");
    broker.kill()?;
    broker.restart()?;
    assert_eq!(hash(&broker)?, first, "nothing of the other one was kept");

    ensure!(ask(&broker, "DELETE", "/queues/%2F/jobs", b"")?.0 == 204);
    ensure!(put(&broker, typed, &exchange)?.0 == 204);
    let second = hash(&broker)?;
    let mut channel = Channel::open(&broker)?;
    channel.exchange("orders", "x-up", none())?;
    channel.queue("q", none())?;
    channel.bind_with("q", "orders", "a")?;

    let reason = "the component supplies no type of exchange, and is to supply 'x-up', which is needed: exchange 'orders' in vhost '/' is of its type 'x-up'";
    let outcome = put(&broker, "/plugins/up", &transform)?;
    is_refused(&broker, outcome, (400, reason))?;
    let reason = "exchange type 'x-up' would be supplied by nobody, and it is needed: exchange 'orders' in vhost '/' is of its type 'x-up'";
    let outcome = put(&broker, "/plugins/up?on-error=reject", &transform)?;
    is_refused(&broker, outcome, (409, reason))?;
    let outcome = ask(&broker, "POST", "/plugins/up/rollback", b"")?;
    is_refused(&broker, outcome, (409, reason))?;
    assert_eq!(hash(&broker)?, second);
    ensure!(
        channel.publish(("orders", "a"), none(), "body")?,
        "it works"
    );

    ensure!(ask(&broker, "DELETE", "/exchanges/%2F/orders", b"")?.0 == 204);
    ensure!(ask(&broker, "POST", "/plugins/up/rollback", b"")?.0 == 204);
    assert_eq!(hash(&broker)?, first);
    Ok(())
}

#[test]
fn a_file_without_what_is_needed_is_refused() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let transform = project(folder.path(), "transform")?;
    let exchange = project(folder.path(), "exchange")?;
    let path = folder.path().join("up.wasm");
    std::fs::write(&path, &transform)?;
    let section = format!("[[plugin]]\nname = \"up\"\npath = '{}'\n", path.display());
    let typed = section.clone() + "exchange-type = \"x-up\"\n";
    let mut broker = Broker::with(Settings {
        config: section,
        ..Settings::default()
    })?;
    let mut channel = Channel::open(&broker)?;
    channel.queue("jobs", table([("x-transform", "up".into())]))?;
    let first = hash(&broker)?;

    std::fs::write(&path, &exchange)?;
    broker.configure(&typed)?;
    broker.hang_up()?;
    let reason = "the component has no transform, and plugin 'up' is needed as one: queue 'jobs' in vhost '/' has it as 'x-transform'";
    let line = broker.logged(&format!("\"error\":\"{reason}"))?;
    assert!(line.contains(REFUSED), "{line}");
    is_told(&broker, "up", reason)?;
    assert_eq!(hash(&broker)?, first);
    ensure!(channel.publish(("", "jobs"), none(), "body")?, "it works");

    // It is attached nowhere any more: now it may.
    ensure!(ask(&broker, "DELETE", "/queues/%2F/jobs", b"")?.0 == 204);
    broker.hang_up()?;
    broker.lines_logged("loaded a plugin", 2)?;
    let second = hash(&broker)?;
    assert_ne!(second, first);
    channel.exchange("orders", "x-up", none())?;
    channel.queue("q", none())?;
    channel.bind_with("q", "orders", "a")?;

    // Only the file changes, and nobody has to say so.
    std::fs::write(&path, &transform)?;
    let reason = "the component supplies no type of exchange, and is to supply 'x-up', which is needed: exchange 'orders' in vhost '/' is of its type 'x-up'";
    broker.logged(&format!("\"error\":\"{reason}"))?;
    is_told(&broker, "up", reason)?;
    assert_eq!(hash(&broker)?, second);
    ensure!(
        channel.publish(("orders", "a"), none(), "body")?,
        "it works"
    );
    Ok(())
}
