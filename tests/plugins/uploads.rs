//! Uploaded plugins: they are kept or refused, and whoever takes one away is told what needs it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use amphora_protocol::wire::table::FieldValue;
use amphora_tests::{Broker, PATIENCE, Settings};
use anyhow::{Context, ensure};
use serde_json::Value;

use crate::built::{component, plugin};
use crate::channel::{Channel, none};
use crate::exchange::table;
use crate::operator::{ask, ctl, shown, upload};

/// A new project in C of this kind, built.
fn project(folder: &Path, kind: &str) -> anyhow::Result<Vec<u8>> {
    plugin(folder, &["new", "--lang", "c", "--kind", kind, kind])?;
    component(&folder.join(kind))
}

/// The components that are kept.
fn files(broker: &Broker) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(broker.data_dir().join("plugins"))?;
    let files = entries.map(|entry| Ok(entry?.path()));
    files.collect()
}

fn unload(broker: &Broker, more: &str) -> anyhow::Result<(u16, String)> {
    ask(broker, "DELETE", &format!("/plugins/up{more}"), b"")
}

#[test]
fn what_is_attached_is_not_unloaded_unawares() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let component = project(folder.path(), "transform")?;
    let section = "[[attach]]\nplugin = \"up\"\nqueue = \"^audit\"\n";
    let attached = format!("[[plugin]]\nname = \"up\"\npath = \"later.wasm\"\n{section}");
    let mut broker = Broker::with(Settings {
        config: "# Nothing yet.".to_owned(),
        ..Settings::default()
    })?;
    ensure!(upload(&broker, "up", &component)?.0 == 201);
    let mut channel = Channel::open(&broker)?;
    let named = || table([("x-transform", FieldValue::Array(vec!["up".into()]))]);
    channel.exchange("orders", "fanout", named())?;
    channel.queue("jobs", named())?;
    let policy = br#"{"pattern":"^never$","definition":{"transform":"up"},"apply-to":"queues"}"#;
    ensure!(ask(&broker, "PUT", "/policies/%2F/marks", policy)?.0 == 201);

    let (status, text) = unload(&broker, "")?;
    assert_eq!(status, 409, "{text}");
    let told: Value = serde_json::from_str(&text)?;
    assert_eq!(
        told["reason"],
        "plugin 'up' is needed: exchange 'orders' in vhost '/' has it as 'x-transform'; queue 'jobs' in vhost '/' has it as 'x-transform'; policy 'marks' in vhost '/' names it. With force=true it is unloaded all the same, and messages there go as on-error says"
    );
    let (done, said) = ctl(&broker, &["unload_plugin", "up"])?;
    assert!(!done && said.contains("queue 'jobs'"), "{said}");
    ensure!(channel.publish(("", "jobs"), none(), "body")?, "it works");

    let (status, text) = unload(&broker, "?force=true")?;
    assert_eq!(status, 204, "{text}");
    ensure!(
        !channel.publish(("", "jobs"), none(), "body")?,
        "it is gone"
    );
    ensure!(upload(&broker, "up", &component)?.0 == 201);
    ensure!(channel.publish(("", "jobs"), none(), "body")?, "it is back");

    for path in [
        "/queues/%2F/jobs",
        "/exchanges/%2F/orders",
        "/policies/%2F/marks",
    ] {
        ensure!(ask(&broker, "DELETE", path, b"")?.0 == 204, "{path}");
    }
    let (status, text) = unload(&broker, "")?;
    assert_eq!(status, 204, "{text}");

    // A section of the configuration does the same for its own plugin.
    std::fs::write(folder.path().join("later.wasm"), &component)?;
    let path = folder.path().join("later.wasm");
    let path = path.to_str().context("a path")?;
    broker.configure(&attached.replace("later.wasm", path))?;
    broker.hang_up()?;
    broker.logged("loaded a plugin")?;
    // Loading comes before attaching.
    channel.queue("audit", none())?;
    let messages = || anyhow::Ok(shown(&broker, "up")?["messages"].as_u64());
    let (begun, before) = (Instant::now(), messages()?);
    while messages()? == before {
        ensure!(begun.elapsed() < PATIENCE, "it is never asked");
        channel.publish(("", "audit"), none(), "body")?;
    }
    let (status, text) = unload(&broker, "")?;
    assert_eq!(status, 409, "{text}");
    assert!(
        text.contains("[[attach]] names it for queues '^audit'"),
        "{text}"
    );
    Ok(())
}

#[test]
fn exchanges_of_a_type_that_does_not_load_any_more_count_too() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let component = project(folder.path(), "exchange")?;
    let mut broker = Broker::start()?;
    let put = |broker: &Broker| {
        let path = "/plugins/up?exchange-type=x-up";
        ask(broker, "PUT", path, &component)
    };
    ensure!(put(&broker)?.0 == 201);
    let exchange = br#"{"type":"x-up","durable":true}"#;
    ensure!(ask(&broker, "PUT", "/exchanges/%2F/up", exchange)?.0 == 201);
    let kept = files(&broker)?.pop().context("one was uploaded")?;
    broker.kill()?;
    std::fs::write(&kept, b"damaged")?;
    broker.restart()?;
    let found = shown(&broker, "up")?;
    assert_eq!(found["state"], "failed");
    let reason = found["last_error"]["text"].as_str().unwrap_or_default();
    assert!(reason.contains("is damaged: its SHA-256 is "), "{reason}");
    let (_, text) = ask(&broker, "PUT", "/exchanges/%2F/another", exchange)?;
    assert!(
        text.contains(
            "unknown exchange type 'x-up': it is supplied by plugin 'up', which is not loaded"
        ),
        "{text}"
    );
    let (status, text) = unload(&broker, "")?;
    assert_eq!(status, 409, "{text}");
    assert!(
        text.contains("exchange 'up' in vhost '/' is of its type 'x-up'"),
        "{text}"
    );
    Ok(())
}

#[test]
fn what_cannot_be_kept_is_refused_and_the_version_before_stays() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let first = project(folder.path(), "transform")?;
    // The same component with a custom section more: another version as far as anybody can see.
    let second = [first.as_slice(), b"\0\x02\x01x"].concat();
    let mut broker = Broker::start()?;
    ensure!(upload(&broker, "up", &first)?.0 == 201);
    let mut channel = Channel::open(&broker)?;
    channel.queue("q", table([("x-transform", "up".into())]))?;
    let hash = |broker: &Broker| anyhow::Ok(shown(broker, "up")?["hash"].clone());
    let before = hash(&broker)?;

    // There is no place for components: a file is where their folder was.
    let kept = broker.data_dir().join("plugins");
    let aside = broker.data_dir().join("aside");
    std::fs::rename(&kept, &aside)?;
    std::fs::write(&kept, b"in the way")?;
    let reason = "the component cannot be kept, and so it is not loaded: ";
    let (status, text) = upload(&broker, "up", &second)?;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains(reason), "{text}");
    assert_eq!(hash(&broker)?, before);
    let found = shown(&broker, "up")?;
    let told = found["last_error"]["text"].as_str().unwrap_or_default();
    assert!(told.starts_with(reason), "{found}");
    broker.logged(reason)?;
    let file = folder.path().join("second.wasm");
    std::fs::write(&file, &second)?;
    let file = file.to_str().context("a path")?;
    let (done, said) = ctl(&broker, &["load_plugin", "up", file])?;
    assert!(!done && said.contains(reason), "{said}");
    // One that was not there before is not there now.
    let (status, text) = upload(&broker, "other", &second)?;
    assert_eq!(status, 503, "{text}");
    assert_eq!(ask(&broker, "GET", "/plugins/other", b"")?.0, 404);
    ensure!(channel.publish(("", "q"), none(), "body")?, "it works");

    // With room again, the upload and its rollback are as ever, and a rollback without the file is refused, too.
    std::fs::remove_file(&kept)?;
    std::fs::rename(&aside, &kept)?;
    ensure!(upload(&broker, "up", &second)?.0 == 204);
    let after = hash(&broker)?;
    assert_ne!(after, before);
    std::fs::rename(&kept, &aside)?;
    let (status, text) = ask(&broker, "POST", "/plugins/up/rollback", b"")?;
    assert_eq!(status, 503, "{text}");
    assert_eq!(hash(&broker)?, after);
    std::fs::rename(&aside, &kept)?;
    let (status, text) = ask(&broker, "POST", "/plugins/up/rollback", b"")?;
    assert_eq!(status, 204, "{text}");
    assert_eq!(hash(&broker)?, before);
    broker.kill()?;
    broker.restart()?;
    assert_eq!(hash(&broker)?, before);
    // What is in force, and what a rollback brings back.
    assert_eq!(files(&broker)?.len(), 2);
    // That is known after a restart, too.
    let previous = shown(&broker, "up")?["previous"].clone();
    assert_eq!(previous["hash"], after, "{previous}");
    assert_eq!(previous["size"], second.len());
    let (_, said) = ctl(&broker, &["show_plugin", "up"])?;
    let mut lines = said.lines();
    let line = lines.find(|line| line.contains("Previous version"));
    ensure!(line.is_some_and(|line| line.contains("0.1.0")), "{said}");
    ensure!(ask(&broker, "POST", "/plugins/up/rollback", b"")?.0 == 204);
    assert_eq!(shown(&broker, "up")?["previous"]["hash"], before);
    assert_eq!(files(&broker)?.len(), 2);
    Ok(())
}

#[test]
fn only_answers_that_were_known_count_as_cache_hits() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let component = project(folder.path(), "exchange")?;
    let broker = Broker::start()?;
    let path = "/plugins/up?exchange-type=x-up";
    ensure!(ask(&broker, "PUT", path, &component)?.0 == 201);
    let mut channel = Channel::open(&broker)?;
    channel.exchange("up", "x-up", none())?;
    channel.queue("q", none())?;
    channel.bind_with("q", "up", "a")?;
    for _ in 0..10 {
        ensure!(channel.publish(("up", "a"), none(), "known after the first")?);
    }
    let hits = || anyhow::Ok(shown(&broker, "up")?["cache_hits"].clone());
    assert_eq!(hits()?, 9);
    // With several keys, the plugin is asked for each.
    let copies = || table([("CC", FieldValue::Array(vec!["b".into()]))]);
    for _ in 0..5 {
        ensure!(channel.publish(("up", "a"), copies(), "asked about")?);
    }
    assert_eq!(hits()?, 9);
    // What fails is neither known nor routed.
    ensure!(unload(&broker, "?force=true")?.0 == 204);
    ensure!(!channel.publish(("up", "a"), none(), "nobody knows")?);
    ensure!(ask(&broker, "PUT", path, &component)?.0 == 201);
    assert_eq!(hits()?, 9);
    Ok(())
}

/// A crash leaves the old or the new version, whole: component, hash and settings.
#[test]
fn whatever_a_crash_leaves_is_one_version() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let first = project(folder.path(), "transform")?;
    let second = [first.as_slice(), b"\0\x02\x01x"].concat();
    let mut broker = Broker::start()?;
    let put = |broker: &Broker, on_error: &str, component: &[u8]| {
        let path = format!("/plugins/up?on-error={on_error}");
        ask(broker, "PUT", &path, component)
    };
    let version = |broker: &Broker| {
        let found = shown(broker, "up")?;
        assert_eq!(found["state"], "loaded", "{found}");
        anyhow::Ok((found["hash"].clone(), found["on_error"].clone()))
    };
    ensure!(put(&broker, "reject", &first)?.0 == 201);
    let old = version(&broker)?;

    // The new file is there, and the definition is not.
    let left = broker.data_dir().join("plugins/up 0123456789abcdef.wasm");
    broker.kill()?;
    std::fs::write(&left, &second)?;
    std::fs::write(left.with_file_name("other 0123456789abcdef.wasm"), &second)?;
    broker.restart()?;
    assert_eq!(version(&broker)?, old);
    assert_eq!(files(&broker)?.len(), 1, "what nobody names is gone");
    assert_eq!(ask(&broker, "GET", "/plugins/other", b"")?.0, 404);

    // It was in force before a restart and after, which makes it no version before itself.
    ensure!(ask(&broker, "POST", "/plugins/up/load", b"")?.0 == 204);
    let (status, text) = ask(&broker, "POST", "/plugins/up/rollback", b"")?;
    assert_eq!(status, 409, "{text}");
    assert!(
        text.contains("plugin 'up' has no earlier version"),
        "{text}"
    );

    // The definition is there, and the files of the version before are, too.
    let before = files(&broker)?;
    ensure!(put(&broker, "drop", &second)?.0 == 204);
    let new = version(&broker)?;
    ensure!(unload(&broker, "")?.0 == 204);
    assert!(files(&broker)?.is_empty());
    broker.kill()?;
    std::fs::write(&before[0], &first)?;
    broker.restart()?;
    assert_eq!(ask(&broker, "GET", "/plugins/up", b"")?.0, 404);
    assert!(files(&broker)?.is_empty());

    // In the middle, at any moment.
    ensure!(put(&broker, "reject", &first)?.0 == 201);
    for round in 0..8_u64 {
        let (on_error, component) = match round % 2 {
            0 => ("drop", &second),
            _ => ("reject", &first),
        };
        let path = format!(
            "http://{}/api/plugins/up?on-error={on_error}",
            broker.http()?
        );
        let component = component.clone();
        let request = std::thread::spawn(move || {
            ureq::put(&path)
                .header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
                .send(component.as_slice())
                .map(drop)
        });
        std::thread::sleep(Duration::from_millis(10 + round * 4));
        broker.kill()?;
        // It was cut off, or not.
        let _ = request.join();
        broker.restart()?;
        let found = version(&broker)?;
        assert!(found == old || found == new, "{found:?}");
        assert!(files(&broker)?.len() <= 2);
    }
    Ok(())
}
