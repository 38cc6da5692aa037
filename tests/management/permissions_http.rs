//! Every operation of the management API against every permission that it needs, as [`permissions`](super::permissions) does for AMQP.

use std::time::{Duration, Instant};

use amphora_tests::{Broker, PATIENCE};
use anyhow::ensure;
use serde_json::{Value, json};

use crate::api::Api;
use crate::permissions::{Needed, inventory, permit, prepare};

/// shop:secret
const SHOP: &str = "Basic c2hvcDpzZWNyZXQ=";

/// An operation, and what it needs.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    body: &'static str,
    needs: &'static [Needed],
}

const fn operation(
    method: &'static str,
    path: &'static str,
    body: &'static str,
    needs: &'static [Needed],
) -> Operation {
    Operation {
        method,
        path,
        body,
        needs,
    }
}

const MESSAGE: &str =
    r#"{"routing_key": "bound", "payload": "", "payload_encoding": "string", "properties": {}}"#;

pub(crate) const OPERATIONS: [Operation; 35] = [
    operation(
        "PUT",
        "/queues/v/new",
        "{}",
        &[("configure", "queue", "new")],
    ),
    operation(
        "PUT",
        "/queues/v/new",
        r#"{"arguments": {"x-dead-letter-exchange": "x"}}"#,
        &[
            ("configure", "queue", "new"),
            ("read", "queue", "new"),
            ("write", "exchange", "x"),
        ],
    ),
    operation("DELETE", "/queues/v/q", "", &[("configure", "queue", "q")]),
    operation(
        "DELETE",
        "/queues/v/q/contents",
        "",
        &[("read", "queue", "q")],
    ),
    operation(
        "PUT",
        "/queues/v/q/pause",
        "{}",
        &[("configure", "queue", "q")],
    ),
    operation(
        "PUT",
        "/queues/v/q/resume",
        "{}",
        &[("configure", "queue", "q")],
    ),
    operation(
        "POST",
        "/queues/v/q/get",
        r#"{"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}"#,
        &[("read", "queue", "q")],
    ),
    operation(
        "PUT",
        "/exchanges/v/new",
        r#"{"type": "fanout"}"#,
        &[("configure", "exchange", "new")],
    ),
    operation(
        "PUT",
        "/exchanges/v/new",
        r#"{"type": "fanout", "arguments": {"alternate-exchange": "x"}}"#,
        &[
            ("configure", "exchange", "new"),
            ("read", "exchange", "new"),
            ("write", "exchange", "x"),
        ],
    ),
    operation(
        "DELETE",
        "/exchanges/v/x",
        "",
        &[("configure", "exchange", "x")],
    ),
    operation(
        "POST",
        "/bindings/v/e/x/q/q",
        r#"{"routing_key": "new"}"#,
        &[("write", "queue", "q"), ("read", "exchange", "x")],
    ),
    operation(
        "DELETE",
        "/bindings/v/e/x/q/q/bound",
        "",
        &[("write", "queue", "q"), ("read", "exchange", "x")],
    ),
    operation(
        "POST",
        "/bindings/v/e/x/e/y",
        r#"{"routing_key": "new"}"#,
        &[("write", "exchange", "y"), ("read", "exchange", "x")],
    ),
    operation(
        "DELETE",
        "/bindings/v/e/x/e/y/bound",
        "",
        &[("write", "exchange", "y"), ("read", "exchange", "x")],
    ),
    operation(
        "POST",
        "/exchanges/v/x/publish",
        MESSAGE,
        &[("write", "exchange", "x")],
    ),
    operation(
        "POST",
        "/exchanges/v/amq.default/publish",
        MESSAGE,
        &[("write", "exchange", "amq.default")],
    ),
    operation(
        "POST",
        "/route/v",
        r#"{"exchange": "x", "routing_key": "bound"}"#,
        &[("write", "exchange", "x")],
    ),
    operation(
        "GET",
        "/delayed/v",
        "",
        &[("read", "queue", "amq.amphora.delayed")],
    ),
    operation(
        "DELETE",
        "/delayed/v",
        "",
        &[("configure", "queue", "amq.amphora.delayed")],
    ),
    operation(
        "DELETE",
        "/delayed/v/DELAYED",
        "",
        &[("configure", "queue", "amq.amphora.delayed")],
    ),
    operation(
        "POST",
        "/queues/v/q/move",
        r#"{"exchange": "x", "routing_key": "bound"}"#,
        &[("read", "queue", "q"), ("write", "exchange", "x")],
    ),
    operation(
        "POST",
        "/queues/v/q/move",
        r#"{"exchange": "amq.default", "routing_key": "q"}"#,
        &[("read", "queue", "q"), ("write", "exchange", "amq.default")],
    ),
    operation(
        "POST",
        "/queues/v/q/messages/move",
        r#"{"positions": [0], "exchange": "x", "routing_key": "bound"}"#,
        &[("read", "queue", "q"), ("write", "exchange", "x")],
    ),
    operation(
        "POST",
        "/queues/v/q/messages/delete",
        r#"{"positions": [0]}"#,
        &[("read", "queue", "q")],
    ),
    operation("GET", "/queues/v/q/messages", "", &[("read", "queue", "q")]),
    // Whoever may enter the virtual host may look around.
    operation("GET", "/queues/v/q", "", &[]),
    operation("GET", "/exchanges/v/x", "", &[]),
    operation("GET", "/bindings/v", "", &[]),
    operation("GET", "/consumers/v", "", &[]),
    operation("GET", "/queues/v", "", &[]),
    operation("GET", "/queues/v/q/unacked", "", &[]),
    operation("GET", "/queues/v/q/bindings", "", &[]),
    operation("GET", "/exchanges/v/x/bindings/source", "", &[]),
    operation("GET", "/bindings/v/e/x/q/q/bound", "", &[]),
    operation("GET", "/vhosts/v/connections", "", &[]),
];

fn refusal(operation: &Operation, missing: &Needed) -> (u16, Value) {
    let (kind, resource, name) = missing;
    let text = format!("{kind} access to {resource} '{name}' in vhost 'v' refused for user 'shop'");
    // A publisher has a connection of its own in RabbitMQ, whose end is the reason.
    if operation.path.ends_with("/publish") {
        let reason = format!("403 ACCESS_REFUSED - {text}");
        return (400, json!({ "error": "bad_request", "reason": reason }));
    }
    (401, json!({ "error": "not_authorised", "reason": text }))
}

/// A message in `q`, and one that waits at an exchange, whose id is returned.
fn fill(api: &Api) -> anyhow::Result<String> {
    let later = json!({ "type": "x-delayed-message", "arguments": { "x-delayed-type": "fanout" } });
    api.run("PUT", "/exchanges/v/later", &later)?;
    let message = |key: &str, delay: i64| {
        let headers = json!({ "headers": { "x-delay": delay } });
        json!({ "routing_key": key, "payload": "", "payload_encoding": "string", "properties": headers })
    };
    api.run("POST", "/exchanges/v/amq.default/publish", &message("q", 0))?;
    api.run(
        "POST",
        "/exchanges/v/later/publish",
        &message("q", 3_600_000),
    )?;
    let begun = Instant::now();
    loop {
        // What waits is noted by a task of its own.
        let waiting = api.get("/delayed/v")?;
        if let Some(id) = waiting["items"][0]["id"].as_str() {
            return Ok(id.to_owned());
        }
        ensure!(begun.elapsed() < PATIENCE, "{waiting}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_request_needs_what_it_needs_and_no_more() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let user = json!({ "password": "secret", "tags": "management" });
    api.run("PUT", "/users/shop", &user)?;
    let shop = Api::with_login(&broker, SHOP)?;
    for operation in &OPERATIONS {
        let Operation {
            method,
            path,
            body,
            needs,
        } = operation;
        prepare(&api)?;
        let path = &path.replace("DELAYED", &fill(&api)?);
        let body: Value = match *body {
            "" => Value::Null,
            body => serde_json::from_str(body)?,
        };
        for missing in *needs {
            let others = needs.iter().filter(|needed| *needed != missing);
            permit(&api, &others.copied().collect::<Vec<_>>())?;
            let before = inventory(&api)?;
            let answer = shop.call(method, path, &body)?;
            let context = format!("{method} {path} {body} without {missing:?}");
            assert_eq!(answer, refusal(operation, missing), "{context}");
            assert_eq!(inventory(&api)?, before, "{context}");
        }
        permit(&api, needs)?;
        shop.run(method, path, &body)?;
        // Not even that without a place in the virtual host.
        api.run("DELETE", "/permissions/v/shop", &Value::Null)?;
        let (status, answer) = shop.call(method, path, &body)?;
        let reason = "User not authorised to access virtual host";
        assert_eq!(
            (status, &answer["reason"]),
            (401, &json!(reason)),
            "{method} {path}"
        );
        api.run("DELETE", "/vhosts/v", &Value::Null)?;
    }
    Ok(())
}

#[test]
fn topic_permissions_count_at_topic_exchanges() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let user = json!({ "password": "secret", "tags": "management" });
    api.run("PUT", "/users/shop", &user)?;
    prepare(&api)?;
    api.run("PUT", "/exchanges/v/t", &json!({ "type": "topic" }))?;
    let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    api.run("PUT", "/permissions/v/shop", &all)?;
    let topics = json!({ "exchange": "t", "write": "^{username}[.]", "read": "^own[.]" });
    api.run("PUT", "/topic-permissions/v/shop", &topics)?;
    let shop = Api::with_login(&broker, SHOP)?;
    let refused = |kind: &str, key: &str| {
        format!(
            "{kind} access to topic '{key}' in exchange 't' in vhost 'v' refused for user 'shop'"
        )
    };
    for (key, may) in [("shop.a", true), ("other.a", false)] {
        let message = json!({ "routing_key": key, "payload": "", "payload_encoding": "string", "properties": {} });
        let (status, answer) = shop.call("POST", "/exchanges/v/t/publish", &message)?;
        let reason = format!("403 ACCESS_REFUSED - {}", refused("write", key));
        let expected = if may {
            json!({ "routed": false })
        } else {
            json!({ "error": "bad_request", "reason": reason })
        };
        assert_eq!((status, answer), (if may { 200 } else { 400 }, expected));
        // Elsewhere the key is nobody's.
        shop.run("POST", "/exchanges/v/x/publish", &message)?;
    }
    for (key, may) in [("own.#", true), ("#", false)] {
        let binding = json!({ "routing_key": key });
        let (status, answer) = shop.call("POST", "/bindings/v/e/t/q/q", &binding)?;
        assert_eq!(status, if may { 201 } else { 401 }, "{answer}");
        if !may {
            assert_eq!(answer["reason"], refused("read", key));
        }
    }
    let bindings = api.get("/exchanges/v/t/bindings/source?columns=routing_key")?;
    assert_eq!(bindings, json!([{ "routing_key": "own.#" }]));
    Ok(())
}
