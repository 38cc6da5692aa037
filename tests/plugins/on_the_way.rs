//! The stock plugins on the way of messages that wait, are refused, or come again.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use amphora_protocol::wire::table::FieldValue;
use amphora_tests::{Broker, Settings, workspace};
use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::built::component;
use crate::channel::{Channel, none};
use crate::exchange::table;

/// Longer than a delayed message that is refused waits before it is tried again.
pub(crate) const RETRIED: Duration = Duration::from_millis(2500);

/// A plugin's name, the folder of its project, and more lines for its section.
pub(crate) type Plugin = (&'static str, &'static str, &'static str);

const DELAYED: Plugin = ("delayed", "delayed", "");
/// Rejects everything that has no `id`.
const SCHEMA: Plugin = (
    "schema",
    "json-schema",
    "grants = [\"config\", \"log\", \"metrics\"]\n[[plugin.config.rule]]\nschema = '{\"type\":\"object\",\"required\":[\"id\"]}'",
);
/// Writes down who has published a message, and when it came.
const WITNESS: Plugin = (
    "witness",
    "json-edit",
    "grants = [\"config\", \"log\"]\n[[plugin.config.edit]]\nat = \"/user\"\naction = \"set\"\nfrom = \"user\"\n[[plugin.config.edit]]\nat = \"/time\"\naction = \"set\"\nfrom = \"time\"",
);
const ROUTER: Plugin = ("router", "content-router", "exchange-type = \"x-content\"");

/// A broker with these plugins, whose components are in the folder.
pub(crate) fn broker(plugins: &[Plugin]) -> anyhow::Result<(Broker, TempDir)> {
    let folder = tempfile::tempdir()?;
    let mut config = String::new();
    for (name, project, more) in plugins {
        let path = folder.path().join(name).with_extension("wasm");
        std::fs::write(
            &path,
            component(&workspace().join("plugins").join(project))?,
        )?;
        writeln!(
            config,
            "[[plugin]]\nname = \"{name}\"\npath = \"{}\"\n{more}",
            path.display()
        )?;
    }
    let broker = Broker::with(Settings {
        config,
        ..Settings::default()
    })?;
    Ok((broker, folder))
}

/// Asks the management API, and returns what it says.
pub(crate) fn request(
    broker: &Broker,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<String> {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}/api{path}", broker.http()?))
        .header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
        .header("content-type", "application/json")
        .body(body.to_owned())?;
    let answer = ureq::run(request).with_context(|| format!("{method} {path}"))?;
    Ok(answer.into_body().read_to_string()?)
}

pub(crate) fn delay(ms: i32) -> amphora_protocol::wire::table::FieldTable {
    table([("x-delay", FieldValue::I32(ms))])
}

#[test]
fn a_delayed_message_that_one_queue_rejects_comes_to_the_others_once() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&[DELAYED, SCHEMA])?;
    let mut channel = Channel::open(&broker)?;
    channel.exchange("ours", "fanout", table([("x-transform", "delayed".into())]))?;
    let fanout = table([("x-delayed-type", "fanout".into())]);
    channel.exchange("own", "x-delayed-message", fanout)?;
    channel.queue("dead", none())?;
    channel.queue("strict", table([("x-transform", "schema".into())]))?;
    let buried = [
        ("x-transform", "schema".into()),
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
    ];
    channel.queue("buries", table(buried))?;
    for (queue, exchange) in [("a", "ours"), ("b", "own")] {
        channel.queue(queue, none())?;
        for queue in [queue, "strict", "buries"] {
            channel.bind(queue, exchange)?;
        }
        ensure!(channel.publish((exchange, ""), delay(100), "{}")?);
    }
    for (queue, count) in [("a", 1), ("b", 1), ("dead", 2)] {
        channel.wait_for(queue, count)?;
    }
    // And not again.
    std::thread::sleep(RETRIED);
    for queue in ["a", "b"] {
        assert_eq!(channel.take(queue)?, ["{}"], "{queue}");
    }
    for queue in ["strict", "buries"] {
        assert_eq!(channel.ready(queue)?, 0, "{queue}");
    }
    assert_eq!(channel.take("dead")?, ["{}", "{}"]);
    Ok(())
}

#[test]
fn a_delayed_message_waits_for_a_plugin_that_is_not_there() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&[DELAYED, SCHEMA])?;
    let mut channel = Channel::open(&broker)?;
    channel.exchange("x", "fanout", table([("x-transform", "delayed".into())]))?;
    channel.queue("q", table([("x-transform", "schema".into())]))?;
    channel.bind("q", "x")?;
    // Long enough for the plugin to go before.
    let due = Duration::from_secs(3);
    ensure!(channel.publish(("x", ""), delay(3_000), r#"{"id":1}"#)?);
    request(&broker, "DELETE", "/plugins/schema?force=true", "")?;
    std::thread::sleep(due + RETRIED);
    assert_eq!(channel.ready("q")?, 0);
    request(&broker, "POST", "/plugins/schema/load", "")?;
    assert_eq!(channel.one("q")?, r#"{"id":1}"#);
    Ok(())
}

#[test]
fn a_message_that_was_nacked_is_no_duplicate_when_it_comes_again() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&[ROUTER])?;
    let mut channel = Channel::open(&broker)?;
    let once = table([("x-message-deduplication", true.into())]);
    channel.exchange("x", "x-content", once)?;
    channel.queue("q", none())?;
    channel.bind("q", "x")?;
    let publish = |channel: &mut Channel, id: &str| {
        let headers = table([("x-deduplication-header", id.into())]);
        channel.publish(("x", "k"), headers, &format!("{{\"{id}\":1}}"))
    };
    assert!(publish(&mut channel, "a")?);
    assert!(publish(&mut channel, "a")?);
    request(&broker, "DELETE", "/plugins/router?force=true", "")?;
    // More than once: also the second is none.
    for _ in 0..2 {
        assert!(!publish(&mut channel, "b")?, "nobody routes it");
    }
    request(&broker, "POST", "/plugins/router/load", "")?;
    for _ in 0..2 {
        assert!(publish(&mut channel, "b")?);
    }
    assert_eq!(channel.take("q")?, [r#"{"a":1}"#, r#"{"b":1}"#]);
    Ok(())
}

#[test]
fn a_delay_before_a_queue_needs_no_place_among_the_queues() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&[DELAYED])?;
    let mut channel = Channel::open(&broker)?;
    channel.queue("q", table([("x-transform", "delayed".into())]))?;
    let limit = "/vhost-limits/%2F/max-queues";
    request(&broker, "PUT", limit, r#"{"value":1}"#)?;
    ensure!(channel.publish(("", "q"), delay(100), "late")?);
    assert_eq!(channel.one("q")?, "late");
    // The broker's own does not count.
    request(&broker, "PUT", limit, r#"{"value":2}"#)?;
    channel.queue("other", none())?;
    Ok(())
}

#[test]
fn who_has_published_and_when_is_known_after_a_delay() -> anyhow::Result<()> {
    let (mut broker, _folder) = broker(&[DELAYED, WITNESS])?;
    let mut channel = Channel::open(&broker)?;
    let durable = table([("x-transform", "witness".into())]);
    channel.queue("q", durable)?;
    for (exchange, kind, argument) in [
        ("own", "x-delayed-message", ("x-delayed-type", "fanout")),
        ("ours", "fanout", ("x-transform", "delayed")),
    ] {
        channel.exchange(exchange, kind, table([(argument.0, argument.1.into())]))?;
        channel.bind("q", exchange)?;
        let before = now_ms()?;
        ensure!(channel.publish((exchange, ""), delay(700), "{}")?);
        let after = now_ms()?;
        let seen: serde_json::Value = serde_json::from_str(&channel.one("q")?)?;
        assert_eq!(seen["user"], "guest", "{exchange}: {seen}");
        let time = seen["time"].as_u64().context("no time")?;
        assert!(
            (before..=after).contains(&time),
            "{exchange}: {time}, and it came from {before} to {after}"
        );
    }
    broker.terminate()?;
    broker.end()?;
    Ok(())
}

fn now_ms() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

#[test]
fn what_is_replayed_to_a_queue_goes_through_its_transforms() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&[SCHEMA])?;
    let mut channel = Channel::open(&broker)?;
    channel.exchange("x", "x-recent-history", none())?;
    for body in ["{\"id\":1}", "{}", "{\"id\":2}"] {
        ensure!(channel.publish(("x", "k"), none(), body)?);
    }
    channel.queue("dead", none())?;
    let looked_at = table([
        ("x-transform", "schema".into()),
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
    ]);
    channel.queue("q", looked_at)?;
    channel.bind("q", "x")?;
    assert_eq!(channel.take("q")?, ["{\"id\":1}", "{\"id\":2}"]);
    assert_eq!(channel.take("dead")?, ["{}"]);
    Ok(())
}
