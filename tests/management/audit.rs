//! Every change of who may do what, and every refusal, leaves a line in the log that names who did it.

use amphora_protocol::wire::method::{Method, channel, queue};
use amphora_protocol::wire::types::QueueName;
use amphora_tests::{Broker, Login};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::api::Api;

/// shop:secret
const SHOP: &str = "Basic c2hvcDpzZWNyZXQ=";

/// What marks the lines.
const AUDIT: &str = "amphora::audit";

/// A change: method, path and body of the request, and what the line says.
type Change = (&'static str, &'static str, &'static str, &'static str);

/// In an order in which each has something to change.
const CHANGES: [Change; 30] = [
    ("PUT", "/vhosts/v", "{}", "added a vhost"),
    (
        "PUT",
        "/vhosts/v",
        r#"{"description": "shop"}"#,
        "vhost 'v'",
    ),
    (
        "POST",
        "/vhosts/v/deletion/protection",
        "",
        "protected_from_deletion: true",
    ),
    (
        "DELETE",
        "/vhosts/v/deletion/protection",
        "",
        "protected_from_deletion: false",
    ),
    (
        "PUT",
        "/users/clerk",
        r#"{"password": "secret", "tags": ""}"#,
        "added a user",
    ),
    (
        "PUT",
        "/users/clerk",
        r#"{"password": "other", "tags": "management"}"#,
        "user 'clerk'",
    ),
    (
        "PUT",
        "/permissions/v/clerk",
        r#"{"configure": "", "write": "", "read": ".*"}"#,
        "set permissions",
    ),
    (
        "DELETE",
        "/permissions/v/clerk",
        "",
        "user 'clerk' in vhost 'v'",
    ),
    (
        "PUT",
        "/topic-permissions/v/clerk",
        r#"{"exchange": "amq.topic", "write": "a", "read": "b"}"#,
        "set topic permissions",
    ),
    (
        "DELETE",
        "/topic-permissions/v/clerk",
        "",
        "topic permissions",
    ),
    (
        "PUT",
        "/user-limits/clerk/max-channels",
        r#"{"value": 5}"#,
        "user 'clerk'",
    ),
    (
        "DELETE",
        "/user-limits/clerk/max-channels",
        "",
        "user 'clerk'",
    ),
    (
        "PUT",
        "/vhost-limits/v/max-queues",
        r#"{"value": 5}"#,
        "vhost-limits",
    ),
    ("DELETE", "/vhost-limits/v/max-queues", "", "vhost-limits"),
    (
        "PUT",
        "/policies/v/p",
        r#"{"pattern": "^q", "definition": {"max-length": 5}}"#,
        "policy",
    ),
    ("DELETE", "/policies/v/p", "", "policy"),
    (
        "PUT",
        "/operator-policies/v/o",
        r#"{"pattern": "^q", "definition": {"max-length": 5}}"#,
        "operator_policy",
    ),
    ("DELETE", "/operator-policies/v/o", "", "operator_policy"),
    (
        "PUT",
        "/global-parameters/motto",
        r#"{"value": "hello"}"#,
        "motto",
    ),
    ("DELETE", "/global-parameters/motto", "", "motto"),
    (
        "PUT",
        "/cluster-name",
        r#"{"name": "shops"}"#,
        "cluster_name",
    ),
    (
        "PUT",
        "/settings",
        r#"{"disk_free_limit": "1MiB"}"#,
        "changed settings",
    ),
    ("PUT", "/vhosts/v", r#"{"tracing": true}"#, "firehose"),
    (
        "DELETE",
        "/connections/username/buyer",
        "",
        "told a connection to close",
    ),
    (
        "POST",
        "/queues/%2F/q/messages/delete",
        r#"{"positions": []}"#,
        "messages deleted",
    ),
    (
        "POST",
        "/definitions",
        r#"{"vhosts": [{"name": "w"}]}"#,
        "vhost 'w'",
    ),
    ("DELETE", "/vhosts/w", "", "vhost 'w'"),
    ("DELETE", "/vhosts/v", "", "vhost 'v'"),
    (
        "POST",
        "/users/bulk-delete",
        r#"{"users": ["clerk"]}"#,
        "user 'clerk'",
    ),
    ("DELETE", "/users/shop", "", "user 'shop'"),
];

/// What a user without a tag or permission for it is refused, and what the line says.
const REFUSED: [Change; 8] = [
    ("GET", "/users", "", "Not administrator user"),
    (
        "PUT",
        "/users/mine",
        r#"{"tags": ""}"#,
        "Not administrator user",
    ),
    ("PUT", "/vhosts/mine", "{}", "Not administrator user"),
    ("GET", "/nodes", "", "Not monitor user"),
    (
        "PUT",
        "/policies/%2F/p",
        r#"{"pattern": "", "definition": {"max-length": 1}}"#,
        "User not authorised",
    ),
    (
        "PUT",
        "/queues/%2F/q",
        "{}",
        "configure access to queue 'q' refused",
    ),
    (
        "PUT",
        "/exchanges/%2F/x",
        r#"{"type": "fanout"}"#,
        "configure access to exchange 'x' refused",
    ),
    ("GET", "/queues/other", "", "access to the vhost refused"),
];

#[test]
fn every_change_leaves_a_line_that_names_who_made_it() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    for name in ["shop", "buyer"] {
        let user = json!({ "password": "secret", "tags": "management" });
        api.run("PUT", &format!("/users/{name}"), &user)?;
    }
    let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    api.run("PUT", "/permissions/%2F/buyer", &all)?;
    let mut buyer = broker.login(&Login::plain("buyer", "secret"))?;
    buyer.open(1)?;
    api.run("PUT", "/queues/%2F/q", &json!({}))?;
    for (method, path, body, said) in CHANGES {
        let before = audited(&broker)?;
        api.run(method, path, &read(body)?)?;
        let names = |line: &str| line.contains("guest") && line.contains(said);
        await_line(&broker, before, names).with_context(|| format!("{method} {path}: {said}"))?;
    }
    Ok(())
}

#[test]
fn every_refusal_leaves_a_line_that_names_who_was_refused() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let user = json!({ "password": "secret", "tags": "management" });
    api.run("PUT", "/users/shop", &user)?;
    api.run("PUT", "/vhosts/other", &Value::Null)?;
    let none = json!({ "configure": "", "write": "", "read": "" });
    api.run("PUT", "/permissions/%2F/shop", &none)?;
    let shop = Api::with_login(&broker, SHOP)?;
    for (method, path, body, said) in REFUSED {
        let before = audited(&broker)?;
        let (status, answer) = shop.call(method, path, &read(body)?)?;
        ensure!(status == 401, "{method} {path}: {status} {answer}");
        let names = |line: &str| line.contains("shop") && line.contains(said);
        await_line(&broker, before, names).with_context(|| format!("{method} {path}: {said}"))?;
    }
    let before = audited(&broker)?;
    let mut client = broker.login(&Login::plain("shop", "secret"))?;
    client.open(1)?;
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        ..queue::Declare::default()
    };
    let answer = client.call(1, &declare)?;
    let is_refused = matches!(answer, Method::Channel(channel::Method::Close(_)));
    ensure!(is_refused, "{answer:?}");
    let said = "configure access to queue 'q' refused";
    await_line(&broker, before, |line| line.contains(said))
}

fn read(body: &str) -> anyhow::Result<Value> {
    match body {
        "" => Ok(Value::Null),
        body => Ok(serde_json::from_str(body)?),
    }
}

/// How many lines there are so far.
fn audited(broker: &Broker) -> anyhow::Result<usize> {
    broker.count_logged(AUDIT)
}

/// Waits for such a line after the first `before`. A line takes its time from one process to the other, so that one of an earlier request may be
/// among them.
fn await_line(
    broker: &Broker,
    before: usize,
    is_wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    let mut seen = before;
    loop {
        let lines = broker.lines_logged(AUDIT, seen + 1)?;
        if lines.iter().skip(seen).any(|line| is_wanted(line)) {
            return Ok(());
        }
        seen = lines.len();
    }
}
